/**
 * OpenSSH's own private key format (openssh-portable, PROTOCOL.key), without a passphrase. OpenSSH 9.2 does not read
 * Ed25519 keys in PKCS#8, which is all that node:crypto writes.
 */
import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { AppError } from './errors.ts';
import { ED25519, SshReader, sshPublicKeyBlob, sshString, sshUint32 } from './ssh-wire.ts';

const MAGIC = 'openssh-key-v1\0';
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
    Buffer.from(MAGIC),
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

/**
 * The raw halves of a key that {@link formatOpenSshPrivateKey} wrote: 32 bytes, and 64 of seed and public key, as an ssh-agent takes
 * them. Throws AppError `invalid_request` for anything else.
 */
export function readOpenSshPrivateKey(pem: string): { publicKey: Buffer; privateKey: Buffer } {
  const body = new SshReader(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'));
  if (body.bytes(MAGIC.length).toString('latin1') !== MAGIC || body.text() !== 'none')
    throw new AppError('invalid_request', 'not an OpenSSH private key of ours');
  for (let skipped = 0; skipped < 2; skipped++) body.string();
  if (body.uint32() !== 1) throw new AppError('invalid_request', 'not one OpenSSH private key');
  body.string();
  const secret = new SshReader(body.string());
  secret.bytes(8);
  if (secret.text() !== ED25519) throw new AppError('invalid_request', 'not an ed25519 private key');
  return { publicKey: secret.string(), privateKey: secret.string() };
}

function keyFromSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new AppError('invalid_request', 'an ed25519 seed has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}
