import { AppError } from '../protocol/errors.ts';

export interface FailureDetails {
  /** Trying again is of no use: what is asked or configured is wrong. */
  permanent: boolean;
  /** What the receiver answered: an HTTP status, or an SMTP reply code. */
  status?: number;
  /** Who of the recipients was refused, where the others were not. */
  refused?: readonly string[];
}

/** AppError `notice_failed`. A cause goes to logs: give none that can hold an address which is a secret. */
export function noticeFailed(
  channel: string,
  what: string,
  details: FailureDetails,
  cause?: unknown,
): AppError {
  return new AppError('notice_failed', `channel ${channel}: ${what}`, {
    ...(details.permanent && { hint: 'oncall broker check' }),
    details: { ...details },
    cause,
  });
}

/**
 * Runs something that ends by its signal: the caller's, or the deadline's, whichever comes first. The deadline is over
 * everything, so that a receiver cannot hold a worker by sending a byte now and then.
 */
export async function withDeadline<T>(
  deadlineMs: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(new Error(`no answer in ${deadlineMs} ms`)), deadlineMs);
  try {
    return await run(AbortSignal.any([signal, deadline.signal]));
  } finally {
    clearTimeout(timer);
  }
}
