/** Reads the incidents of one source: what a delivery missed, and whether what it said is so. */
import type { Logger } from 'pino';
import type { Source } from '../../catalogue/types.ts';
import type { IncidentReader, OutsideIncident } from '../../sources/incident.ts';
import type { Store } from '../../store/store.ts';
import { INCIDENTS } from '../poll-subjects.ts';
import type { IncidentFeed } from './incident-feed.ts';
import { type Asked, pollsOf, recordFailure, WENT_WELL } from './poll-record.ts';

const DAY_MS = 86_400_000;
/** Looking back further than the last answer: the vendor's clock is not ours. */
const OVERLAP_MS = 10 * 60_000;
const MOST_CONFIRMED = 50;
const MOST_OPEN = 1000;
/** A vendor tells of an incident before all of its API knows it. */
const SETTLING_MS = 60_000;

export async function pollIncidents(
  store: Store,
  logger: Logger,
  feed: IncidentFeed,
  source: Source,
  reader: IncidentReader,
  signal: AbortSignal,
): Promise<Asked> {
  const before = (await pollsOf(store, source)).get(INCIDENTS);
  const askedAt = await store.now();
  const since = (before?.succeededAt ?? askedAt - DAY_MS) - OVERLAP_MS;
  const fail = (error: unknown) =>
    recordFailure(store, logger, { source, subject: INCIDENTS, before }, error);

  const answer = await caught(reader.fetchIncidents(since, signal));
  if ('error' in answer) return fail(answer.error);
  for (const word of answer.value) await take(word);

  // What a delivery opened and the list does not have: asked for one by one, least recently confirmed first.
  const listed = new Set(answer.value.map(({ externalId }) => externalId));
  const open = await store.read((tx) => tx.incidents({ source: source.id, state: 'open', limit: MOST_OPEN }));
  const others = open
    .filter(({ externalId }) => !listed.has(externalId))
    .sort((a, b) => (a.confirmedAt ?? 0) - (b.confirmedAt ?? 0));
  for (const { externalId, openedAt } of others.slice(0, MOST_CONFIRMED)) {
    const found = await caught(reader.fetchIncident(externalId, signal));
    if ('error' in found) return fail(found.error);
    if (found.value) await take(found.value);
    else if (askedAt - openedAt >= SETTLING_MS)
      await store.write((tx) => feed.forget(tx, source, externalId));
  }
  await store.write(async (tx) =>
    tx.putPoll({
      source: source.id,
      subject: INCIDENTS,
      succeededAt: askedAt,
      triedAt: await tx.now(),
      failures: 0,
      lastError: null,
      validators: {},
      emptySince: null,
    }),
  );
  return WENT_WELL;

  function take(word: OutsideIncident): Promise<string> {
    return store.write(async (tx) => {
      // A word from the future would stand against every later one.
      const occurredAtMs = Math.min(word.occurredAtMs, await tx.now());
      return feed.take(tx, source, { ...word, occurredAtMs }, true);
    });
  }
}

/** The system's failure is kept beside it; our own store's is not to be taken for one. */
function caught<T>(answer: Promise<T>): Promise<{ value: T } | { error: unknown }> {
  return answer.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}
