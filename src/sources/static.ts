/**
 * Schedules written in the catalogue. Turns are counted in local days from the rotation's start, so handover keeps its
 * local time across daylight saving: such a week has 167 or 169 hours. A handover at a local time that doesn't exist
 * (02:30 in spring) happens as much later as the clock jumped; both neighbours are cut at the same instant.
 */
import { DateTime } from 'luxon';
import type { Catalogue, Rotation, Schedule, ScheduleOverride } from '../catalogue/types.ts';
import type { Shift, ShiftSource } from './shift.ts';

export type { Shift, ShiftSource } from './shift.ts';

const DAY_MS = 86_400_000;

/** Who is on call now: one person a level, once the level's rotation has started. */
export function shiftsAt(schedule: Schedule, nowMs: number): Shift[] {
  return shiftsBetween(schedule, nowMs, nowMs + 1);
}

/** Every shift with a moment in [fromMs, toMs), whole, earliest first, then by level. */
export function shiftsBetween(schedule: Schedule, fromMs: number, toMs: number): Shift[] {
  const levels = new Set([...schedule.rotations, ...schedule.overrides].map(({ level }) => level));
  return [...levels]
    .flatMap((level) => levelSpans(schedule, level, fromMs, toMs).map((span) => ({ level, ...span })))
    .filter((span) => span.startsAtMs < toMs && span.endsAtMs > fromMs)
    .sort((a, b) => a.startsAtMs - b.startsAtMs || a.level - b.level)
    .map(({ level, user, startsAtMs, endsAtMs }) => ({
      user,
      schedule: schedule.id,
      level,
      startsAtMs,
      endsAtMs,
      source: 'static',
      // The catalogue is in memory: what it says is as fresh as the question.
      fetchedAtMs: fromMs,
    }));
}

/** All schedules of a catalogue as a source beside the paging systems. */
export function createStaticSource(catalogue: Catalogue): ShiftSource {
  const schedules = [...catalogue.schedules.values()];
  return {
    name: 'static',
    shiftsAt: async (nowMs) => schedules.flatMap((schedule) => shiftsAt(schedule, nowMs)),
    shiftsBetween: async (fromMs, toMs) =>
      schedules.flatMap((schedule) => shiftsBetween(schedule, fromMs, toMs)),
  };
}

interface Span {
  user: string;
  startsAtMs: number;
  endsAtMs: number;
}

/** Base turns with the overrides cut out of them, and the overrides. Of two overrides at once, the later written wins. */
function levelSpans(schedule: Schedule, level: number, fromMs: number, toMs: number): Span[] {
  let spans = schedule.rotations
    .filter((rotation) => rotation.level === level)
    .flatMap((rotation) => turns(rotation, schedule.timeZone, fromMs, toMs));
  for (const override of schedule.overrides) {
    if (override.level !== level) continue;
    const { user, startsAtMs, endsAtMs } = override;
    spans = [...spans.flatMap((span) => cut(span, override)), { user, startsAtMs, endsAtMs }];
  }
  return spans;
}

/** What is left of a span around an override: nothing, one side, or both. */
function cut(span: Span, override: ScheduleOverride): Span[] {
  if (override.endsAtMs <= span.startsAtMs || override.startsAtMs >= span.endsAtMs) return [span];
  const sides = [
    { ...span, endsAtMs: override.startsAtMs },
    { ...span, startsAtMs: override.endsAtMs },
  ];
  return sides.filter((side) => side.startsAtMs < side.endsAtMs);
}

function turns(rotation: Rotation, timeZone: string, fromMs: number, toMs: number): Span[] {
  // luxon adds days to the local time it resolved to; adding to the written one keeps 02:30 at 02:30 for ever.
  const written = DateTime.fromISO(rotation.startsAt, { zone: 'utc' });
  const handover = (turn: number) =>
    written
      .plus({ days: turn * rotation.lengthDays })
      .setZone(timeZone, { keepLocalTime: true })
      .toMillis();
  const spans: Span[] = [];
  // A zone's offset moves by hours, once or twice by a day (Samoa 2011): start two days early, skip what is over.
  const early = Math.floor((fromMs - handover(0) - 2 * DAY_MS) / (rotation.lengthDays * DAY_MS));
  for (let turn = Math.max(0, early); ; turn++) {
    const startsAtMs = handover(turn);
    if (startsAtMs >= toMs) return spans;
    const endsAtMs = handover(turn + 1);
    const user = rotation.people[turn % rotation.people.length];
    if (user !== undefined && endsAtMs > fromMs && endsAtMs > startsAtMs)
      spans.push({ user, startsAtMs, endsAtMs });
  }
}
