import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto';

const ALGORITHMS = { ed25519: { name: 'Ed25519' }, ec: { name: 'ECDSA', namedCurve: 'P-256' } };

/** A private key, Ed25519 or P-256, as the Web Cryptography API takes it, which is what encoders of certificates sign with. */
export async function importSigningKey(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = key.asymmetricKeyType === 'ec' ? ALGORITHMS.ec : ALGORITHMS.ed25519;
  const [pkcs8, spki] = [
    key.export({ type: 'pkcs8', format: 'der' }),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
  ];
  const [privateKey, publicKey] = await Promise.all([
    webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
  ]);
  return { privateKey, publicKey };
}
