/**
 * Reading outside systems, apart from every decision: each source's feeds and incidents are asked for in due time, and what
 * they say is kept. One broker at a time asks (the job's lease); all of them read what was kept.
 */
import type { Logger } from 'pino';
import type { Source } from '../../catalogue/types.ts';
import { createId } from '../../protocol/ids.ts';
import type { Readers } from '../../sources/readers.ts';
import type { Store, Tx } from '../../store/store.ts';
import { feedsOf, hasIncidents, INCIDENTS } from '../poll-subjects.ts';
import type { CurrentRules } from '../rules.ts';
import type { IncidentFeed } from './incident-feed.ts';
import { pollIncidents } from './incident-polling.ts';
import { type Asked, WENT_WELL } from './poll-record.ts';
import { pollShifts } from './shift-polling.ts';

export interface Polling {
  /** Sees that every source of the catalogue is asked, from now on. */
  schedule(tx: Tx): Promise<void>;
  /** The timer of `SOURCE shifts` or `SOURCE incidents`. */
  poll(subject: string, signal: AbortSignal): Promise<number | undefined>;
  /** Asks for a source's incidents as soon as can be: a delivery has just said something that it may confirm. */
  hurry(tx: Tx, source: Source): Promise<void>;
}

const LONGEST_BACKOFF_MS = 5 * 60_000;
/** A vendor may ask us to stay away for longer than that, within reason. */
const LONGEST_ABSENCE_MS = 3_600_000;
/** Deliveries come in storms; the API is not asked once for each. */
const BETWEEN_HURRIES_MS = 2000;

export function createPolling(
  store: Store,
  rules: CurrentRules,
  feed: IncidentFeed,
  deps: {
    readersOf: (source: Source) => Promise<Pick<Readers, 'shifts' | 'incidents'>>;
    logger: Logger;
    /** After a source's feeds were read. */
    onShifts: () => Promise<void>;
    random: () => number;
  },
): Polling {
  const { readersOf, logger, random } = deps;

  async function ask(source: Source, what: string | undefined, signal: AbortSignal): Promise<Asked> {
    const { shifts, incidents } = await readersOf(source);
    if (what === 'shifts') {
      if (!shifts) return WENT_WELL;
      const feeds = feedsOf(rules().catalogue, source.id);
      const asked = await pollShifts(store, logger, source, shifts, feeds, signal);
      await deps.onShifts();
      return asked;
    }
    return incidents ? pollIncidents(store, logger, feed, source, incidents, signal) : WENT_WELL;
  }

  async function insert(tx: Tx, source: Source, what: 'shifts' | 'incidents', dueAt: number): Promise<void> {
    const subject = `${source.id} ${what}`;
    await tx.insertJob({ id: createId('job', await tx.now()), kind: 'poll', subject, dueAt });
  }

  return {
    async schedule(tx) {
      const { catalogue } = rules();
      const nowMs = await tx.now();
      for (const source of catalogue.sources.values()) {
        if (feedsOf(catalogue, source.id).length > 0) await insert(tx, source, 'shifts', nowMs);
        if (hasIncidents(source)) await insert(tx, source, 'incidents', nowMs);
      }
    },

    async poll(subject, signal) {
      const [id = '', what] = subject.split(' ');
      const source = rules().catalogue.sources.get(id);
      if (!source) return undefined;
      const pauseMs = pauseAfter(await ask(source, what, signal), source, random());
      return (await store.now()) + pauseMs;
    },

    async hurry(tx, source) {
      if (!hasIncidents(source)) return;
      const poll = (await tx.polls()).find((row) => row.source === source.id && row.subject === INCIDENTS);
      // One that does not answer now is given its time.
      if (poll && poll.failures > 0) return;
      const nowMs = await tx.now();
      await insert(tx, source, 'incidents', Math.max(nowMs, (poll?.triedAt ?? 0) + BETWEEN_HURRIES_MS));
    },
  };
}

/** `chance` from 0 to 1: brokers and sources that began together must not ask together for ever. */
function pauseAfter({ failures, retryAfterSeconds }: Asked, { pollSeconds }: Source, chance: number): number {
  const pollMs = pollSeconds * 1000;
  const backoffMs = Math.min(pollMs * 2 ** failures, Math.max(pollMs, LONGEST_BACKOFF_MS));
  const absenceMs = Math.min(retryAfterSeconds * 1000, LONGEST_ABSENCE_MS);
  // The store keeps whole milliseconds.
  return Math.ceil(Math.max(backoffMs * (0.9 + chance * 0.2), absenceMs * (1 + chance * 0.1)));
}
