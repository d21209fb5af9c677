/**
 * MariaDB's ed25519 authentication (its manual, "Authentication Plugin - ed25519"): the password, of any length, is hashed by
 * SHA-512 where RFC 8032 section 5.1.5 hashes a 32-byte seed. A password of exactly 32 bytes is therefore a seed, its
 * public key is what the server stores, and a login is a plain Ed25519 signature over the server's 32 random bytes.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { AppError } from './errors.ts';

const PASSWORD = /^[\x21-\x7e]{32}$/;
const VERIFIER = /^[A-Za-z0-9+/]{43}$/;
/** RFC 8410 section 7: what comes before the seed in a PKCS #8 key. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** 43 characters. The password is 32 characters of visible ASCII; anything else throws AppError `invalid_request`. */
export function createMariadbVerifier(password: string): string {
  const { x } = createPublicKey(keyOf(password)).export({ format: 'jwk' });
  return Buffer.from(String(x), 'base64url').toString('base64').slice(0, 43);
}

/** Only the exact form: 32 bytes in canonical base64, without padding. */
export function isMariadbVerifier(text: string): boolean {
  return VERIFIER.test(text) && Buffer.from(text, 'base64').toString('base64') === `${text}=`;
}

/** The client's answer to the server's random bytes. Throws as {@link createMariadbVerifier}. */
export function answerMariadb(password: string, scramble: Uint8Array): Buffer {
  return sign(null, scramble, keyOf(password));
}

function keyOf(password: string): KeyObject {
  if (!PASSWORD.test(password)) {
    throw new AppError('invalid_request', 'the password is not 32 characters of visible ASCII');
  }
  const der = Buffer.concat([PKCS8_PREFIX, Buffer.from(password, 'ascii')]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}
