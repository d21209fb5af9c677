/**
 * OpenSSH key revocation lists (openssh-portable, PROTOCOL.krl) that revoke certificates by CA and serial. sshd reads
 * the file at each login and refuses everybody when it is missing or damaged: replace it in one rename. sshd does not
 * verify signatures inside the list, so the puller on the host verifies ours, which is detached.
 */
import { AppError } from './errors.ts';
import { sshString, sshUint32, sshUint64 } from './ssh-wire.ts';

const MAGIC = Buffer.from('SSHKRL\n\0', 'latin1');
const FORMAT_VERSION = 1;
const SECTION_CERTIFICATES = 1;
const SERIAL_LIST = 0x20;
const SERIAL_RANGE = 0x21;

export interface KrlContent {
  /** Rises with every list published, so that an older one can be told. */
  number: bigint;
  generatedAtSeconds: number;
  comment: string;
  /** One for each CA: sshd knows one file, and is let in by several. */
  sections: readonly KrlSection[];
}

export interface KrlSection {
  /** The blob of the CA whose certificates are revoked. */
  ca: Uint8Array;
  /** Each 1 to 2^64 - 1, in any order, repeats allowed. */
  serials: readonly bigint[];
  /** Both ends included. */
  ranges?: readonly (readonly [first: bigint, last: bigint])[];
}

/** The list's bytes; the same content gives the same bytes. Throws AppError `invalid_request` for a bad serial or range. */
export function encodeKrl({ sections, ...header }: KrlContent): Buffer {
  return Buffer.concat([
    MAGIC,
    sshUint32(FORMAT_VERSION),
    sshUint64(header.number),
    sshUint64(header.generatedAtSeconds),
    sshUint64(0),
    sshString(''),
    sshString(header.comment),
    ...sections.flatMap((of) => [Buffer.of(SECTION_CERTIFICATES), sshString(encodeSection(of))]),
  ]);
}

function encodeSection({ ca, serials, ranges = [] }: KrlSection): Buffer {
  const listed = [...new Set(serials)].sort(compare);
  const spans = ranges.toSorted(([a], [b]) => compare(a, b));
  for (const serial of [...listed, ...spans.flat()]) {
    if (serial < 1n || serial >= 1n << 64n) throw new AppError('invalid_request', 'bad serial to revoke');
  }
  if (spans.some(([first, last]) => first > last))
    throw new AppError('invalid_request', 'bad range to revoke');
  return Buffer.concat([
    sshString(ca),
    sshString(''),
    ...(listed.length > 0 ? [section(SERIAL_LIST, listed)] : []),
    ...spans.map((span) => section(SERIAL_RANGE, span)),
  ]);
}

function section(kind: number, serials: readonly bigint[]): Buffer {
  const data = Buffer.alloc(serials.length * 8);
  for (const [i, serial] of serials.entries()) data.writeBigUInt64BE(serial, i * 8);
  return Buffer.concat([Buffer.of(kind), sshString(data)]);
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
