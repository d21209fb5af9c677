/**
 * Reading the members of a vendor's JSON that we use: strict about those, blind to all others (vendors add members).
 * Each throws AppError `invalid_request` that names the member and never quotes its value.
 */
import { AppError } from '../protocol/errors.ts';

/** RFC 3339; the seconds may be missing (Opsgenie's way), the offset must be there. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;
const MAX_ID_LENGTH = 256;
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

export type VendorRecord = Readonly<Record<string, unknown>>;

export function readRecord(value: unknown, member: string): VendorRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(member, 'an object');
  return value as VendorRecord;
}

export function readList(value: unknown, member: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(member, 'a list');
}

export function readText(value: unknown, member: string): string {
  return typeof value === 'string' ? value : refuse(member, 'a text');
}

export function readFlag(value: unknown, member: string): boolean {
  return typeof value === 'boolean' ? value : refuse(member, 'true or false');
}

/** Whole, 0 or more. */
export function readCount(value: unknown, member: string): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuse(member, 'a whole number');
}

/** A vendor's id of anything: compared as it is, so that it is refused, never cut or cleaned into another one. */
export function readId(value: unknown, member: string): string {
  const text = readText(value, member);
  if (text === '' || text.length > MAX_ID_LENGTH || text.trim() !== text || CONTROL.test(text))
    refuse(member, 'an id');
  return text;
}

/** Milliseconds since 1970 of an RFC 3339 instant. */
export function readInstant(value: unknown, member: string): number {
  const text = readText(value, member);
  const ms = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? refuse(member, 'an instant') : ms;
}

/** Undefined for what is absent or null: vendors write both for the same thing. */
export function readOptional<T>(
  value: unknown,
  member: string,
  read: (value: unknown, member: string) => T,
): T | undefined {
  return value === undefined || value === null ? undefined : read(value, member);
}

/** For what only the caller can tell: `refuse('status', 'one we know')`. */
export function refuse(member: string, expected: string): never {
  throw new AppError('invalid_request', `${member} is not ${expected}`);
}
