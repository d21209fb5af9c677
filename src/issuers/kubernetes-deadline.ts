import { AppError } from '../protocol/errors.ts';
import type { IssueInput } from './issuer.ts';

/** Dates in answers are whole seconds, rounded down. */
const DATE_STEP_MS = 1_000;

export interface Deadline {
  /** What is left, in whole milliseconds. Throws AppError `target_unreachable` where nothing is. */
  remainingMs(): number;
  /** Takes the API server's own time of an answer. Throws AppError `target_unreachable` for one past the deadline. */
  note(serverMs: number): void;
  /** Whether it has been found passed, or is by now. */
  isPast(): boolean;
}

/**
 * How long the steps of an issue may go on. Counted, not read off a clock: the store's clock, which set the deadline, and this
 * machine's may differ. A counter may stand still while a virtual machine does, so the answers' own times, counted from the
 * first, must fit too.
 */
export function createDeadline({ deadlineMs, nowMs }: Pick<IssueInput, 'deadlineMs' | 'nowMs'>): Deadline {
  const startedAt = performance.now();
  let serverDeadlineMs: number | undefined;
  let found = false;
  const leftMs = () => Math.floor(deadlineMs - nowMs - (performance.now() - startedAt));
  const remainingMs = () => {
    if (leftMs() <= 0) found = true;
    if (found) throw new AppError('target_unreachable', 'the login could not be made in time');
    return leftMs();
  };
  return {
    remainingMs,
    note(serverMs) {
      serverDeadlineMs ??= serverMs + DATE_STEP_MS + remainingMs();
      if (serverMs > serverDeadlineMs) found = true;
      remainingMs();
    },
    isPast: () => found || leftMs() <= 0,
  };
}
