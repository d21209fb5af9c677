/**
 * A bearer secret on its way from the target to one device: sealed where it is made, bound to its credential. Nothing between
 * the two can use it.
 */
import type { KeyObject } from 'node:crypto';
import { AppError } from './errors.ts';
import { openSealed, sealTo } from './seal.ts';

const INFO = Buffer.from('oncall-credential/v1');

/** `sealingKey` as `x25519:…`. Returns base64url. Throws AppError `invalid_request` for a key that is not one. */
export async function sealCredential(
  sealingKey: string,
  credentialId: string,
  secret: Uint8Array,
): Promise<string> {
  const sealed = await sealTo(sealingKey, secret, INFO, Buffer.from(credentialId));
  return Buffer.from(sealed).toString('base64url');
}

/** Throws AppError `corrupt_file` for what was sealed to another device or for another credential. */
export async function openSealedCredential(
  sealingKey: KeyObject,
  credentialId: string,
  sealed: string,
): Promise<Uint8Array> {
  const { d } = sealingKey.export({ format: 'jwk' });
  if (d === undefined) throw new AppError('internal', 'not a private sealing key');
  const raw = Buffer.from(d, 'base64url');
  return openSealed(raw, Buffer.from(sealed, 'base64url'), INFO, Buffer.from(credentialId));
}
