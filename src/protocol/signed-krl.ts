/**
 * The SSH revocation list as the broker publishes it: OpenSSH's binary list, and beside it a document of six lines that
 * the identity key has signed. sshd checks no signatures: whoever pulls the list for it does, and refuses a number lower than
 * the last. The signed part is the first five lines, line ends included:
 *
 *     oncall-krl/v1
 *     list ssh
 *     number 42
 *     generated 2026-01-05T09:00:00.000Z
 *     sha256 <64 hex digits of the list>
 *     signature <base64 of the raw Ed25519 signature>
 */
import { createHash, type KeyObject, verify } from 'node:crypto';
import { AppError } from './errors.ts';
import { formatInstant, parseInstant } from './time.ts';

const DOCUMENT =
  /^oncall-krl\/v1\nlist ssh\nnumber (\d{1,15})\ngenerated (\S{24})\nsha256 ([0-9a-f]{64})\nsignature ([A-Za-z0-9+/]{86}==)\n$/;

export interface SignedKrl {
  krl: Buffer;
  /** The document, as text. */
  signature: string;
}

export interface VerifiedKrl {
  number: number;
  generatedAtMs: number;
}

/** `sign`: a raw Ed25519 signature by the broker's identity key. */
export function signKrl(
  { krl, number, nowMs }: { krl: Buffer; number: number; nowMs: number },
  sign: (bytes: Uint8Array) => Uint8Array,
): SignedKrl {
  const signed = signedLines(String(number), formatInstant(nowMs), sha256(krl));
  return {
    krl,
    signature: `${signed}signature ${Buffer.from(sign(Buffer.from(signed))).toString('base64')}\n`,
  };
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
  const verified = verifyKrlDocument(signature, identityKey, lastNumber);
  if (sha256(krl) !== verified.digest) {
    throw new AppError('corrupt_file', 'the revocation list is not the one that was signed');
  }
  return { number: verified.number, generatedAtMs: verified.generatedAtMs };
}

/** The document alone, to know whether the list itself is worth pulling. `digest`: SHA-256 of the list, hex. */
export function verifyKrlDocument(
  document: string,
  identityKey: KeyObject,
  lastNumber: number,
): VerifiedKrl & { digest: string } {
  const [, number = '', generated = '', digest = '', encoded = ''] = DOCUMENT.exec(document) ?? [];
  const signed = Buffer.from(signedLines(number, generated, digest));
  if (encoded === '' || !verify(null, signed, identityKey, Buffer.from(encoded, 'base64'))) {
    throw new AppError('corrupt_file', 'the revocation list is not signed by the broker');
  }
  if (Number(number) < lastNumber) {
    throw new AppError('conflict', `revocation list ${number} is older than ${lastNumber}`);
  }
  return { number: Number(number), generatedAtMs: parseInstant(generated), digest };
}

function signedLines(number: string, generated: string, digest: string): string {
  return `oncall-krl/v1\nlist ssh\nnumber ${number}\ngenerated ${generated}\nsha256 ${digest}\n`;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
