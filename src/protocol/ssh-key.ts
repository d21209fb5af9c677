/**
 * OpenSSH's own private key format (openssh-portable, PROTOCOL.key), without a passphrase. OpenSSH 9.2 does not read
 * Ed25519 keys in PKCS#8, which is all that node:crypto writes.
 */
import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { AppError } from './errors.ts';
import { ED25519, sshPublicKeyBlob, sshString, sshUint32 } from './ssh-wire.ts';

const BLOCK_BYTES = 8;
/** RFC 8410 section 7: what stands before the 32-byte seed in PKCS#8. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * The PEM text of an Ed25519 private key, given as a key object or as its 32-byte seed; ends with a line end. It is secret:
 * write it 0600. Throws AppError `invalid_request` for another kind of key.
 */
export function formatOpenSshPrivateKey(privateKey: KeyObject | Uint8Array, comment = ''): string {
  const key = privateKey instanceof Uint8Array ? keyFromSeed(privateKey) : privateKey;
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    throw new AppError('invalid_request', 'not an ed25519 private key');
  }
  const { d = '', x = '' } = key.export({ format: 'jwk' });
  const [seed, raw] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    sshString(ED25519),
    sshString(raw),
    sshString(Buffer.concat([seed, raw])),
    sshString(comment),
  ]);
  const padding = Uint8Array.from({ length: -secret.length & (BLOCK_BYTES - 1) }, (_, i) => i + 1);
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    sshString('none'),
    sshString('none'),
    sshString(''),
    sshUint32(1),
    sshString(sshPublicKeyBlob(key)),
    sshString(Buffer.concat([secret, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
    '\n',
  );
}

function keyFromSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new AppError('invalid_request', 'an ed25519 seed has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}
