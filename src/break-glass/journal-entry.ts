/**
 * The journal of a device: what break-glass does, written down before it does it. Entries are numbered from 1 for as long as
 * the device lives, each holds the hash of the one before and is signed by the device, so that one that is missing, altered, moved
 * or written a second time shows. One entry is one line: canonical JSON (RFC 8785), at most {@link MAX_LINE_BYTES}.
 *
 * The signature is over "oncall-journal/v1\n" and the canonical JSON of everything but the signature. The hash of an entry is
 * SHA-256 of its line without the line end; that of the first one's predecessor is of "oncall-journal/v1\n" and the device's id.
 */
import {
  doesFollow,
  hashOfLine,
  type JournalHead,
  type JournalLine,
  journalBytes,
  MAX_JOURNAL_LINE_BYTES,
  parseJournalLine,
  requireSigned,
} from '../audit/journal-line.ts';
import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { type JournalEvent, parseJournalEvent } from './journal-event.ts';

export { doesFollow, emptyHead, type JournalHead } from '../audit/journal-line.ts';

export interface JournalEntry extends JournalLine {
  readonly event: JournalEvent;
}

export const MAX_LINE_BYTES = MAX_JOURNAL_LINE_BYTES;
/** What a device hands in at once. */
export const MAX_PAGE_LINES = 200;
/** Of its lines together, without line ends. */
export const MAX_PAGE_BYTES = 256 * 1024;

/** The line of the entry that follows `head`, without line end, and where the journal then stands. */
export async function createEntry(
  head: JournalHead,
  entry: Pick<JournalEntry, 'at' | 'device' | 'user' | 'event'>,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<{ line: string; head: JournalHead }> {
  const { at, device, user, event } = entry;
  const unsigned = { seq: head.seq + 1, prev: head.hash, at, device, user, event };
  const signature = Buffer.from(await sign(journalBytes(unsigned))).toString('base64url');
  const line = canonicalJson({ ...unsigned, signature } as unknown as Json);
  if (Buffer.byteLength(line) > MAX_LINE_BYTES)
    throw new AppError('too_large', 'the entry does not fit into a journal');
  return { line, head: { seq: unsigned.seq, hash: hashOfLine(line) } };
}

/** Strictly: one spelling, nothing missing, nothing more. Proves nothing yet. Throws AppError `audit_invalid`. */
export function parseEntry(line: string): JournalEntry {
  const parsed = parseJournalLine(line);
  return { ...parsed, event: parseJournalEvent(parsed.event) };
}

/**
 * The entry behind a line that `publicKey` (text form) of `device` signed, wherever it belongs, and where a journal that ends
 * with it stands. Throws AppError `audit_invalid` for another device's or a wrong signature.
 */
export function readSignedEntry(
  line: string,
  device: { id: string; publicKey: string },
): { entry: JournalEntry; head: JournalHead } {
  const entry = parseEntry(line);
  requireSigned(entry, device);
  return { entry, head: { seq: entry.seq, hash: hashOfLine(line) } };
}

/** The same for a line that follows `head`; throws AppError `conflict` where it does not. */
export function verifyEntry(
  line: string,
  head: JournalHead,
  device: { id: string; publicKey: string },
): { entry: JournalEntry; head: JournalHead } {
  const read = readSignedEntry(line, device);
  if (!doesFollow(read.entry, head))
    throw new AppError('conflict', `entry ${read.entry.seq} does not follow entry ${head.seq}`);
  return read;
}
