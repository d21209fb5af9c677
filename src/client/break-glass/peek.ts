/**
 * What the journal's files say, without the keys that prove it and without waiting for whoever writes: for showing it, for sending it
 * to the broker, who proves it, and for saying how far it goes.
 */
import { type JournalEntry, parseEntry } from '../../break-glass/journal-entry.ts';
import { isAppError } from '../../protocol/errors.ts';
import type { ClientPaths } from '../paths.ts';
import { type JournalBase, readBase, readWholeLines } from './journal-files.ts';
import { hasJournal } from './journal-place.ts';
import { type SlotUse, usesAfter } from './slot-uses.ts';

export interface PeekedJournal {
  readonly base: JournalBase;
  /** Whole lines that are entries, oldest first. */
  readonly lines: readonly string[];
  readonly entries: readonly JournalEntry[];
  /** Those that the broker has not acknowledged. */
  readonly unreported: readonly string[];
  readonly uses: readonly SlotUse[];
  /** The newest entry's number; 0 where there never was one. */
  readonly newest: number;
}

/** Throws AppError `corrupt_file`, `unsafe_file`. */
export function peekJournal(paths: ClientPaths, device: string, nowMs: number): PeekedJournal {
  const base = readBase(paths, device);
  const parsed = hasJournal(paths) ? readWholeLines(paths).flatMap(parsedLine) : [];
  const isNew = ({ entry: { seq } }: { entry: JournalEntry }) => seq > base.acknowledged.seq;
  const entries = parsed.map(({ entry }) => entry);
  return {
    base,
    entries,
    lines: parsed.map(({ line }) => line),
    unreported: parsed.filter(isNew).map(({ line }) => line),
    uses: usesAfter(
      base.uses,
      parsed.filter(isNew).map(({ entry }) => entry),
      nowMs,
    ),
    newest: entries.at(-1)?.seq ?? base.acknowledged.seq,
  };
}

/** What a crash left of a line is none. */
function parsedLine(line: string): { line: string; entry: JournalEntry }[] {
  try {
    return [{ line, entry: parseEntry(line) }];
  } catch (error) {
    if (isAppError(error)) return [];
    throw error;
  }
}
