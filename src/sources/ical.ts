/**
 * Calendars (RFC 5545) as shifts: each event is a shift of the person that it names.
 *
 * Who that is. PagerDuty's feed has `SUMMARY:On Call - Jane Doe - Team` and one `ATTENDEE:jane@example.com`; Opsgenie's, and
 * calendars kept by hand, name people in the summary. Where people are invited there is an ORGANIZER beside the ATTENDEEs
 * (section 3.8.4.1), and guests may invite guests: they must not put themselves on call. So: the address of the only
 * attendee of an event without an organizer, in lower case; else the summary. The catalogue maps that text, or doesn't.
 *
 * What counts. Cancelled events don't; transparent ones ("free") do, for feeds mark shifts so. A TZID that is an IANA name
 * is that zone, another one is the calendar's own VTIMEZONE; whole days and times without a zone are in the schedule's. A
 * repeated shift ends at the same local time each time, across daylight saving, as calendars show it.
 *
 * What is not of this is refused, and the calendar with it: half a schedule is worse than an old one.
 */
import ICAL from 'ical.js';
import { AppError } from '../protocol/errors.ts';
import { type Component, Properties, type Property } from './jcal.ts';
import { cleanText } from './normalise.ts';
import { fitsRule, isShiftRule, laterStart } from './recurrence.ts';
import type { FeedSpan, OutsideShift } from './shift.ts';
import { ianaZone, toWallFields, toWallMs, UTC, type Zone } from './wall-time.ts';

const DAY_MS = 86_400_000;
const MAX_EVENTS = 10_000;
const MAX_SHIFTS = 10_000;
/** Of all rules together, the days before the span included. */
const MAX_STEPS = 50_000;
const MAX_NAME_LENGTH = 128;
const MOMENT = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(Z?))?$/;

/** All shifts with a moment in the span, earliest first. Throws AppError `invalid_request`, and whatever ical.js throws. */
export function readCalendar(text: string, span: FeedSpan, level: number): OutsideShift[] {
  // Of an end that isn't there, or is another one, ical.js makes an empty calendar.
  if (!/^\ufeff?BEGIN:VCALENDAR\r?\n/i.test(text) || !/\nEND:VCALENDAR\s*$/i.test(text)) refuse('is none');
  if ((text.match(/BEGIN:VEVENT/gi) ?? []).length > MAX_EVENTS) refuse('has too many events');
  const calendar: Component = ICAL.parse(text.replace(/^\ufeff/, ''));
  if (calendar[0] !== 'vcalendar') refuse('is several');
  const zones = new CalendarZones(calendar, span.timeZone);
  const events = calendar[2]
    .filter(([name]) => name === 'vevent')
    .map((event) => parseEvent(new Properties(event), zones));
  const replaced = new Map<string, Moment[]>();
  for (const { uid, replaces } of events) {
    if (!replaces) continue;
    const known = replaced.get(uid);
    if (known) known.push(replaces);
    else replaced.set(uid, [replaces]);
  }
  const shifts = new Map<string, OutsideShift>();
  const steps = { left: MAX_STEPS };
  for (const event of events) {
    if (event.cancelled) continue;
    const others = event.replaces ? [] : (replaced.get(event.uid) ?? []);
    for (const wallMs of starts(event, others, span, steps)) {
      const startsAtMs = event.start.zone.toMs(wallMs);
      const endsAtMs = event.end(wallMs);
      if (endsAtMs <= span.fromMs || startsAtMs >= span.toMs || endsAtMs <= startsAtMs) continue;
      if (event.person === '') refuse('has a shift of nobody');
      if (startsAtMs < 0) refuse('has a shift from before 1970');
      const shift = { outsideUser: event.person, level, startsAtMs, endsAtMs };
      shifts.set(JSON.stringify(shift), shift);
      if (shifts.size > MAX_SHIFTS) refuse('has too many shifts');
    }
  }
  return [...shifts.values()].sort((a, b) => a.startsAtMs - b.startsAtMs);
}

