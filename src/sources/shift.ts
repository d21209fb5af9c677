import type { ScheduleFeed } from '../catalogue/types.ts';

/** One person's span on one schedule at one level. */
export interface Shift {
  user: string;
  schedule: string;
  /** 1 is called first. */
  level: number;
  startsAtMs: number;
  /** When it is over; null where the source doesn't say. */
  endsAtMs: number | null;
  /** `static`, or the name of the paging system. */
  source: string;
  fetchedAtMs: number;
}

/**
 * Who is on call. Spans are half-open: at `endsAtMs` the next person is on call. Answers are as old as their
 * `fetchedAtMs`; a source that cannot answer rejects, it never answers with nobody.
 */
export interface ShiftSource {
  readonly name: string;
  shiftsAt(nowMs: number): Promise<readonly Shift[]>;
  /** Every shift that has a moment in [fromMs, toMs), whole, earliest first. */
  shiftsBetween(fromMs: number, toMs: number): Promise<readonly Shift[]>;
}

/** A span as an outside system tells it: its own ids, nobody mapped to anybody yet. */
export interface OutsideShift {
  /** The system's id of the person; for a calendar, the text that names them. Attacker-controlled. */
  outsideUser: string;
  level: number;
  startsAtMs: number;
  endsAtMs: number | null;
}

/** What a feed said, to be sent back with the next question (`etag`, `last-modified`). Small, and JSON. */
export type Validators = Readonly<Record<string, string>>;

export type FetchedShifts =
  /** The system vouches that what it said with these validators still stands, and that was said about all of the span asked for now. */
  { unchanged: true } | { unchanged: false; shifts: readonly OutsideShift[]; validators: Validators };

/** What is asked of a feed. */
export interface FeedSpan {
  fromMs: number;
  toMs: number;
  /** The schedule's (IANA): where a calendar's whole days and its times without a zone are. */
  timeZone: string;
}

/**
 * Reads one feed (catalogue: `schedules.NAME.from`) from an outside system: whole spans, all that have a moment in
 * [fromMs, toMs), perhaps others. Rejects with AppError `source_failed` for no answer, an error, a malformed or oversized one, and
 * after retries that `signal` did not cut short. Never answers with nobody because something went wrong.
 */
export interface ShiftFeedReader {
  fetchShifts(
    feed: ScheduleFeed,
    span: FeedSpan,
    validators: Validators,
    signal: AbortSignal,
  ): Promise<FetchedShifts>;
}
