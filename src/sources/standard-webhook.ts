/**
 * Standard Webhooks (github.com/standard-webhooks, spec version 1.0.0): `webhook-id`, `webhook-timestamp` (seconds) and
 * `webhook-signature: v1,BASE64[ v1,BASE64 …]`, HMAC-SHA256 over `id.timestamp.body` with the bytes behind `whsec_`.
 * The id is inside the signed content and stays the same when a delivery is tried again, with the timestamp of that try.
 * It may hold no full stop: `a.1` at `2` and `a` at `1` would have the same signed content.
 */
import { AppError } from '../protocol/errors.ts';
import type { Delivery, RawDelivery, WebhookProfile } from './incident.ts';
import {
  readHeader,
  refuseDelivery,
  requireBoundedBody,
  requireHmac,
  requireSecret,
  requireTimestamp,
} from './webhook-signature.ts';

const ID = /^[A-Za-z0-9_:-]{1,128}$/;
/** One signature of any version: `v1,…` is HMAC-SHA256, `v1a,…` Ed25519, which no secret of ours verifies. */
const SIGNATURE = /^(v\d+[a-z]?),([A-Za-z0-9+/]+={0,2})$/;
const SECRET = /^whsec_((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;
/** The specification asks senders for 24 bytes; Svix, whose customers send to us, once made 18. */
const MIN_SECRET_BYTES = 16;

/**
 * `secrets` are `whsec_…` texts; `readIncidents` reads the sender's own kind of body. Throws AppError `config_invalid` for a secret
 * that is not one.
 */
export function createStandardWebhook(
  source: string,
  secrets: readonly string[],
  readIncidents: (body: Uint8Array, nowMs: number) => Delivery['incidents'],
): WebhookProfile {
  const keys = secrets.map((secret) => decodeSecret(requireSecret(secret, source), source));
  return {
    verify(raw, nowMs) {
      requireBoundedBody(raw);
      const id = readId(raw);
      const timestamp = requireTimestamp(readHeader(raw, 'webhook-timestamp'), nowMs);
      const signatures = readSignatures(readHeader(raw, 'webhook-signature'));
      requireHmac([id, '.', timestamp, '.', raw.body], signatures, keys, 'base64');
    },
    parse: (raw, nowMs) => ({ id: readId(raw), incidents: readIncidents(raw.body, nowMs) }),
  };
}

function readId(raw: RawDelivery): string {
  const id = readHeader(raw, 'webhook-id');
  return ID.test(id) ? id : refuseDelivery();
}

function readSignatures(header: string): string[] {
  const all = header.split(' ').map((text) => SIGNATURE.exec(text) ?? refuseDelivery());
  return all.filter(([, version]) => version === 'v1').map(([, , signature]) => signature ?? '');
}

function decodeSecret(secret: string, source: string): Uint8Array {
  const key = Buffer.from(SECRET.exec(secret)?.[1] ?? '', 'base64');
  if (key.length < MIN_SECRET_BYTES)
    throw new AppError(
      'config_invalid',
      `a webhook secret of source ${source} is not a whsec_… of 16 bytes or more`,
    );
  return key;
}
