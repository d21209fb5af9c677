/**
 * Sealing to a device's X25519 key: HPKE (RFC 9180) in base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM,
 * single shot. It hides, it does not prove who sent: what is sealed travels inside something signed.
 */
import type { CipherSuite } from '@hpke/core';
import { AppError } from './errors.ts';
import { algOf, rawPublicKey } from './keys.ts';

const ENCAPSULATED_BYTES = 32;
const TAG_BYTES = 16;
let suite: Promise<CipherSuite> | undefined;

/**
 * Seals to `x25519:…`. `info` names the purpose, `aad` is bound but not hidden; both must be given again to open. Returns
 * the encapsulated key (32 bytes) and the ciphertext. Throws AppError `invalid_request` for a key that is not one.
 */
export async function sealTo(
  publicKeyText: string,
  plaintext: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
): Promise<Uint8Array> {
  const raw = rawSealingKey(publicKeyText);
  const hpke = await loadSuite();
  try {
    const recipientPublicKey = await hpke.kem.deserializePublicKey(toArrayBuffer(raw));
    const sealed = await hpke.seal(
      { recipientPublicKey, info: toArrayBuffer(info) },
      toArrayBuffer(plaintext),
      toArrayBuffer(aad),
    );
    return Buffer.concat([new Uint8Array(sealed.enc), new Uint8Array(sealed.ct)]);
  } catch (cause) {
    throw new AppError('invalid_request', 'cannot seal to this key', { cause });
  }
}

/**
 * Opens what {@link sealTo} made; `privateRaw` is the 32-byte X25519 private key. Throws AppError `corrupt_file` when the
 * bytes, the key, `info` or `aad` are not those it was sealed with: which of them, nobody can tell.
 */
export async function openSealed(
  privateRaw: Uint8Array,
  sealed: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
): Promise<Uint8Array> {
  if (sealed.length < ENCAPSULATED_BYTES + TAG_BYTES)
    throw new AppError('corrupt_file', 'sealed data is too short');
  const hpke = await loadSuite();
  try {
    const recipientKey = await hpke.kem.deserializePrivateKey(toArrayBuffer(privateRaw));
    const enc = toArrayBuffer(sealed.subarray(0, ENCAPSULATED_BYTES));
    const ciphertext = toArrayBuffer(sealed.subarray(ENCAPSULATED_BYTES));
    return new Uint8Array(
      await hpke.open({ recipientKey, enc, info: toArrayBuffer(info) }, ciphertext, toArrayBuffer(aad)),
    );
  } catch (cause) {
    throw new AppError('corrupt_file', 'sealed data cannot be opened with this key', { cause });
  }
}

function rawSealingKey(text: string): Uint8Array {
  const raw = rawPublicKey(text);
  if (!text.startsWith('x25519:'))
    throw new AppError('invalid_request', `cannot seal to an ${algOf(text)} key`);
  return raw;
}

/** Loaded when first used: start-up does not pay for it. */
function loadSuite(): Promise<CipherSuite> {
  suite ??= import('@hpke/core').then(
    ({ Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 }) =>
      new CipherSuite({
        kem: new DhkemX25519HkdfSha256(),
        kdf: new HkdfSha256(),
        aead: new Aes256Gcm(),
      }),
  );
  return suite;
}

/** A copy of exactly these bytes: small Buffers are windows into a shared pool. */
function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
