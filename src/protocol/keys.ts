/**
 * Public keys as text: `ed25519:…`, `p256:…` (signing) and `x25519:…` (sealing), then base64url of the raw key
 * (32 bytes; for P-256 the 65 bytes of the uncompressed point). One spelling per key, so texts compare as keys do.
 */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { AppError } from './errors.ts';

export type SigningAlgorithm = 'ed25519' | 'ecdsa-p256-sha256';

const KINDS = { ed25519: 32, p256: 65, x25519: 32 } as const;
type KeyKind = keyof typeof KINDS;

/** The text form of a public key (or of the public half of a private one). Throws AppError `invalid_request` for other kinds. */
export function formatPublicKey(key: KeyObject): string {
  const kind = kindOfKey(key);
  const { x = '', y = '' } = publicHalf(key).export({ format: 'jwk' });
  if (kind !== 'p256') return `${kind}:${x}`;
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return `p256:${point.toString('base64url')}`;
}

/**
 * Reads {@link formatPublicKey}'s text back. Throws AppError `invalid_request` for another prefix, length or spelling,
 * and for a P-256 point that is not on the curve.
 */
export function parsePublicKey(text: string): KeyObject {
  const { kind, raw } = splitKey(text);
  try {
    return createPublicKey({ key: toJwk(kind, raw), format: 'jwk' });
  } catch (cause) {
    throw new AppError('invalid_request', `not a ${kind} public key`, { cause });
  }
}

/** The raw bytes behind the text: 32, or 65 for P-256. Throws AppError `invalid_request`; does not check the curve. */
export function rawPublicKey(text: string): Uint8Array {
  return splitKey(text).raw;
}

/** base64url SHA-256 of the text: what requests carry as `keyid`. 43 characters. */
export function keyThumbprint(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** RFC 9421 section 6.2.2 name of the algorithm that a signing key's text stands for. Throws AppError `invalid_request` for X25519. */
export function algOf(text: string): SigningAlgorithm {
  return algorithmOfKind(splitKey(text).kind);
}

/** Like {@link algOf}, of a key object. */
export function algOfKey(key: KeyObject): SigningAlgorithm {
  return algorithmOfKind(kindOfKey(key));
}

/** Whether a device's signing key made this signature: 64 bytes, for P-256 as IEEE P1363. */
export function isSignedWith(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  if (key.asymmetricKeyType === 'ed25519') return verify(null, message, key, signature);
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function algorithmOfKind(kind: KeyKind): SigningAlgorithm {
  if (kind === 'x25519') throw new AppError('invalid_request', 'an x25519 key cannot sign');
  return kind === 'p256' ? 'ecdsa-p256-sha256' : 'ed25519';
}

function kindOfKey(key: KeyObject): KeyKind {
  const type = key.asymmetricKeyType;
  if (type === 'ed25519' || type === 'x25519') return type;
  if (type === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'p256';
  throw new AppError('invalid_request', 'not an ed25519, P-256 or x25519 key');
}

function publicHalf(key: KeyObject): KeyObject {
  return key.type === 'private' ? createPublicKey(key) : key;
}

function splitKey(text: string): { kind: KeyKind; raw: Buffer } {
  const [, kind = '', encoded = ''] = /^(ed25519|p256|x25519):([A-Za-z0-9_-]{43,87})$/.exec(text) ?? [];
  const raw = Buffer.from(encoded, 'base64url');
  if (!isKeyKind(kind) || raw.length !== KINDS[kind] || raw.toString('base64url') !== encoded) {
    throw new AppError('invalid_request', 'not a public key: expected ed25519:…, p256:… or x25519:…');
  }
  if (kind === 'p256' && raw[0] !== 4)
    throw new AppError('invalid_request', 'not an uncompressed P-256 point');
  return { kind, raw };
}

function isKeyKind(text: string): text is KeyKind {
  return Object.hasOwn(KINDS, text);
}

function toJwk(kind: KeyKind, raw: Buffer): JsonWebKey {
  if (kind !== 'p256') {
    const crv = kind === 'ed25519' ? 'Ed25519' : 'X25519';
    return { kty: 'OKP', crv, x: raw.toString('base64url') };
  }
  const [x, y] = [raw.subarray(1, 33), raw.subarray(33)];
  return { kty: 'EC', crv: 'P-256', x: x.toString('base64url'), y: y.toString('base64url') };
}
