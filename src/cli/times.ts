/** Times for people: local, and how far away. JSON output never comes through here; it keeps RFC 3339 UTC. */
import { formatDuration } from '../protocol/durations.ts';

/** `02:14` on the same local day, else `2026-01-05 02:14`. */
export function localTime(ms: number, now: number): string {
  const then = new Date(ms);
  const today = new Date(now);
  const clock = `${two(then.getHours())}:${two(then.getMinutes())}`;
  if (then.toDateString() === today.toDateString()) return clock;
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())} ${clock}`;
}

/** `in 1h42m`, `3m ago`, `now`. */
export function relativeTime(ms: number, now: number): string {
  const seconds = Math.round((ms - now) / 1000);
  if (seconds === 0) return 'now';
  return seconds > 0 ? `in ${formatDuration(seconds)}` : `${formatDuration(-seconds)} ago`;
}

/** `04:14 (in 1h42m)` for an RFC 3339 instant; the text itself where it is not one. */
export function bothTimes(instant: string, now: number): string {
  const ms = Date.parse(instant);
  return Number.isNaN(ms) ? instant : `${localTime(ms, now)} (${relativeTime(ms, now)})`;
}

/** The same words with each instant in them as people read it: brokers write RFC 3339 in UTC. */
export function localWords(text: string, now: number): string {
  return text.replace(INSTANT, (instant) => bothTimes(instant, now));
}

const INSTANT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z/g;

function two(value: number): string {
  return String(value).padStart(2, '0');
}
