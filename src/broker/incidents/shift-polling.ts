/** Reads the feeds of shifts of one source, and keeps what they say as dated snapshots. */
import type { Logger } from 'pino';
import type { Source } from '../../catalogue/types.ts';
import type { Json } from '../../protocol/canonical-json.ts';
import type { FetchedShifts, OutsideShift, ShiftFeedReader, Validators } from '../../sources/shift.ts';
import type { PollRow } from '../../store/rows.ts';
import type { Store } from '../../store/store.ts';
import { type DueFeed, shiftSubject } from '../poll-subjects.ts';
import { mapLimited } from './map-limited.ts';
import { type Asked, pollsOf, recordFailure, WENT_WELL } from './poll-record.ts';

const DAY_MS = 86_400_000;
const SPAN = { beforeMs: DAY_MS, afterMs: 14 * DAY_MS };
const AT_ONCE = 6;

/** Asks for each feed, until `signal` fires. It went well where one of them answered: the others have their own record. */
export async function pollShifts(
  store: Store,
  logger: Logger,
  source: Source,
  reader: ShiftFeedReader,
  feeds: readonly DueFeed[],
  signal: AbortSignal,
): Promise<Asked> {
  const states = await pollsOf(store, source);
  const snapshots = await store.read((tx) => tx.shiftSnapshots());
  const newest = new Map(
    snapshots.filter((row) => row.source === source.id).map((row) => [row.feed, row.shifts]),
  );
  const triedAt = ({ feed }: DueFeed) => states.get(shiftSubject(feed))?.triedAt ?? 0;
  // Those that the time does not suffice for were tried least recently, and come first the next time.
  const due = feeds.toSorted((a, b) => triedAt(a) - triedAt(b));
  const all: Asked[] = [];
  await mapLimited(due, AT_ONCE, async (one) => {
    if (signal.aborted || all.some(({ retryAfterSeconds }) => retryAfterSeconds > 0)) return;
    const known = newest.get(one.feed.id) as unknown as OutsideShift[] | undefined;
    all.push(
      await pollFeed(
        store,
        logger,
        { source, one, known, before: states.get(shiftSubject(one.feed)) },
        (...to) => reader.fetchShifts(one.feed, ...to, signal),
      ),
    );
  });
  return {
    failures: all.length === 0 ? 0 : Math.min(...all.map(({ failures }) => failures)),
    retryAfterSeconds: Math.max(0, ...all.map(({ retryAfterSeconds }) => retryAfterSeconds)),
  };
}

async function pollFeed(
  store: Store,
  logger: Logger,
  feed: {
    source: Source;
    one: DueFeed;
    /** Undefined where nothing is. */
    known: readonly OutsideShift[] | undefined;
    before: PollRow | undefined;
  },
  fetch: (
    span: { fromMs: number; toMs: number; timeZone: string },
    validators: Validators,
  ) => Promise<FetchedShifts>,
): Promise<Asked> {
  const { source, one, known = [], before } = feed;
  const subject = shiftSubject(one.feed);
  const askedAt = await store.now();
  // Where nothing is known any more, nothing can be unchanged.
  const validators = feed.known === undefined ? {} : ((before?.validators ?? {}) as Validators);
  const span = { fromMs: askedAt - SPAN.beforeMs, toMs: askedAt + SPAN.afterMs, timeZone: one.timeZone };
  const answer = await fetch(span, validators).catch((error: unknown) => ({ error }));
  if ('error' in answer) return recordFailure(store, logger, { source, subject, before }, answer.error);

  await store.write(async (tx) => {
    const nowMs = await tx.now();
    const said = answer.unchanged ? known : answer.shifts;
    // Nobody where there was somebody: a fault until it has been said for as long as knowledge stays fresh.
    const isSudden = said.length === 0 && known.some(({ endsAtMs }) => endsAtMs === null || endsAtMs > nowMs);
    const emptySince = isSudden ? (before?.emptySince ?? nowMs) : null;
    const isBelieved = emptySince === null || nowMs - emptySince >= source.freshSeconds * 1000;
    if (isBelieved) {
      // As old as the question: what changed while it was under way is not in it.
      await tx.putShiftSnapshot({
        source: source.id,
        feed: one.feed.id,
        takenAt: nowMs,
        fetchedAt: Math.min(askedAt, nowMs),
        shifts: said.map((shift) => ({ ...shift })) as unknown as Json,
      });
    } else {
      logger.warn(
        { source: source.id, feed: one.feed.id },
        'the feed is empty all at once: not believed yet',
      );
    }
    await tx.putPoll({
      source: source.id,
      subject,
      succeededAt: isBelieved ? nowMs : (before?.succeededAt ?? null),
      triedAt: nowMs,
      failures: 0,
      lastError: isBelieved ? null : 'it names nobody all at once, which is not believed yet',
      // Of what was not taken nothing may be called unchanged.
      validators: answer.unchanged ? validators : isBelieved ? answer.validators : {},
      emptySince: isBelieved ? null : emptySince,
    });
  });
  return WENT_WELL;
}
