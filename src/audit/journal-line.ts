/**
 * One line of a device's journal, as far as its signature and its place go: what `audit verify` checks of the lines that the log
 * embeds. What an entry tells is read in break-glass/journal-entry.ts, where the format is described.
 */
import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { isSignedWith, parsePublicKey } from '../protocol/keys.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { hasExactly, isBase64url, isInstant, isRecord, isText, isWhole } from './json-shape.ts';

export interface JournalLine {
  /** From 1, without gaps. */
  readonly seq: number;
  /** base64url SHA-256 of the line before. */
  readonly prev: string;
  /** By the device's clock: RFC 3339, UTC, milliseconds. */
  readonly at: string;
  readonly device: string;
  readonly user: string;
  readonly event: unknown;
  /** base64url, 64 bytes, by the device's signing key. */
  readonly signature: string;
}

/** Where a journal stands: the number and hash of its newest entry. */
export interface JournalHead {
  readonly seq: number;
  readonly hash: string;
}

export const MAX_JOURNAL_LINE_BYTES = 16_384;
const PREFIX = 'oncall-journal/v1\n';
const [HASH_BYTES, SIGNATURE_BYTES] = [32, 64];
const MEMBERS = ['seq', 'prev', 'at', 'device', 'user', 'event', 'signature'];

/** Of a device that has written nothing yet. */
export function emptyHead(device: string): JournalHead {
  return { seq: 0, hash: hashOfLine(`${PREFIX}${device}`) };
}

/** Without its line end. */
export function hashOfLine(line: string): string {
  return createHash('sha256').update(line).digest('base64url');
}

export function journalBytes(unsigned: Omit<JournalLine, 'signature'>): Buffer {
  return Buffer.from(`${PREFIX}${canonicalJson(unsigned as unknown as Json)}`);
}

/** Strictly: one spelling, nothing missing, nothing more. Proves nothing yet. Throws AppError `audit_invalid`. */
export function parseJournalLine(line: string): JournalLine {
  const value = Buffer.byteLength(line) > MAX_JOURNAL_LINE_BYTES ? undefined : parseJson(line);
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
  const { seq, prev, at, device, user, event, signature } = value;
  return { seq, prev, at, device, user, event, signature };
}

/** Returns if `publicKey` (text form) of this device signed it. Throws AppError `audit_invalid`. */
export function requireSigned(line: JournalLine, device: { id: string; publicKey: string }): void {
  const { signature, ...unsigned } = line;
  const key = parsePublicKey(device.publicKey);
  if (
    line.device !== device.id ||
    !isSignedWith(key, journalBytes(unsigned), Buffer.from(signature, 'base64url'))
  )
    throw new AppError('audit_invalid', 'the entry is not signed by this device');
}

export function doesFollow({ seq, prev }: Pick<JournalLine, 'seq' | 'prev'>, head: JournalHead): boolean {
  return seq === head.seq + 1 && prev === head.hash;
}

function parseJson(line: string): unknown {
  try {
    return parseStrictJson(Buffer.from(line));
  } catch (cause) {
    throw new AppError('audit_invalid', 'not an entry of a journal', { cause });
  }
}