/** A date, or a date and time, in its zone. */
interface Moment {
  wallMs: number;
  zone: Zone;
  wholeDay: boolean;
}

interface CalendarEvent {
  uid: string;
  person: string;
  cancelled: boolean;
  start: Moment;
  /** When what starts at that local time is over. */
  end: (wallMs: number) => number;
  rule: ICAL.Recur | undefined;
  /** RDATE. */
  added: readonly Moment[];
  /** EXDATE. */
  removed: readonly Moment[];
  /** RECURRENCE-ID: the occurrence that this event stands for. */
  replaces: Moment | undefined;
}

function parseEvent(event: Properties, zones: CalendarZones): CalendarEvent {
  const moments = (name: string) => event.all(name).flatMap((property) => zones.moments(property));
  const one = (name: string) => {
    const [first, ...others] = moments(name);
    return others.length > 0 ? refuse(`has an event with several ${name}`) : first;
  };
  const start = one('dtstart') ?? refuse('has an event without a start');
  const replaces = one('recurrence-id');
  const [rule, ...rules] = event.all('rrule');
  const ranged = event.all('recurrence-id').some(([, parameters]) => 'range' in parameters);
  if (rules.length > 0 || event.has('exrule') || ranged || (replaces && rule))
    refuse('repeats in a way that we do not know');
  return {
    uid: event.text('uid'),
    person: parsePerson(event),
    cancelled: event.text('status').toUpperCase() === 'CANCELLED',
    start,
    end: parseEnd(start, one('dtend'), event.text('duration')),
    rule: rule && parseRule(ICAL.Recur.fromData(Object(rule[3])), start.zone),
    added: moments('rdate'),
    removed: moments('exdate'),
    replaces,
  };
}

function parsePerson(event: Properties): string {
  const alone = event.all('attendee').length === 1 && !event.has('organizer');
  const text = alone
    ? event
        .text('attendee')
        .replace(/^mailto:/i, '')
        .toLowerCase()
    : event.text('summary');
  return cleanText(text, MAX_NAME_LENGTH);
}

/** Section 3.6.1: an end, or a duration, or a whole day's day; a time alone has no length. */
function parseEnd(start: Moment, end: Moment | undefined, duration: string): CalendarEvent['end'] {
  const after = (lengthMs: number, exactMs: number) => (wallMs: number) =>
    start.zone.toMs(wallMs + lengthMs) + exactMs;
  if (end) {
    if (end.wholeDay !== start.wholeDay) refuse('has an event of half a whole day');
    if (instantOf(end) < instantOf(start)) refuse('has an event that ends before it starts');
    if (end.zone === start.zone) return after(end.wallMs - start.wallMs, 0);
    return after(0, instantOf(end) - instantOf(start));
  }
  if (duration === '') return after(start.wholeDay ? DAY_MS : 0, 0);
  const { weeks, days, hours, minutes, seconds, isNegative } = ICAL.Duration.fromString(duration);
  if (isNegative) refuse('has an event that ends before it starts');
  return after((weeks * 7 + days) * DAY_MS, ((hours * 60 + minutes) * 60 + seconds) * 1000);
}

/** The rule with its end in the local time of the zone, which is what it is counted in here. */
function parseRule(value: ICAL.Recur, zone: Zone): ICAL.Recur {
  if (!isShiftRule(value)) refuse('repeats in a way that we do not know');
  if (value.until) {
    const { until } = value;
    const wallMs = toWallMs(until);
    // A date means that whole day; UTC is what the standard wants; another zone than the event's it doesn't know.
    if (until.isDate) value.until = icalTime(wallMs + DAY_MS - 1000, false);
    else
      value.until = icalTime(until.zone === ICAL.Timezone.utcTimezone ? zone.toWall(wallMs) : wallMs, false);
  }
  return value;
}

