/**
 * The journal of this device, read and written: alone among all processes, verified from where the broker has acknowledged it, and on
 * the disk before anything rests on it. Without it nothing is opened.
 */
import {
  createEntry,
  type JournalEntry,
  type JournalHead,
  parseEntry,
  verifyEntry,
} from '../../break-glass/journal-entry.ts';
import type { JournalEvent } from '../../break-glass/journal-event.ts';
import { isAppError } from '../../protocol/errors.ts';
import { formatInstant } from '../../protocol/time.ts';
import { ensureDir } from '../files.ts';
import { withLock } from '../lock.ts';
import type { ClientPaths } from '../paths.ts';
import {
  appendLines,
  damaged,
  hasBase,
  type JournalBase,
  readBase,
  readWholeLines,
  replaceLines,
  writeBase,
} from './journal-files.ts';
import { journalFiles } from './journal-place.ts';
import { type SlotUse, usesAfter } from './slot-uses.ts';

/** Nobody holds it for longer than a sync takes. */
const LOCK_TIMEOUT_MS = 10_000;

/** Whose journal it is, and what writes it. */
export interface JournalOwner {
  readonly paths: ClientPaths;
  readonly device: string;
  readonly user: string;
  /** Text form of the device's signing key. */
  readonly publicKey: string;
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
  readonly now: () => number;
}

export interface Journal {
  readonly head: JournalHead;
  readonly base: JournalBase;
  /** Those on the disk: at least all that the broker has not acknowledged. */
  readonly entries: readonly JournalEntry[];
  readonly uses: readonly SlotUse[];
  /** The newest time in any of its entries, milliseconds since 1970. */
  readonly newestAtMs: number;
  /** Writes entries that follow, all with one sync. `seq` is the number that the first gets. */
  append(events: (seq: number) => readonly JournalEvent[]): Promise<void>;
}

/** Throws AppError `busy`, `corrupt_file`, `unsafe_file`, and what `work` throws. */
export function withJournal<T>(owner: JournalOwner, work: (journal: Journal) => Promise<T>): Promise<T> {
  const { paths } = owner;
  ensureDir(paths.breakGlassDir);
  return withLock(journalFiles(paths).lock, () => work(openJournal(owner)), { timeoutMs: LOCK_TIMEOUT_MS });
}

function openJournal(owner: JournalOwner): Journal {
  const { paths, device, user, publicKey, sign, now } = owner;
  const base = readBase(paths, device);
  const lines = withoutTorn(readWholeLines(paths));
  const read = readEntries(lines, base, { id: device, publicKey }, journalFiles(paths).journal);
  let { head } = read;
  let wholeBytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  const entries = [...read.entries];
  return {
    get head() {
      return head;
    },
    base,
    entries,
    get uses() {
      const newer = entries.filter(({ seq }) => seq > base.acknowledged.seq);
      return usesAfter(base.uses, newer, now());
    },
    get newestAtMs() {
      return Math.max(Date.parse(base.newestAt ?? '') || 0, ...entries.map(({ at }) => Date.parse(at)));
    },
    async append(events) {
      const written: string[] = [];
      let next = head;
      for (const event of events(head.seq + 1)) {
        const made = await createEntry(next, { at: formatInstant(now()), device, user, event }, sign);
        written.push(made.line);
        next = made.head;
      }
      // Whose it is stands there before there is anything in it.
      if (!hasBase(paths)) await writeBase(paths, base);
      await appendLines(paths, written, wholeBytes);
      head = next;
      entries.push(...written.map(parseEntry));
      wholeBytes += written.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
    },
  };
}

/** A line that was being written when the machine went down may have an end and no sense. Only the last can be such a one. */
function withoutTorn(lines: readonly string[]): readonly string[] {
  const whole = [...lines];
  for (let last = whole.at(-1); last !== undefined && !isEntry(last); last = whole.at(-1)) whole.pop();
  return whole;
}

function isEntry(line: string): boolean {
  try {
    parseEntry(line);
    return true;
  } catch (error) {
    if (isAppError(error)) return false;
    throw error;
  }
}

/** Those up to the acknowledged one are only looked at: the broker has them. */
function readEntries(
  lines: readonly string[],
  { acknowledged }: JournalBase,
  device: { id: string; publicKey: string },
  path: string,
): { entries: JournalEntry[]; head: JournalHead } {
  const entries: JournalEntry[] = [];
  let head = acknowledged;
  try {
    for (const line of lines) {
      const known = parseEntry(line);
      const isKnown = known.seq <= acknowledged.seq && entries.every(({ seq }) => seq < known.seq);
      const verified = isKnown ? { entry: known, head } : verifyEntry(line, head, device);
      entries.push(verified.entry);
      head = verified.head;
    }
  } catch (error) {
    if (isAppError(error)) throw damaged(path);
    throw error;
  }
  return { entries, head };
}

/**
 * Notes that the broker has all up to `acknowledged`, or what the webhook was told. Entries that nobody needs any more are let go of.
 * The caller has the lock.
 */
export async function settleBase(
  paths: ClientPaths,
  journal: { readonly base: JournalBase; readonly lines: readonly string[] },
  change: Partial<Pick<JournalBase, 'acknowledged' | 'told' | 'broken'>>,
  nowMs: number,
): Promise<void> {
  const { base, lines } = journal;
  const after = { ...base, ...change };
  const entries = lines.map(parseEntry);
  const newlyKnown = entries.filter(
    ({ seq }) => seq > base.acknowledged.seq && seq <= after.acknowledged.seq,
  );
  const newestAt = [base.newestAt, ...newlyKnown.map(({ at }) => at)].reduce(later, null);
  await writeBase(paths, { ...after, newestAt, uses: usesAfter(base.uses, newlyKnown, nowMs) });
  const isNeeded = ({ seq, event }: JournalEntry) =>
    seq > after.acknowledged.seq || (event.type === 'open' && seq > after.told);
  const isDone = !entries.some(isNeeded);
  if (isDone && lines.length > 0) await replaceLines(paths, []);
}

function later(one: string | null, other: string | null): string | null {
  return one === null || (other !== null && other > one) ? other : one;
}
