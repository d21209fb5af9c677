/** What the offline verification of an audit log reports: see verify.ts for what each kind means. */
export type ProblemKind =
  | 'edited'
  | 'dropped'
  | 'reordered'
  | 'not-canonical'
  | 'bad-signature'
  | 'journal-gap'
  | 'checkpoint-mismatch'
  | 'receipt-mismatch'
  | 'malformed';

export interface Problem {
  /** The first entry concerned; null where it can't be known. */
  readonly index: number | null;
  readonly kind: ProblemKind;
  readonly detail: string;
}

export interface VerifyReport {
  readonly origin: string;
  /** Entries read. */
  readonly entries: number;
  /** base64, as in a checkpoint. Null where an entry was missing, out of place or unreadable. */
  readonly rootHash: string | null;
  /** In the order of the log; at most {@link MAX_PROBLEMS}, after which reading stops. Empty: the log holds. */
  readonly problems: readonly Problem[];
  readonly truncation: 'checked' | 'not checkable';
  readonly logKey: 'pinned' | 'from the file';
}

/** A file with more problems than this is not worth reading further. */
export const MAX_PROBLEMS = 1_000;

/** By index; those without a place in the log come last. */
export function compareProblems(a: Problem, b: Problem): number {
  return (a.index ?? Number.MAX_SAFE_INTEGER) - (b.index ?? Number.MAX_SAFE_INTEGER);
}
