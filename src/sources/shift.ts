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
