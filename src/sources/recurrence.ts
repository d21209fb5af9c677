/** Recurrence rules (RFC 5545 section 3.3.10): which of them shifts follow, and what ical.js gets wrong or slow about those. */
import { toWallFields } from './wall-time.ts';

const DAY_MS = 86_400_000;
const MAX_INTERVAL = 1_000;

/** Rules that count hours, or the weeks and days of a year, are not for shifts. */
const FREQUENCIES: readonly string[] = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'];
const PARTS = ['BYDAY', 'BYMONTH', 'BYMONTHDAY', 'BYSETPOS'];

/** As ical.js parses it. */
export interface Rule {
  freq: string | null;
  interval: number;
  count: number | null;
  parts: Partial<Record<'BYDAY' | 'BYMONTH' | 'BYMONTHDAY', readonly unknown[] | undefined>>;
}

export function isShiftRule({ freq, interval, parts }: Rule): boolean {
  const known = Object.keys(parts).every((part) => PARTS.includes(part));
  return known && FREQUENCIES.includes(freq ?? '') && interval <= MAX_INTERVAL;
}

/**
 * A later local time from which a rule has the same occurrences after the gap: whole periods, years of them at once, can be
 * left out unless its occurrences are numbered; months only where the rule names their days, and not its start does.
 */
export function laterStart({ freq, interval, count, parts }: Rule, wallMs: number, gapMs: number): number {
  // Some days early, for what zones do.
  const days = Math.floor(gapMs / DAY_MS) - 2;
  if (count || days <= 0) return wallMs;
  if (freq === 'DAILY' || freq === 'WEEKLY') {
    const period = interval * (freq === 'WEEKLY' ? 7 : 1);
    return wallMs + Math.floor(days / period) * period * DAY_MS;
  }
  const months = Math.floor((days - 31) / 31 / interval) * interval;
  if (freq !== 'MONTHLY' || !(parts.BYDAY ?? parts.BYMONTHDAY) || months <= 0) return wallMs;
  const { year, month, ...time } = toWallFields(wallMs);
  return Date.UTC(year, month - 1 + months, 1, time.hour, time.minute, time.second);
}

/** ical.js moves days that don't exist (30 February) into the next month; they are to be left out. */
export function fitsRule({ freq, parts }: Rule, wallMs: number, firstWallMs: number): boolean {
  const { year, month, day } = toWallFields(wallMs);
  const { BYMONTH: months, BYMONTHDAY: monthDays, BYDAY: weekDays } = parts;
  if (months && !months.map(Number).includes(month)) return false;
  const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
  if (monthDays) return monthDays.some((one) => Number(one) === day || Number(one) === day - daysInMonth - 1);
  const onItsDay = (freq === 'MONTHLY' || freq === 'YEARLY') && !weekDays;
  return !onItsDay || day === toWallFields(firstWallMs).day;
}
