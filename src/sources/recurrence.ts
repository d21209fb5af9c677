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
 * By how much of a gap a rule may begin later without becoming another one: what is counted in days or weeks can leave out
 * whole periods, years of them at once, unless its occurrences are numbered.
 */
export function skippableMs({ freq, interval, count }: Rule, gapMs: number): number {
  const days = freq === 'DAILY' ? 1 : freq === 'WEEKLY' ? 7 : undefined;
  if (days === undefined || count) return 0;
  const periodMs = days * interval * DAY_MS;
  // Two days early, for what zones do.
  return Math.max(0, Math.floor((gapMs - 2 * DAY_MS) / periodMs)) * periodMs;
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
