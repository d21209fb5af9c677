import { parseInstant } from '../protocol/time.ts';

/** Questions about parsed JSON from outside, which may be anything. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether all `required` members are there, and nothing but them and the `optional` ones. */
export function hasExactly(
  value: Record<string, unknown>,
  required: readonly string[],
  optional: readonly string[] = [],
): boolean {
  return (
    required.every((key) => Object.hasOwn(value, key)) &&
    Object.keys(value).every((key) => required.includes(key) || optional.includes(key))
  );
}

export function isOptional(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

export function isTextRecord(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((member) => typeof member === 'string');
}

/** A count or a position. */
export function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** RFC 3339, UTC, milliseconds, and a time that exists. */
export function isInstant(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const ms = parseInstant(value);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === value;
}

/** base64url in its one spelling, of exactly so many bytes. */
export function isBase64url(value: unknown, bytes: number): value is string {
  if (typeof value !== 'string') return false;
  const decoded = Buffer.from(value, 'base64url');
  return decoded.length === bytes && decoded.toString('base64url') === value;
}
