/**
 * What every webhook's proof has in common: one header line within bounds, HMAC-SHA256 over the raw bytes, several
 * signatures beside several secrets (both sides rotate), constant time, a time window, and one refusal for all that fails.
 *
 * Signatures are compared as text, in the one form that the scheme writes: base64 has several texts for the same bytes.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import type { RawDelivery } from './incident.ts';

/** Each scheme's own documentation names 5 minutes, or none. */
export const WINDOW_MS = 5 * 60_000;
export const MAX_BODY_BYTES = 1024 * 1024;

const MAX_HEADER_LENGTH = 2048;
const MAX_SIGNATURES = 10;
/** Visible ASCII and single spaces: what all schemes get by with. */
const HEADER = /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/;
/** Seconds since 1970, as no sender writes them otherwise until the year 2286. */
const TIMESTAMP = /^[1-9]\d{9}$/;

/** The same whatever was wrong: a forger learns nothing from it. */
export function refuseDelivery(): never {
  throw new AppError('unauthenticated', 'the delivery is not a genuine one of now', {
    hint: "compare the source's secret in the catalogue with the sender's, and both clocks",
  });
}

/** The header's only value. Refuses a missing, repeated or oversized one; Node joins repeated ones, which no form below takes. */
export function readHeader(raw: RawDelivery, name: string): string {
  const value = Object.hasOwn(raw.headers, name) ? raw.headers[name] : undefined;
  const only = typeof value === 'object' && value.length === 1 ? value[0] : value;
  if (typeof only !== 'string' || only.length > MAX_HEADER_LENGTH || !HEADER.test(only))
    return refuseDelivery();
  return only;
}

/** Refuses what no sender sends: checked before anything is computed over the body. */
export function requireBoundedBody(raw: RawDelivery): void {
  if (raw.body.length === 0 || raw.body.length > MAX_BODY_BYTES) refuseDelivery();
}

/** The text as it was sent, for the signed content. Refuses what is not within 5 minutes of now. */
export function requireTimestamp(text: string, nowMs: number): string {
  if (!TIMESTAMP.test(text) || Math.abs(Number(text) * 1000 - nowMs) > WINDOW_MS) refuseDelivery();
  return text;
}

/**
 * Refuses unless one of the given signatures is one of the secrets' over these bytes. All pairs are compared, each in
 * constant time, so that neither the place nor the number of a right one shows.
 */
export function requireHmac(
  content: readonly (string | Uint8Array)[],
  given: readonly string[],
  secrets: readonly Uint8Array[],
  encoding: 'hex' | 'base64',
): void {
  if (given.length === 0 || given.length > MAX_SIGNATURES) refuseDelivery();
  let matches = 0;
  for (const secret of secrets) {
    const hmac = createHmac('sha256', secret);
    for (const part of content) hmac.update(part);
    const expected = hmac.digest(encoding);
    for (const signature of given) matches += Number(isSameText(signature, expected));
  }
  if (matches === 0) refuseDelivery();
}

/** Compares in constant time, whatever the lengths: their digests are what is compared. */
export function isSameText(given: string, expected: string): boolean {
  return timingSafeEqual(
    createHash('sha256').update(given).digest(),
    createHash('sha256').update(expected).digest(),
  );
}

/**
 * A secret as the sender's page shows it. Throws AppError `config_invalid` for an empty one (an HMAC with it anybody can
 * make) and for one with white space around it, which no sender signs with.
 */
export function requireSecret(secret: string, source: string): string {
  if (secret === '' || secret.trim() !== secret || secret.length > MAX_HEADER_LENGTH)
    throw new AppError(
      'config_invalid',
      `a webhook secret of source ${source} is empty or not as it was shown`,
      {
        hint: 'write the secret into its file or variable exactly as the sender shows it',
      },
    );
  return secret;
}
