import { canonicalJson } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { type AuditEntry, parseEntry } from './entry.ts';
import { hasExactly, isBase64url, isRecord, isText } from './json-shape.ts';
import { HASH_BYTES, leafHash } from './tree-hash.ts';

/**
 * The export of a whole log: UTF-8, one canonical JSON object a line, each line ended by a newline.
 *
 *     {"identityPublicKey":"ed25519:…","logPublicKey":"ed25519:…","oncallAudit":1,"origin":"oncall.example.com/audit"}
 *     {"entry":{"actor":…,"at":…,…},"leafHash":"…"}
 *     {"checkpoint":"oncall.example.com/audit\n1\n…\n\n— oncall.example.com/audit …\n"}
 *
 * The leaf hash beside each entry is the one that the log computed when it appended: an entry changed afterwards no longer
 * matches it, which is how the verifier can say *which* entry was changed.
 */
export interface ExportHeader {
  readonly origin: string;
  /** `ed25519:…`. Hints for whoever pinned no keys: anyone can write a header. */
  readonly logPublicKey: string;
  readonly identityPublicKey: string;
}

/** A row of the store: the entry's canonical text, and its leaf hash as base64url. */
export interface ExportRow {
  readonly entry: string;
  readonly leafHash: string;
}

export type ExportLine =
  | { readonly kind: 'checkpoint'; readonly checkpoint: string }
  | {
      readonly kind: 'entry';
      readonly entry: AuditEntry;
      /** The leaf hash that stands in the line. */
      readonly leafHash: Uint8Array;
      /** The leaf hash of the entry that stands in the line. */
      readonly computedLeafHash: Uint8Array;
      /** Whether the line is byte for byte what the log would write. */
      readonly canonical: boolean;
    };

export const MAX_LINE_BYTES = 256 * 1024;
const FORMAT_VERSION = 1;

/** The lines of an export, each with its newline. `checkpoint` is asked for last, and must be of exactly these rows. */
export async function* writeExport(
  header: ExportHeader,
  rows: AsyncIterable<ExportRow> | Iterable<ExportRow>,
  checkpoint: () => string | Promise<string>,
): AsyncGenerator<string> {
  const { origin, logPublicKey, identityPublicKey } = header;
  yield `${canonicalJson({ oncallAudit: FORMAT_VERSION, origin, logPublicKey, identityPublicKey })}\n`;
  for await (const { entry, leafHash } of rows) yield `${entryLine(entry, leafHash)}\n`;
  yield `${canonicalJson({ checkpoint: await checkpoint() })}\n`;
}

/**
 * Splits a file into lines without their newlines, in memory of one line. Throws `audit_invalid`, naming the line, where
 * one is longer than {@link MAX_LINE_BYTES} or not UTF-8. A last line without its newline is given as it is.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Uint8Array[] = [];
  let length = 0;
  let number = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(0x0a, start);
      const part = chunk.subarray(start, newline < 0 ? chunk.length : newline);
      length += part.length;
      if (length > MAX_LINE_BYTES) throw unreadable(number, `is longer than ${MAX_LINE_BYTES} bytes`);
      rest.push(part);
      if (newline < 0) break;
      yield decodeLine(rest, number++);
      rest = [];
      length = 0;
      start = newline + 1;
    }
  }
  if (length > 0) yield decodeLine(rest, number);
}

/** The first line. Throws `audit_invalid`: without a header the file is no export, and nothing can be said about it. */
export function parseHeader(line: string | undefined): ExportHeader {
  const value = line === undefined ? undefined : parseJson(line);
  if (
    !isRecord(value) ||
    !hasExactly(value, ['oncallAudit', 'origin', 'logPublicKey', 'identityPublicKey']) ||
    value.oncallAudit !== FORMAT_VERSION ||
    !isText(value.origin) ||
    !isText(value.logPublicKey) ||
    !isText(value.identityPublicKey)
  ) {
    throw new AppError('audit_invalid', 'not an export of an audit log', {
      hint: 'make one with: oncall audit export',
    });
  }
  const { origin, logPublicKey, identityPublicKey } = value;
  return { origin, logPublicKey, identityPublicKey };
}

/** Any line but the first. Throws `audit_invalid` for what is neither an entry nor a checkpoint. */
export function parseLine(line: string): ExportLine {
  if (Buffer.byteLength(line) > MAX_LINE_BYTES) throw malformed('the line is too long');
  const value = parseJson(line);
  if (isRecord(value) && hasExactly(value, ['checkpoint']) && isText(value.checkpoint)) {
    return { kind: 'checkpoint', checkpoint: value.checkpoint };
  }
  if (
    !isRecord(value) ||
    !hasExactly(value, ['entry', 'leafHash']) ||
    !isBase64url(value.leafHash, HASH_BYTES)
  ) {
    throw malformed('the line is neither an entry nor a checkpoint');
  }
  const entry = parseEntry(value.entry);
  const text = canonicalText(entry);
  return {
    kind: 'entry',
    entry,
    leafHash: Buffer.from(value.leafHash, 'base64url'),
    computedLeafHash: leafHash(Buffer.from(text)),
    canonical: entryLine(text, value.leafHash) === line,
  };
}

/** The members stand in canonical order, so that the whole line is canonical if the entry is. */
function entryLine(entry: string, leafHash: string): string {
  return `{"entry":${entry},"leafHash":"${leafHash}"}`;
}

function canonicalText(entry: AuditEntry): string {
  try {
    return canonicalJson(entry);
  } catch (cause) {
    // Attacker-controlled: nesting beyond the stack, numbers beyond a double, lone surrogates.
    throw new AppError('audit_invalid', 'the entry has no canonical form', { cause });
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new AppError('audit_invalid', 'the line is not JSON', { cause });
  }
}

function decodeLine(parts: readonly Uint8Array[], number: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts));
  } catch {
    throw unreadable(number, 'is not UTF-8');
  }
}

function unreadable(number: number, what: string): AppError {
  return malformed(`line ${number} ${what}`);
}

function malformed(message: string): AppError {
  return new AppError('audit_invalid', message);
}
