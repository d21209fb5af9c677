/**
 * Local times of calendars. A wall time is what a clock on the wall shows, as the milliseconds that UTC would have then;
 * only with a zone does it become an instant.
 */
import { DateTime, IANAZone } from 'luxon';

export interface Zone {
  /** Of a time that the clocks skip: as much later as they jumped. Of one they show twice: the first. */
  toMs(wallMs: number): number;
  toWall(ms: number): number;
}

export const UTC: Zone = { toMs: (wallMs) => wallMs, toWall: (ms) => ms };

/** Undefined for a name that is not in the IANA database. It remembers what it has told: for one calendar, not for ever. */
export function ianaZone(name: string): Zone | undefined {
  if (!IANAZone.isValidZone(name)) return undefined;
  const zone = IANAZone.create(name);
  // Shifts share their boundaries, and time-zone arithmetic is slow.
  const known = new Map<number, number>();
  return {
    toMs(wallMs) {
      const ms =
        known.get(wallMs) ??
        DateTime.fromMillis(wallMs, { zone: 'utc' }).setZone(zone, { keepLocalTime: true }).toMillis();
      known.set(wallMs, ms);
      return ms;
    },
    toWall: (ms) => ms + zone.offset(ms) * 60_000,
  };
}

export interface WallFields {
  year: number;
  /** From 1, as `day`. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** NaN for a date or a time that doesn't exist. */
export function toWallMs({ year, month, day, hour, minute, second }: WallFields): number {
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(ms);
  const same =
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  return same ? ms : Number.NaN;
}

export function toWallFields(wallMs: number): WallFields {
  const date = new Date(wallMs);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
  };
}
