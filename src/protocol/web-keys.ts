import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto';

/** A private Ed25519 key as the Web Cryptography API takes it, which is what encoders of certificates sign with. */
export async function importEd25519(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const [pkcs8, spki] = [
    key.export({ type: 'pkcs8', format: 'der' }),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
  ];
  const [privateKey, publicKey] = await Promise.all([
    webcrypto.subtle.importKey('pkcs8', pkcs8, { name: 'Ed25519' }, true, ['sign']),
    webcrypto.subtle.importKey('spki', spki, { name: 'Ed25519' }, true, ['verify']),
  ]);
  return { privateKey, publicKey };
}
