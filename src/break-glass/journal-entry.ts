/**
 * The journal of a device: what break-glass does, written down before it does it. Entries are numbered from 1 for as long as
 * the device lives, each holds the hash of the one before and is signed by the device, so that one that is missing, altered, moved
 * or written a second time shows. One entry is one line: canonical JSON (RFC 8785), at most {@link MAX_LINE_BYTES}.
 *
 * The signature is over "oncall-journal/v1\n" and the canonical JSON of everything but the signature. The hash of an entry is
 * SHA-256 of its line without the line end; that of the first one's predecessor is of "oncall-journal/v1\n" and the device's id.
 */
import { createHash } from 'node:crypto';
import { hasExactly, isBase64url, isInstant, isRecord, isText, isWhole } from '../audit/json-shape.ts';
import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { isSignedWith, parsePublicKey } from '../protocol/keys.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { type JournalEvent, parseJournalEvent } from './journal-event.ts';

export interface JournalEntry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** base64url SHA-256 of the line before. */
  readonly prev: string;
  /** By the device's clock: RFC 3339, UTC, milliseconds. */
  readonly at: string;
  readonly device: string;
  readonly user: string;
  readonly event: JournalEvent;
  /** base64url, 64 bytes, by the device's signing key. */
  readonly signature: string;
}

/** Where a journal stands: the number and hash of its newest entry. */
export interface JournalHead {
  readonly seq: number;
  readonly hash: string;
}

export const MAX_LINE_BYTES = 16_384;
const PREFIX = 'oncall-journal/v1\n';
const [HASH_BYTES, SIGNATURE_BYTES] = [32, 64];
const MEMBERS = ['seq', 'prev', 'at', 'device', 'user', 'event', 'signature'];

/** Of a device that has written nothing yet. */
export function emptyHead(device: string): JournalHead {
  return { seq: 0, hash: hashOf(`${PREFIX}${device}`) };
}

/** The line of the entry that follows `head`, without line end, and where the journal then stands. */
export async function createEntry(
  head: JournalHead,
  entry: Pick<JournalEntry, 'at' | 'device' | 'user' | 'event'>,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<{ line: string; head: JournalHead }> {
  const { at, device, user, event } = entry;
  const unsigned = { seq: head.seq + 1, prev: head.hash, at, device, user, event };
  const signature = Buffer.from(await sign(signedBytes(unsigned))).toString('base64url');
  const line = canonicalJson({ ...unsigned, signature } as unknown as Json);
  if (Buffer.byteLength(line) > MAX_LINE_BYTES)
    throw new AppError('too_large', 'the entry does not fit into a journal');
  return { line, head: { seq: unsigned.seq, hash: hashOf(line) } };
}

/** Strictly: one spelling, nothing missing, nothing more. Proves nothing yet. Throws AppError `audit_invalid`. */
export function parseEntry(line: string): JournalEntry {
  const value = Buffer.byteLength(line) > MAX_LINE_BYTES ? undefined : parseLine(line);
  if (
    !isRecord(value) ||
    !hasExactly(value, MEMBERS) ||
    !isWhole(value.seq) ||
    value.seq === 0 ||
    !isBase64url(value.prev, HASH_BYTES) ||
    !isInstant(value.at) ||
    !isText(value.device) ||
    !isText(value.user) ||
    !isBase64url(value.signature, SIGNATURE_BYTES) ||
    canonicalJson(value as Json) !== line
  ) {
    throw new AppError('audit_invalid', 'not an entry of a journal');
  }
  const { seq, prev, at, device, user, signature } = value;
  return { seq, prev, at, device, user, event: parseJournalEvent(value.event), signature };
}

/**
 * The entry behind a line that follows `head`, signed by `publicKey` (text form) of `device`, and where the journal then
 * stands. Throws AppError `audit_invalid` for another device's or a wrong signature, `conflict` where it does not follow.
 */
export function verifyEntry(
  line: string,
  head: JournalHead,
  device: { id: string; publicKey: string },
): { entry: JournalEntry; head: JournalHead } {
  const entry = parseEntry(line);
  const { signature, ...unsigned } = entry;
  if (
    entry.device !== device.id ||
    !isSignedWith(
      parsePublicKey(device.publicKey),
      signedBytes(unsigned),
      Buffer.from(signature, 'base64url'),
    )
  ) {
    throw new AppError('audit_invalid', 'the entry is not signed by this device');
  }
  if (entry.seq !== head.seq + 1 || entry.prev !== head.hash)
    throw new AppError('conflict', `entry ${entry.seq} does not follow entry ${head.seq}`);
  return { entry, head: { seq: entry.seq, hash: hashOf(line) } };
}

function parseLine(line: string): unknown {
  try {
    return parseStrictJson(Buffer.from(line));
  } catch (cause) {
    throw new AppError('audit_invalid', 'not an entry of a journal', { cause });
  }
}

function signedBytes(unsigned: Omit<JournalEntry, 'signature'>): Buffer {
  return Buffer.from(`${PREFIX}${canonicalJson(unsigned as unknown as Json)}`);
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
