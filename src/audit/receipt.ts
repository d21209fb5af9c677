import { canonicalJson } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { isSignedBy } from './ed25519.ts';
import { hasExactly, isBase64url, isInstant, isRecord, isText, isWhole } from './json-shape.ts';
import { HASH_BYTES } from './tree-hash.ts';

/**
 * The broker's promise that an entry stands in its audit log at `index`: Ed25519 by the broker's identity key over
 * "oncall-receipt/v1\n" and the canonical JSON of everything but the signature. Whoever keeps receipts can show later that
 * the log left an entry out or changed it, without trusting the log's own key.
 */
export interface Receipt {
  /** The log's name, as in its checkpoints. */
  readonly origin: string;
  readonly index: number;
  /** base64url of the entry's leaf hash (RFC 6962), 32 bytes. */
  readonly leafHash: string;
  /** When the broker signed: RFC 3339, UTC, milliseconds. */
  readonly at: string;
  /** base64url, 64 bytes. */
  readonly signature: string;
}

const PREFIX = 'oncall-receipt/v1\n';
const SIGNATURE_BYTES = 64;

export function createReceipt(
  promise: {
    readonly origin: string;
    readonly index: number;
    readonly leafHash: Uint8Array;
    readonly at: string;
  },
  sign: (message: Uint8Array) => Uint8Array,
): Receipt {
  const unsigned = { ...promise, leafHash: Buffer.from(promise.leafHash).toString('base64url') };
  return { ...unsigned, signature: Buffer.from(sign(signedBytes(unsigned))).toString('base64url') };
}

/** A receipt out of JSON from outside, strictly: nothing missing, nothing more. Proves nothing yet. Throws `audit_invalid`. */
export function parseReceipt(value: unknown): Receipt {
  if (
    !isRecord(value) ||
    !hasExactly(value, ['origin', 'index', 'leafHash', 'at', 'signature']) ||
    !isText(value.origin) ||
    !isWhole(value.index) ||
    !isBase64url(value.leafHash, HASH_BYTES) ||
    !isInstant(value.at) ||
    !isBase64url(value.signature, SIGNATURE_BYTES)
  ) {
    throw new AppError('audit_invalid', 'not a receipt of an audit log');
  }
  const { origin, index, leafHash, at, signature } = value;
  return { origin, index, leafHash, at, signature };
}

/** Returns if the broker's identity key (raw Ed25519, 32 bytes) signed the receipt; else throws `audit_invalid`. */
export function verifyReceipt(receipt: Receipt, publicKey: Uint8Array): void {
  const { signature, ...unsigned } = parseReceipt(receipt);
  if (!isSignedBy(publicKey, signedBytes(unsigned), Buffer.from(signature, 'base64url'))) {
    throw new AppError('audit_invalid', 'the receipt is not signed by the broker');
  }
}

function signedBytes(unsigned: Omit<Receipt, 'signature'>): Uint8Array {
  const { origin, index, leafHash, at } = unsigned;
  return Buffer.from(PREFIX + canonicalJson({ origin, index, leafHash, at }));
}
