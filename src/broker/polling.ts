/**
 * Reading outside systems, apart from every decision: each source's feeds and incidents are asked for in due time, and what
 * they say is kept. One broker at a time asks (the job's lease); all of them read what was kept.
 */
import type { Logger } from 'pino';
import type { Catalogue, ScheduleFeed, Source } from '../catalogue/types.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { createId } from '../protocol/ids.ts';
import type { IncidentReader, OutsideIncident } from '../sources/incident.ts';
import type { Readers } from '../sources/readers.ts';
import type { OutsideShift, ShiftFeedReader, Validators } from '../sources/shift.ts';
import type { PollRow } from '../store/rows.ts';
import type { Store, Tx } from '../store/store.ts';
import type { IncidentFeed } from './incident-feed.ts';
import { mapLimited } from './map-limited.ts';
import type { CurrentRules } from './rules.ts';

export interface Polling {
  /** Sees that every source of the catalogue is asked, from now on. */
  schedule(tx: Tx): Promise<void>;
  /** The timer of `SOURCE shifts` or `SOURCE incidents`. */
  poll(subject: string, signal: AbortSignal): Promise<number | undefined>;
  /** Asks for a source's incidents as soon as can be: a delivery has just said something that it may confirm. */
  hurry(tx: Tx, source: Source): Promise<void>;
}

const DAY_MS = 86_400_000;
const SPAN = { beforeMs: DAY_MS, afterMs: 14 * DAY_MS };
const AT_ONCE = 6;
/** Looking back further than the last answer: the vendor's clock is not ours. */
const OVERLAP_MS = 10 * 60_000;
const MOST_CONFIRMED = 50;
const MOST_OPEN = 1000;
const LONGEST_BACKOFF_MS = 10 * 60_000;

