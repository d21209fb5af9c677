/**
 * Break-glass packs. The broker's identity key signs "oncall-pack/v1\n" and the canonical JSON (RFC 8785) of everything but the
 * signature; each slot's certificate is sealed to the device by HPKE, bound to its pack and number, so that opening one shows
 * nothing of the others.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import { isSignedBy } from '../audit/ed25519.ts';
import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { rawPublicKey } from '../protocol/keys.ts';
import type { Pack } from '../protocol/messages.ts';
import { openSealed, sealTo } from '../protocol/seal.ts';

const PREFIX = 'oncall-pack/v1\n';
const INFO = Buffer.from('oncall-pack/v1');
const HOUR_MS = 3_600_000;
/** No certificate lives longer. */
export const SLOT_MS = HOUR_MS;
/** A new one begins so often: two are good at any time. */
export const SLOT_STEP_MS = HOUR_MS / 2;
export const MOST_COVER_MS = 24 * HOUR_MS;

export interface SlotTimes {
  readonly number: number;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The slots that cover a time: at each moment of it at least one is good for another half hour. Throws AppError `usage` for a time that is none, or too long. */
export function planSlots(startsAtMs: number, endsAtMs: number): SlotTimes[] {
  if (!(endsAtMs > startsAtMs) || endsAtMs - startsAtMs > MOST_COVER_MS)
    throw new AppError('usage', 'a break-glass pack covers 24 hours at most');
  const slots: SlotTimes[] = [];
  for (let notBeforeMs = startsAtMs; notBeforeMs < endsAtMs; notBeforeMs += SLOT_STEP_MS)
    slots.push({ number: slots.length, notBeforeMs, notAfterMs: notBeforeMs + SLOT_MS });
  return slots;
}

export function signPack(unsigned: Omit<Pack, 'signature'>, sign: (message: Uint8Array) => Uint8Array): Pack {
  return { ...unsigned, signature: Buffer.from(sign(signedBytes(unsigned))).toString('base64url') };
}

/** Returns if the broker's identity key (`ed25519:…`) signed it for this device. Throws AppError `corrupt_file`. */
export function verifyPack(pack: Pack, identityKey: string, owner: { user: string; device: string }): void {
  const { signature, ...unsigned } = pack;
  if (!isSignedBy(rawPublicKey(identityKey), signedBytes(unsigned), Buffer.from(signature, 'base64url')))
    throw new AppError('corrupt_file', 'the break-glass pack is not as the broker signed it');
  if (pack.user !== owner.user || pack.device !== owner.device)
    throw new AppError('corrupt_file', 'the break-glass pack was made for another person or device');
}

/** `part`: the slot's number, or `webhook`. `sealingKey` as `x25519:…`. Returns base64url. */
export async function sealPart(
  sealingKey: string,
  pack: string,
  part: number | 'webhook',
  secret: Uint8Array,
): Promise<string> {
  return Buffer.from(await sealTo(sealingKey, secret, INFO, boundTo(pack, part))).toString('base64url');
}

/** Throws AppError `corrupt_file` for what was sealed to another device, for another pack or part. */
export async function openPart(
  sealingKey: KeyObject,
  pack: string,
  part: number | 'webhook',
  sealed: string,
): Promise<Uint8Array> {
  const { d } = sealingKey.export({ format: 'jwk' });
  if (d === undefined) throw new AppError('internal', 'not a private sealing key');
  return openSealed(Buffer.from(d, 'base64url'), Buffer.from(sealed, 'base64url'), INFO, boundTo(pack, part));
}

/**
 * A device's own secret for the webhook, by the secret that the catalogue names: whoever receives there makes it again from the
 * device's id, and learns from one device nothing about another. 32 bytes; the device signs with it as Standard Webhooks says.
 */
export function deviceWebhookKey(secret: string, device: string): Uint8Array {
  return createHmac('sha256', secret).update(`oncall-device/v1\n${device}`).digest();
}

function boundTo(pack: string, part: number | 'webhook'): Buffer {
  return Buffer.from(`${pack}/${part}`);
}

function signedBytes(unsigned: Omit<Pack, 'signature'>): Buffer {
  return Buffer.from(`${PREFIX}${canonicalJson(unsigned as unknown as Json)}`);
}
