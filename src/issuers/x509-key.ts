import { createPublicKey } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';

const CURVES = new Set<string | undefined>(['prime256v1', 'secp384r1']);

/**
 * The DER of a SubjectPublicKeyInfo that a certificate may be made over: P-256, P-384 or Ed25519, in the one encoding that DER has.
 * Throws AppError `invalid_request` for anything else; RSA in particular, whose strength would be the device's to choose.
 */
export function readClientKey(base64: string): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  try {
    const key = createPublicKey({ key: bytes, format: 'der', type: 'spki' });
    const isStrong =
      key.asymmetricKeyType === 'ed25519' ||
      (key.asymmetricKeyType === 'ec' && CURVES.has(key.asymmetricKeyDetails?.namedCurve));
    const isExact =
      bytes.toString('base64') === base64 && key.export({ format: 'der', type: 'spki' }).equals(bytes);
    if (isStrong && isExact) return bytes;
  } catch (cause) {
    throw new AppError('invalid_request', 'not a public key', { cause });
  }
  throw new AppError('invalid_request', 'not a P-256, P-384 or Ed25519 public key as DER');
}
