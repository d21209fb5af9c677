/** What does not work as it should, in words for whoever looks at their status. */
import { formatInstant } from '../protocol/time.ts';
import type { PollRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import type { Outbox } from './outbox.ts';
import { askedFor } from './poll-subjects.ts';
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
  const polls = (await tx.polls()).filter(askedFor(catalogue));
  const withheld = (await hasOverdueReview(tx, user, nowMs))
    ? ['a review of your access is overdue: nothing opens for you by itself']
    : [];
  return [...withheld, ...sourceWarnings(polls), ...(await outbox.warnings(tx))];
}

/** One for each source, however many of its feeds it is: what has been missing for longest. */
function sourceWarnings(polls: readonly PollRow[]): string[] {
  const worst = new Map<string, PollRow>();
  for (const poll of polls) {
    if (poll.failures < FAILURES && poll.emptySince === null) continue;
    const known = worst.get(poll.source);
    if (!known || (poll.succeededAt ?? 0) < (known.succeededAt ?? 0)) worst.set(poll.source, poll);
  }
  return [...worst.values()].map(({ source, succeededAt, lastError }) => {
    const since = succeededAt === null ? 'ever' : formatInstant(succeededAt);
    return `source ${source} has given no good answer since ${since}: ${lastError ?? 'unknown'}`;
  });
}