/** The local times at which an event starts, up to the end of the span; some that are over before it may be left out. */
function* starts(
  event: CalendarEvent,
  others: readonly Moment[],
  { fromMs, toMs }: FeedSpan,
  steps: { left: number },
): Generator<number> {
  const { start, rule } = event;
  const gone = [...event.removed, ...others];
  const goneMs = new Set(gone.filter(({ wholeDay }) => !wholeDay).map(instantOf));
  const goneDays = new Set(gone.filter(({ wholeDay }) => wholeDay).map(({ wallMs }) => wallMs));
  const stays = (wallMs: number) =>
    !goneMs.has(start.zone.toMs(wallMs)) && !goneDays.has(Math.floor(wallMs / DAY_MS) * DAY_MS);
  const single = rule ? [] : [start.wallMs];
  yield* [...single, ...event.added.map((moment) => start.zone.toWall(instantOf(moment)))].filter(stays);
  if (!rule) return;
  const gapMs = fromMs - event.end(start.wallMs);
  const iterator = rule.iterator(icalTime(laterStart(rule, start.wallMs, gapMs), start.wholeDay));
  for (let next = iterator.next(); next; next = iterator.next()) {
    if (--steps.left < 0) refuse('repeats too often');
    const wallMs = toWallMs(next);
    if (start.zone.toMs(wallMs) >= toMs) return;
    if (fitsRule(rule, wallMs, start.wallMs) && stays(wallMs)) yield wallMs;
  }
}

/** The zones that a calendar's times are in. */
class CalendarZones {
  readonly #calendar: Component;
  readonly #floating: Zone;
  readonly #byName = new Map<string, Zone>();

  constructor(calendar: Component, floating: string) {
    this.#calendar = calendar;
    this.#floating = ianaZone(floating) ?? refuse('is of a schedule without a zone');
  }

  moments([, { tzid }, , ...texts]: Property): Moment[] {
    return texts.map((text) => {
      const [, date = '', time, utc] = MOMENT.exec(String(text)) ?? refuse('has a time that is none');
      const [year = 0, month = 0, day = 0] = date.split('-').map(Number);
      const [hour = 0, minute = 0, second = 0] = time?.split(':').map(Number) ?? [];
      const wallMs = toWallMs({ year, month, day, hour, minute, second });
      if (Number.isNaN(wallMs)) refuse('has a time that is none');
      const wholeDay = time === undefined;
      const zone = utc ? UTC : tzid && !wholeDay ? this.#named(String(tzid)) : this.#floating;
      return { wallMs, zone, wholeDay };
    });
  }

  #named(name: string): Zone {
    const known = this.#byName.get(name);
    if (known) return known;
    const zone = ianaZone(name) ?? this.#ownZone(name) ?? refuse('has a time in an unknown zone');
    this.#byName.set(name, zone);
    return zone;
  }

  #ownZone(name: string): Zone | undefined {
    const component = this.#calendar[2].find(
      (candidate) => candidate[0] === 'vtimezone' && new Properties(candidate).text('tzid') === name,
    );
    if (component === undefined) return undefined;
    const zone = new ICAL.Timezone(new ICAL.Component(component));
    return {
      toMs: (wallMs) => icalTime(wallMs, false, zone).toUnixTime() * 1000,
      toWall: (ms) => toWallMs(icalTime(ms, false, ICAL.Timezone.utcTimezone).convertToZone(zone)),
    };
  }
}

function instantOf({ zone, wallMs }: Moment): number {
  return zone.toMs(wallMs);
}

function icalTime(wallMs: number, isDate: boolean, zone = ICAL.Timezone.localTimezone): ICAL.Time {
  return new ICAL.Time({ ...toWallFields(wallMs), isDate }, zone);
}

function refuse(what: string): never {
  throw new AppError('invalid_request', `the calendar ${what}`);
}