export function createPolling(
  store: Store,
  rules: CurrentRules,
  feed: IncidentFeed,
  deps: {
    readersOf: (source: Source) => Promise<Pick<Readers, 'shifts' | 'incidents'>>;
    logger: Logger;
    /** After what is known of shifts has changed. */
    onShifts: () => Promise<void>;
    random: () => number;
  },
): Polling {
  const { readersOf, logger } = deps;

  async function pollShifts(source: Source, reader: ShiftFeedReader, signal: AbortSignal): Promise<boolean> {
    const states = await pollsOf(source);
    const snapshots = await store.read((tx) => tx.shiftSnapshots());
    const newest = new Map(
      snapshots.filter((row) => row.source === source.id).map((row) => [row.feed, row.shifts]),
    );
    const due = feedsOf(rules().catalogue, source.id).toSorted(
      (a, b) => (states.get(subjectOf(a.feed))?.triedAt ?? 0) - (states.get(subjectOf(b.feed))?.triedAt ?? 0),
    );
    let allWell = true;
    // Those that the time does not suffice for were tried least recently, and come first the next time.
    await mapLimited(due, AT_ONCE, async (one) => {
      if (signal.aborted) return;
      const known = (newest.get(one.feed.id) ?? []) as unknown as OutsideShift[];
      const well = await pollFeed(source, reader, one, known, states.get(subjectOf(one.feed)), signal);
      allWell &&= well;
    });
    await deps.onShifts();
    return allWell;
  }

  async function pollFeed(
    source: Source,
    reader: ShiftFeedReader,
    { feed: outside, timeZone }: DueFeed,
    known: readonly OutsideShift[],
    before: PollRow | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const subject = subjectOf(outside);
    const askedAt = await store.now();
    const span = { fromMs: askedAt - SPAN.beforeMs, toMs: askedAt + SPAN.afterMs, timeZone };
    try {
      const validators = (before?.validators ?? {}) as Validators;
      const answer = await reader.fetchShifts(outside, span, validators, signal);
      await store.write(async (tx) => {
        const nowMs = await tx.now();
        const said = answer.unchanged ? known : answer.shifts;
        // Nobody where there was somebody: a fault until it has been said for as long as knowledge stays fresh.
        const isSudden =
          said.length === 0 && known.some(({ endsAtMs }) => endsAtMs === null || endsAtMs > nowMs);
        const emptySince = isSudden ? (before?.emptySince ?? nowMs) : null;
        const isBelieved = emptySince === null || nowMs - emptySince >= source.freshSeconds * 1000;
        if (isBelieved) {
          const shifts = said.map((shift) => ({ ...shift })) as unknown as Json;
          // As old as the question: what changed while it was under way is not in it.
          await tx.putShiftSnapshot({
            source: source.id,
            feed: outside.id,
            takenAt: nowMs,
            fetchedAt: Math.min(askedAt, nowMs),
            shifts,
          });
        } else {
          logger.warn(
            { source: source.id, feed: outside.id },
            'the feed is empty all at once: not believed yet',
          );
        }
        await tx.putPoll({
          source: source.id,
          subject,
          succeededAt: nowMs,
          triedAt: nowMs,
          failures: 0,
          lastError: isBelieved ? null : 'nobody is on call all at once: not believed yet',
          // Of what was not taken nothing may be called unchanged.
          validators: answer.unchanged ? validators : isBelieved ? answer.validators : {},
          emptySince: isBelieved ? null : emptySince,
        });
      });
      return true;
    } catch (error) {
      await failed(source, subject, before, error);
      return false;
    }
  }

  async function pollIncidents(
    source: Source,
    reader: IncidentReader,
    signal: AbortSignal,
  ): Promise<boolean> {
    const before = (await pollsOf(source)).get(INCIDENTS);
    const askedAt = await store.now();
    try {
      const since = (before?.succeededAt ?? askedAt - DAY_MS) - OVERLAP_MS;
      const words = await reader.fetchIncidents(since, signal);
      for (const word of words) await store.write((tx) => feed.take(tx, source, word, true));
      await confirmOthers(source, reader, new Set(words.map(({ externalId }) => externalId)), signal);
      const nowMs = await store.now();
      await store.write((tx) =>
        tx.putPoll({
          source: source.id,
          subject: INCIDENTS,
          succeededAt: askedAt,
          triedAt: nowMs,
          failures: 0,
          lastError: null,
          validators: {},
          emptySince: null,
        }),
      );
      return true;
    } catch (error) {
      await failed(source, INCIDENTS, before, error);
      return false;
    }
  }

  /** What a delivery opened and the list does not have: asked for one by one, and over where nobody knows it. */
  async function confirmOthers(
    source: Source,
    reader: IncidentReader,
    listed: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<void> {
    const open = await store.read((tx) =>
      tx.incidents({ source: source.id, state: 'open', limit: MOST_OPEN }),
    );
    const others = open.filter(({ externalId }) => !listed.has(externalId)).slice(0, MOST_CONFIRMED);
    for (const incident of others) {
      const word = await reader.fetchIncident(incident.externalId, signal);
      const nowMs = await store.now();
      const gone: OutsideIncident = {
        externalId: incident.externalId,
        aliases: [],
        occurredAtMs: nowMs,
        status: 'resolved',
        priority: incident.priority,
        outsideService: '',
        title: incident.title,
        startedAtMs: incident.startedAt,
        outsideDeclarer: '',
        outsideAssignees: [],
        url: incident.url,
        labels: {},
      };
      await store.write((tx) => feed.take(tx, source, word ?? gone, true));
    }
  }

  async function failed(
    source: Source,
    subject: string,
    before: PollRow | undefined,
    error: unknown,
  ): Promise<void> {
    logger.warn({ err: error, source: source.id, subject }, 'an outside system could not be read');
    await store.write(async (tx) =>
      tx.putPoll({
        source: source.id,
        subject,
        succeededAt: before?.succeededAt ?? null,
        triedAt: await tx.now(),
        failures: (before?.failures ?? 0) + 1,
        lastError: error instanceof Error ? error.message : 'it failed',
        validators: before?.validators ?? {},
        emptySince: before?.emptySince ?? null,
      }),
    );
  }

  async function pollsOf(source: Source): Promise<Map<string, PollRow>> {
    const polls = await store.read((tx) => tx.polls());
    return new Map(polls.filter((row) => row.source === source.id).map((row) => [row.subject, row]));
  }

  async function insert(tx: Tx, source: Source, what: 'shifts' | 'incidents'): Promise<void> {
    const nowMs = await tx.now();
    const subject = `${source.id} ${what}`;
    await tx.insertJob({ id: createId('job', nowMs), kind: 'poll', subject, dueAt: nowMs });
  }

  return {
    async schedule(tx) {
      for (const source of rules().catalogue.sources.values()) {
        if (feedsOf(rules().catalogue, source.id).length > 0) await insert(tx, source, 'shifts');
        if (hasIncidents(source)) await insert(tx, source, 'incidents');
      }
    },

    async poll(subject, signal) {
      const [id = '', what] = subject.split(' ');
      const source = rules().catalogue.sources.get(id);
      if (!source) return undefined;
      const readers = await readersOf(source);
      const well =
        what === 'shifts'
          ? !readers.shifts || (await pollShifts(source, readers.shifts, signal))
          : !readers.incidents || (await pollIncidents(source, readers.incidents, signal));
      const jitter = 0.9 + deps.random() * 0.2;
      const pauseMs = Math.min(source.pollSeconds * 1000 * (well ? 1 : 2), LONGEST_BACKOFF_MS) * jitter;
      return (await store.now()) + pauseMs;
    },

    async hurry(tx, source) {
      if (hasIncidents(source)) await insert(tx, source, 'incidents');
    },
  };
}

const INCIDENTS = 'incidents';

/** Whether the source's incidents can be asked for: it has an API, and we a token for it. */
function hasIncidents({ settings }: Source): boolean {
  return (settings.kind === 'pagerduty' || settings.kind === 'incidentio') && settings.token !== undefined;
}

interface DueFeed {
  feed: ScheduleFeed;
  timeZone: string;
}

/** Each feed of a source once, whichever schedules read it. */
function feedsOf({ schedules }: Catalogue, source: string): DueFeed[] {
  const feeds = [...schedules.values()].flatMap((schedule) =>
    schedule.feeds
      .filter((feed) => feed.source === source)
      .map((feed) => [feed.id, { feed, timeZone: schedule.timeZone }] as const),
  );
  return [...new Map(feeds).values()];
}

function subjectOf({ id }: ScheduleFeed): string {
  return `shifts:${id}`;
}
