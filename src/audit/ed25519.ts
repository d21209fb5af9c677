import { createPublicKey, verify } from 'node:crypto';

export const ED25519_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** Whether `signature` (64 bytes) is the Ed25519 signature (RFC 8032) of `message` by the raw 32-byte public key. */
export function isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== ED25519_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const x = Buffer.from(publicKey).toString('base64url');
  return verify(
    null,
    message,
    createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
    signature,
  );
}
