/**
 * PostgreSQL's SCRAM-SHA-256 verifiers. The device makes the password and sends only this, from which nobody logs in.
 * PostgreSQL stores a verifier that is off by one character *as a plaintext password*: hence the exact form.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { AppError } from './errors.ts';

const ITERATIONS = 4096;
const SALT_BYTES = 16;
const PASSWORD = /^[\x21-\x7e]{1,128}$/;
const VERIFIER = /^SCRAM-SHA-256\$4096:([A-Za-z0-9+/]{22}==)\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/**
 * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (RFC 5803's content in PostgreSQL's form; RFC 5802
 * section 3 for the keys). The password is visible ASCII without spaces, for which SASLprep changes nothing; anything
 * else throws AppError `invalid_request`. Takes about 2 ms, blocking.
 */
export function createScramVerifier(
  password: string,
  salt: Uint8Array = randomBytes(SALT_BYTES),
  iterations = ITERATIONS,
): string {
  if (!PASSWORD.test(password)) throw new AppError('invalid_request', 'the password is not visible ASCII');
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

/** Only the exact form: 4096 iterations, a 16-byte salt, 32-byte keys, canonical base64. */
export function isScramVerifier(text: string): boolean {
  const found = VERIFIER.exec(text);
  return found?.slice(1).every((part) => Buffer.from(part, 'base64').toString('base64') === part) ?? false;
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
