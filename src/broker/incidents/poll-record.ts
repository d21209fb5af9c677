/** What is kept of asking outside systems: when each answered last, and what went wrong since. */
import type { Logger } from 'pino';
import type { Source } from '../../catalogue/types.ts';
import { isAppError } from '../../protocol/errors.ts';
import type { PollRow } from '../../store/rows.ts';
import type { Store } from '../../store/store.ts';

/** How one asking went. */
export interface Asked {
  /** In a row; 0 where it went well. */
  failures: number;
  /** How long the system asks us to stay away; 0 where it does not. */
  retryAfterSeconds: number;
}

export const WENT_WELL: Asked = { failures: 0, retryAfterSeconds: 0 };

/** By subject. */
export async function pollsOf(store: Store, source: Source): Promise<Map<string, PollRow>> {
  const polls = await store.read((tx) => tx.polls());
  return new Map(polls.filter((row) => row.source === source.id).map((row) => [row.subject, row]));
}

export async function recordFailure(
  store: Store,
  logger: Logger,
  about: { source: Source; subject: string; before: PollRow | undefined },
  error: unknown,
): Promise<Asked> {
  const { source, subject, before } = about;
  logger.warn({ err: error, source: source.id, subject }, 'an outside system could not be read');
  const failures = (before?.failures ?? 0) + 1;
  await store.write(async (tx) =>
    tx.putPoll({
      source: source.id,
      subject,
      succeededAt: before?.succeededAt ?? null,
      triedAt: await tx.now(),
      failures,
      lastError: isAppError(error) ? error.message : 'it failed',
      validators: before?.validators ?? {},
      emptySince: before?.emptySince ?? null,
    }),
  );
  const after = isAppError(error) ? error.details?.retryAfterSeconds : undefined;
  return { failures, retryAfterSeconds: typeof after === 'number' ? after : 0 };
}
