/** What does not work as it should, in words for whoever looks at their status. */
import { formatInstant } from '../protocol/time.ts';
import type { ReadTx } from '../store/store.ts';
import type { Outbox } from './outbox.ts';
import { hasOverdueReview } from './reviews.ts';
import type { Rules } from './rules.ts';

/** One failed try is a hiccup. */
const FAILURES = 3;

export async function warningsFor(
  tx: ReadTx,
  { catalogue }: Rules,
  outbox: Outbox,
  user: string,
): Promise<string[]> {
  const nowMs = await tx.now();
  const silent = (await tx.polls())
    .filter(({ source, failures }) => catalogue.sources.has(source) && failures >= FAILURES)
    .map(({ source, succeededAt, lastError }) => {
      const since = succeededAt === null ? 'ever' : formatInstant(succeededAt);
      return `source ${source} has not answered since ${since}: ${lastError ?? 'unknown'}`;
    });
  const withheld = (await hasOverdueReview(tx, user, nowMs))
    ? ['a review of your access is overdue: nothing opens for you by itself']
    : [];
  return [...withheld, ...new Set(silent), ...(await outbox.warnings(tx))];
}
