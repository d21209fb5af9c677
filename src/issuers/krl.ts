/**
 * The SSH revocation list as the broker publishes it: OpenSSH's binary list, and beside it a document of six lines that
 * the identity key has signed. sshd checks no signatures: the script on the host does, with openssl, and refuses a number
 * lower than the last. The signed part is the first five lines, line ends included:
 *
 *     oncall-krl/v1
 *     list ssh
 *     number 42
 *     generated 2026-01-05T09:00:00.000Z
 *     sha256 <64 hex digits of the list>
 *     signature <base64 of the raw Ed25519 signature>
 */
import { createHash, type KeyObject, verify } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { encodeKrl } from '../protocol/ssh-krl.ts';
import { formatInstant, parseInstant } from '../protocol/time.ts';

const DOCUMENT =
  /^oncall-krl\/v1\nlist ssh\nnumber (\d{1,15})\ngenerated (\S{24})\nsha256 ([0-9a-f]{64})\nsignature ([A-Za-z0-9+/]{86}==)\n$/;

export interface KrlInput {
  number: number;
  /** Of each CA, by the blob of its public key. */
  sections: readonly { ca: Uint8Array; entries: readonly { serial: string }[] }[];
  nowMs: number;
}

export interface SignedKrl {
  krl: Buffer;
  /** The document, as text. */
  signature: string;
}

export interface VerifiedKrl {
  number: number;
  generatedAtMs: number;
}

/** The list's bytes. Throws AppError `invalid_request` for a serial that is not one. */
export function buildKrl({ number, sections, nowMs }: KrlInput): Buffer {
  return encodeKrl({
    number: BigInt(number),
    generatedAtSeconds: Math.floor(nowMs / 1000),
    comment: 'oncall',
    sections: sections.map(({ ca, entries }) => ({ ca, ...inRuns(entries) })),
  });
}

/** The certificates of a pack have serials one after the other: together they take the room of one. */
function inRuns(entries: readonly { serial: string }[]): { serials: bigint[]; ranges: [bigint, bigint][] } {
  const runs: [bigint, bigint][] = [];
  const serials = entries.map(({ serial }) => parseSerial(serial));
  for (const serial of serials.sort((a, b) => (a < b ? -1 : 1))) {
    const run = runs.at(-1);
    if (run !== undefined && serial <= run[1] + 1n) run[1] = serial;
    else runs.push([serial, serial]);
  }
  return {
    serials: runs.filter(([first, last]) => first === last).map(([first]) => first),
    ranges: runs.filter(([first, last]) => first < last),
  };
}

/** `sign`: a raw Ed25519 signature by the broker's identity key. */
export function createSignedKrl(input: KrlInput & { sign: (bytes: Uint8Array) => Uint8Array }): SignedKrl {
  const krl = buildKrl(input);
  const signed = signedLines(String(input.number), formatInstant(input.nowMs), sha256(krl));
  const signature = Buffer.from(input.sign(Buffer.from(signed))).toString('base64');
  return { krl, signature: `${signed}signature ${signature}\n` };
}

/**
 * What the script on a host does, in TypeScript. Throws AppError `corrupt_file` for another signer, another form or other
 * bytes, and `conflict` for a list older than the last one.
 */
export function verifySignedKrl(
  { krl, signature }: { krl: Uint8Array; signature: string },
  identityKey: KeyObject,
  lastNumber: number,
): VerifiedKrl {
  const [, number = '', generated = '', digest = '', encoded = ''] = DOCUMENT.exec(signature) ?? [];
  const signed = Buffer.from(signedLines(number, generated, digest));
  if (encoded === '' || !verify(null, signed, identityKey, Buffer.from(encoded, 'base64'))) {
    throw new AppError('corrupt_file', 'the revocation list is not signed by the broker');
  }
  if (sha256(krl) !== digest) {
    throw new AppError('corrupt_file', 'the revocation list is not the one that was signed');
  }
  if (Number(number) < lastNumber) {
    throw new AppError('conflict', `revocation list ${number} is older than ${lastNumber}`);
  }
  return { number: Number(number), generatedAtMs: parseInstant(generated) };
}

function signedLines(number: string, generated: string, digest: string): string {
  return `oncall-krl/v1\nlist ssh\nnumber ${number}\ngenerated ${generated}\nsha256 ${digest}\n`;
}

function parseSerial(text: string): bigint {
  if (!/^[1-9]\d{0,19}$/.test(text)) throw new AppError('invalid_request', 'not a serial');
  return BigInt(text);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
