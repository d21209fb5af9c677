/**
 * A page of a journal, line by line, against what is known of it. Nothing is written here. Each line that the device signed is
 * kept, whether or not it fits: what a broken journal still tells is worth having.
 */
import { createHash } from 'node:crypto';
import {
  doesFollow,
  emptyHead,
  type JournalEntry,
  type JournalHead,
  readSignedEntry,
} from '../break-glass/journal-entry.ts';
import { isAppError } from '../protocol/errors.ts';
import type { DeviceRow, JournalRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { type Opening, OpeningJudge } from './journal-openings.ts';
import { JournalPast } from './journal-past.ts';

export type ReadLine = NewEntry | KnownEntry | Unreadable;

export interface NewEntry {
  readonly kind: 'new';
  readonly line: string;
  readonly entry: JournalEntry;
  readonly head: JournalHead;
  /** It continues what is known; else the journal broke before it. */
  readonly follows: boolean;
  /** In words, for people: what a person has to look at. */
  readonly findings: readonly string[];
  readonly opening: Opening | undefined;
}

/** The log has it. */
export interface KnownEntry {
  readonly kind: 'known';
  readonly entry: JournalEntry;
  readonly head: JournalHead;
  /** The device is back at a place beyond the one that was believed to be its end. */
  readonly moves: boolean;
}

/** Not this device's word. */
export interface Unreadable {
  readonly kind: 'unreadable';
  /** Hex SHA-256 of the line. */
  readonly sha256: string;
  readonly isNew: boolean;
  readonly finding: string;
}

export function headOf(device: string, row: JournalRow | undefined): JournalHead {
  return row ? { seq: row.seq, hash: row.hash } : emptyHead(device);
}

export async function readPage(
  tx: ReadTx,
  log: Pick<AuditLog, 'timeOf'>,
  device: DeviceRow,
  row: JournalRow | undefined,
  lines: readonly string[],
): Promise<ReadLine[]> {
  const past = new JournalPast(tx, device.id);
  const judge = new OpeningJudge(tx, log, device, past);
  const read: ReadLine[] = [];
  const onPage = new Set<string>();
  let head = headOf(device.id, row);
  let highest = row?.highest ?? 0;
  for (const line of lines) {
    const one = await readLine(line);
    if (one.kind === 'new') {
      past.add(one.entry);
      onPage.add(one.head.hash);
      highest = Math.max(highest, one.entry.seq);
    }
    if (one.kind === 'new' || (one.kind === 'known' && one.moves)) head = one.head;
    read.push(one);
  }
  return read;

  async function readLine(line: string): Promise<ReadLine> {
    const signed = openLine(line, device);
    if ('finding' in signed) {
      const sha256 = createHash('sha256').update(line).digest('hex');
      const before = await tx.auditSearch({ event: 'journal.unreadable', subject: sha256, limit: 1 });
      return { kind: 'unreadable', sha256, isNew: before.length === 0, finding: signed.finding };
    }
    const { entry, head: after } = signed;
    if (await isKnown(line, entry, after))
      return { kind: 'known', entry, head: after, moves: after.seq > head.seq };
    const follows = doesFollow(entry, head);
    const { opening, findings } = await judged(entry);
    const all = [
      ...(follows ? [] : [wordsOfBreak(entry, head)]),
      ...(entry.user === device.user ? [] : ['was written for another person']),
      ...findings,
    ];
    return { kind: 'new', line, entry, head: after, follows, findings: all, opening };
  }

  async function isKnown(line: string, { seq }: JournalEntry, after: JournalHead): Promise<boolean> {
    if (seq > highest) return false;
    if ((seq === head.seq && after.hash === head.hash) || onPage.has(after.hash)) return true;
    return past.has(line, seq);
  }

  async function judged(
    entry: JournalEntry,
  ): Promise<{ opening: Opening | undefined; findings: readonly string[] }> {
    const { event } = entry;
    if (event.type === 'open') return judge.judge(entry, event);
    const isStray = (event.type === 'use' || event.type === 'login') && !(await judge.isOpened(event));
    return { opening: undefined, findings: isStray ? ['uses what was not opened'] : [] };
  }
}

function openLine(
  line: string,
  device: DeviceRow,
): { entry: JournalEntry; head: JournalHead } | { finding: string } {
  try {
    return readSignedEntry(line, { id: device.id, publicKey: device.signingKey });
  } catch (error) {
    if (!isAppError(error, 'audit_invalid')) throw error;
    return { finding: `a line was handed in that is ${error.message.replace(/^the entry is /, '')}` };
  }
}

function wordsOfBreak({ seq }: JournalEntry, head: JournalHead): string {
  if (seq > head.seq + 1) {
    const [from, to] = [head.seq + 1, seq - 1];
    return from === to
      ? `entry ${from} is missing before it`
      : `entries ${from} to ${to} are missing before it`;
  }
  return seq === head.seq + 1
    ? `continues another entry ${head.seq} than the known one`
    : 'is there a second time, with other words: the journal was rolled back, or is kept twice';
}
