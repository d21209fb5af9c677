import fc from 'fast-check';
import { DateTime } from 'luxon';
import { describe, expect, test } from 'vitest';
import { readCalendar } from '../../src/sources/ical.ts';
import { calendarOf, eventOf } from '../support/fakes/calendar.ts';
import { at, DAY, HOUR } from './reader-world.ts';

interface Span {
  from?: string;
  to?: string;
  timeZone?: string;
}

const read = (
  text: string,
  { from = '2026-06-01T00:00:00Z', to = '2026-06-15T00:00:00Z', timeZone = 'Europe/Berlin' }: Span = {},
) => readCalendar(text, { fromMs: at(from), toMs: at(to), timeZone }, 1);
const one = (...lines: string[]) => calendarOf(eventOf(...lines));
/** Start and end, by a clock in Berlin. */
const berlin = (text: string, span?: Span) =>
  read(text, span).map(({ startsAtMs, endsAtMs }) =>
    [startsAtMs, endsAtMs].map((ms) =>
      DateTime.fromMillis(ms ?? Number.NaN, { zone: 'Europe/Berlin' }).toFormat("yyyy-MM-dd'T'HH:mm"),
    ),
  );
const people = (text: string, span?: Span) => read(text, span).map(({ outsideUser }) => outsideUser);
const refusal = expect.objectContaining({ code: 'invalid_request' });

const WEEK = ['DTSTART:20260601T070000Z', 'DTEND:20260608T070000Z'];

describe('who is on call', () => {
  test("is PagerDuty's attendee", () => {
    const event = eventOf(
      'DTEND;VALUE=DATE-TIME:20260608T070000Z',
      'DTSTART;VALUE=DATE-TIME:20260601T070000Z',
      'ATTENDEE:Jane@Example.com',
      'URL:https://acme.pagerduty.com/schedules#PSCHED',
      'SUMMARY:On Call - Jane Doe - Team',
    );
    expect(read(calendarOf(event))).toEqual([
      {
        outsideUser: 'jane@example.com',
        level: 1,
        startsAtMs: at('2026-06-01T07:00:00Z'),
        endsAtMs: at('2026-06-08T07:00:00Z'),
      },
    ]);
  });

  test('is the summary, where nobody attends', () => {
    expect(people(one(...WEEK, 'SUMMARY:Ana Kovač\\, orders'))).toEqual(['Ana Kovač, orders']);
  });

  test('is the summary, where people were invited: a guest is not on call', () => {
    const invited = ['SUMMARY:Ana', 'ATTENDEE;CN=Mallory:mailto:mallory@example.com'];
    expect(people(one(...WEEK, ...invited, 'ORGANIZER:mailto:ana@example.com'))).toEqual(['Ana']);
    expect(people(one(...WEEK, ...invited, 'ATTENDEE:mailto:ana@example.com'))).toEqual(['Ana']);
  });

  test('cannot steer a terminal, nor be endless', () => {
    expect(people(one(...WEEK, 'SUMMARY:\u001b[2JAna\\nKo\u202evač'))).toEqual(['[2JAna Ko vač']);
    expect(people(one(...WEEK, `SUMMARY:${'x'.repeat(10_000)}`))[0]).toHaveLength(128);
  });

  test('is somebody', () => {
    expect(() => read(one(...WEEK))).toThrow(refusal);
    expect(() => read(one(...WEEK, 'SUMMARY: '))).toThrow(refusal);
  });
});

describe('what counts as a shift', () => {
  test('is not a cancelled event, but is one that leaves its people "free"', () => {
    expect(people(one(...WEEK, 'SUMMARY:Ana', 'STATUS:CANCELLED'))).toEqual([]);
    expect(people(one(...WEEK, 'SUMMARY:Ana', 'TRANSP:TRANSPARENT'))).toEqual(['Ana']);
  });

  test('is not an event without a length', () => {
    expect(people(one('DTSTART:20260601T070000Z', 'SUMMARY:a reminder'))).toEqual([]);
  });

  test('is what has a moment in the span', () => {
    const text = one(...WEEK, 'SUMMARY:Ana');
    expect(people(text, { from: '2026-06-08T06:59:59Z', to: '2026-06-09T00:00:00Z' })).toEqual(['Ana']);
    expect(people(text, { from: '2026-06-08T07:00:00Z', to: '2026-06-09T00:00:00Z' })).toEqual([]);
    expect(people(text, { from: '2026-05-01T00:00:00Z', to: '2026-06-01T07:00:00Z' })).toEqual([]);
  });

  test('is told once, however often it is written', () => {
    const event = eventOf(...WEEK, 'SUMMARY:Ana');
    expect(people(calendarOf(event, event))).toEqual(['Ana']);
  });

  test('is an event with a duration, in days of the clock and hours of the world', () => {
    const start = 'DTSTART;TZID=Europe/Berlin:20260328T090000';
    const around = { from: '2026-03-01T00:00:00Z', to: '2026-04-30T00:00:00Z' };
    expect(berlin(one(start, 'DURATION:P2D', 'SUMMARY:Ana'), around)).toEqual([
      ['2026-03-28T09:00', '2026-03-30T09:00'],
    ]);
    expect(berlin(one(start, 'DURATION:PT48H', 'SUMMARY:Ana'), around)).toEqual([
      ['2026-03-28T09:00', '2026-03-30T10:00'],
    ]);
  });
});

describe('where a time is', () => {
  test('an IANA zone is that zone, whatever the calendar says about it', () => {
    const text = calendarOf(
      vtimezone('Europe/Berlin', '+0900'),
      eventOf(
        'DTSTART;TZID=Europe/Berlin:20260601T090000',
        'DTEND;TZID=Europe/Berlin:20260602T090000',
        'SUMMARY:Ana',
      ),
    );
    expect(berlin(text)).toEqual([['2026-06-01T09:00', '2026-06-02T09:00']]);
  });

  test("another zone is the calendar's own", () => {
    const text = calendarOf(
      vtimezone('W. Europe Standard Time', '+0100', '+0200'),
      eventOf(
        'DTSTART;TZID="W. Europe Standard Time":20260601T090000',
        'DTEND;TZID="W. Europe Standard Time":20260602T090000',
        'SUMMARY:Ana',
      ),
    );
    expect(berlin(text)).toEqual([['2026-06-01T09:00', '2026-06-02T09:00']]);
  });

  test('a zone that nobody knows is refused', () => {
    expect(() =>
      read(one('DTSTART;TZID=Mars/Olympus:20260601T090000', 'DURATION:P1D', 'SUMMARY:Ana')),
    ).toThrow(refusal);
  });

  test("whole days and times without a zone are in the schedule's", () => {
    const days = one('DTSTART;VALUE=DATE:20260601', 'DTEND;VALUE=DATE:20260608', 'SUMMARY:Ana');
    expect(berlin(days)).toEqual([['2026-06-01T00:00', '2026-06-08T00:00']]);
    expect(read(days, { timeZone: 'America/New_York' })[0]?.startsAtMs).toBe(at('2026-06-01T04:00:00Z'));
    expect(berlin(one('DTSTART;VALUE=DATE:20260601', 'SUMMARY:Ana'))).toEqual([
      ['2026-06-01T00:00', '2026-06-02T00:00'],
    ]);
    const floating = one('DTSTART:20260601T090000', 'DTEND:20260602T090000', 'SUMMARY:Ana');
    expect(berlin(floating)).toEqual([['2026-06-01T09:00', '2026-06-02T09:00']]);
  });

  test('a whole day of daylight saving has 23 hours', () => {
    const [shift] = read(one('DTSTART;VALUE=DATE:20260329', 'SUMMARY:Ana'), { from: '2026-03-01T00:00:00Z' });
    expect((shift?.endsAtMs ?? 0) - (shift?.startsAtMs ?? 0)).toBe(23 * HOUR);
  });
});

describe('a shift that repeats', () => {
  const weekly = (rule: string, ...more: string[]) =>
    one(
      'DTSTART;TZID=Europe/Berlin:20260302T090000',
      'DTEND;TZID=Europe/Berlin:20260309T090000',
      `RRULE:${rule}`,
      ...more,
      'SUMMARY:Ana',
    );

  test('hands over at the same local time, across daylight saving', () => {
    const around = { from: '2026-03-23T12:00:00Z', to: '2026-04-01T00:00:00Z' };
    expect(berlin(weekly('FREQ=WEEKLY'), around)).toEqual([
      ['2026-03-23T09:00', '2026-03-30T09:00'],
      ['2026-03-30T09:00', '2026-04-06T09:00'],
    ]);
    const [before, after] = read(weekly('FREQ=WEEKLY'), around);
    expect(before!.endsAtMs! - before!.startsAtMs).toBe(167 * HOUR);
    expect(after!.startsAtMs).toBe(before!.endsAtMs);
  });

  test('in turns of three weeks stays in its turn for years', () => {
    expect(
      berlin(weekly('FREQ=WEEKLY;INTERVAL=3'), { from: '2036-06-01T00:00:00Z', to: '2036-07-01T00:00:00Z' }),
    ).toEqual(
      berlin(weekly('FREQ=WEEKLY;INTERVAL=3;COUNT=1000'), {
        from: '2036-06-01T00:00:00Z',
        to: '2036-07-01T00:00:00Z',
      }),
    );
  });

  test.each([
    'FREQ=MONTHLY;BYDAY=1MO',
    'FREQ=MONTHLY;INTERVAL=5;BYDAY=-1FR',
    'FREQ=MONTHLY;BYMONTHDAY=31',
    'FREQ=DAILY;INTERVAL=4',
  ])('by %s is found years later as by counting from its start', (rule) => {
    for (const from of ['2026-03-02T00:00:00Z', '2026-05-17T00:00:00Z', '2031-01-31T00:00:00Z']) {
      const span = { from, to: new Date(at(from) + 400 * DAY).toISOString() };
      expect(berlin(weekly(rule), span)).toEqual(berlin(weekly(`${rule};COUNT=9999`), span));
      expect(berlin(weekly(rule), span)).not.toEqual([]);
    }
  });

  test('ends with UNTIL, given in UTC, and with COUNT', () => {
    const all = { from: '2026-01-01T00:00:00Z', to: '2026-12-31T00:00:00Z' };
    // 09:00 in Berlin is 08:00Z in winter and 07:00Z in summer.
    expect(berlin(weekly('FREQ=WEEKLY;UNTIL=20260406T070000Z'), all)).toHaveLength(6);
    expect(berlin(weekly('FREQ=WEEKLY;UNTIL=20260406T065959Z'), all)).toHaveLength(5);
    expect(berlin(weekly('FREQ=WEEKLY;UNTIL=20260406'), all)).toHaveLength(6);
    expect(berlin(weekly('FREQ=WEEKLY;COUNT=2'), all)).toHaveLength(2);
    expect(berlin(weekly('FREQ=WEEKLY;COUNT=2'))).toEqual([]);
  });

  test('leaves out its exceptions, by instant or by day', () => {
    const span = { from: '2026-03-01T00:00:00Z', to: '2026-03-30T00:00:00Z' };
    const except = [
      'EXDATE;TZID=Europe/Berlin:20260309T090000',
      'EXDATE:20260316T080000Z',
      'EXDATE;VALUE=DATE:20260323',
    ];
    expect(berlin(weekly('FREQ=WEEKLY', ...except), span)).toEqual([
      ['2026-03-02T09:00', '2026-03-09T09:00'],
    ]);
  });

  test('has additional dates', () => {
    const span = { from: '2026-04-01T00:00:00Z', to: '2026-06-01T00:00:00Z' };
    const text = weekly('FREQ=WEEKLY;COUNT=1', 'RDATE;TZID=Europe/Berlin:20260504T090000');
    expect(berlin(text, span)).toEqual([['2026-05-04T09:00', '2026-05-11T09:00']]);
  });

  test('gives one of its turns away, moved or cancelled', () => {
    const span = { from: '2026-03-01T00:00:00Z', to: '2026-03-23T00:00:00Z' };
    const master = eventOf(
      'DTSTART;TZID=Europe/Berlin:20260302T090000',
      'DTEND;TZID=Europe/Berlin:20260309T090000',
      'RRULE:FREQ=WEEKLY',
      'SUMMARY:Ana',
    );
    const ben = eventOf(
      'RECURRENCE-ID;TZID=Europe/Berlin:20260309T090000',
      'DTSTART;TZID=Europe/Berlin:20260309T120000',
      'DTEND;TZID=Europe/Berlin:20260316T090000',
      'SUMMARY:Ben',
    );
    const nobody = eventOf(
      'RECURRENCE-ID:20260316T080000Z',
      'DTSTART;TZID=Europe/Berlin:20260316T090000',
      'DTEND;TZID=Europe/Berlin:20260323T090000',
      'STATUS:CANCELLED',
      'SUMMARY:Ana',
    );
    const text = calendarOf(ben, master, nobody);
    expect(people(text, span)).toEqual(['Ana', 'Ben']);
    expect(berlin(text, span)[1]).toEqual(['2026-03-09T12:00', '2026-03-16T09:00']);
  });

  test('on a day that a month does not have is left out that month', () => {
    const monthly = (start: string, rule: string) =>
      berlin(one(`DTSTART;TZID=Europe/Berlin:${start}`, 'DURATION:P1D', `RRULE:${rule}`, 'SUMMARY:Ana'), {
        from: '2026-01-01T00:00:00Z',
        to: '2026-06-01T00:00:00Z',
      }).map(([start]) => start!.slice(5, 10));
    expect(monthly('20260131T090000', 'FREQ=MONTHLY')).toEqual(['01-31', '03-31', '05-31']);
    expect(monthly('20260131T090000', 'FREQ=MONTHLY;BYMONTHDAY=-1')).toEqual([
      '01-31',
      '02-28',
      '03-31',
      '04-30',
      '05-31',
    ]);
    expect(monthly('20260130T090000', 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30')).toEqual([]);
    expect(monthly('20260105T090000', 'FREQ=MONTHLY;BYDAY=1MO')).toEqual([
      '01-05',
      '02-02',
      '03-02',
      '04-06',
      '05-04',
    ]);
  });

  test('from a time that the clocks skip begins as much later as they jump', () => {
    const text = one(
      'DTSTART;TZID=Europe/Berlin:20260328T023000',
      'DURATION:P1D',
      'RRULE:FREQ=DAILY',
      'SUMMARY:Ana',
    );
    expect(berlin(text, { from: '2026-03-28T12:00:00Z', to: '2026-03-30T00:00:00Z' })).toEqual([
      ['2026-03-28T02:30', '2026-03-29T03:30'],
      ['2026-03-29T03:30', '2026-03-30T02:30'],
    ]);
  });

  test('covers time without gap or overlap, whatever day one looks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3650 }),
        fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC'),
        fc.constantFrom('20260302T090000', '20260302T023000', '20260302T000000'),
        (days, zone, start) => {
          const lines = [`DTSTART;TZID=${zone}:${start}`, 'DURATION:P1W', 'RRULE:FREQ=WEEKLY', 'SUMMARY:Ana'];
          const fromMs = at('2026-03-10T00:00:00Z') + days * DAY;
          const toMs = fromMs + 30 * DAY;
          const shifts = readCalendar(one(...lines), { fromMs, toMs, timeZone: 'UTC' }, 1);
          expect(shifts[0]!.startsAtMs).toBeLessThanOrEqual(fromMs);
          expect(shifts.at(-1)!.endsAtMs).toBeGreaterThanOrEqual(toMs);
          for (const [index, { endsAtMs }] of shifts.slice(0, -1).entries())
            expect(shifts[index + 1]!.startsAtMs).toBe(endsAtMs);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('a calendar is refused', () => {
  test.each([
    ['that is none', '<html>sign in</html>'],
    ['that is empty', ''],
    ['that is JSON', '{"calendar":[]}'],
    ['that is several', calendarOf() + calendarOf()],
    ['with an event without a start', one('SUMMARY:Ana')],
    ['with two starts', one(...WEEK, 'DTSTART:20260602T070000Z', 'SUMMARY:Ana')],
    [
      'with an end before its start',
      one('DTSTART:20260608T070000Z', 'DTEND:20260601T070000Z', 'SUMMARY:Ana'),
    ],
    ['with half a whole day', one('DTSTART;VALUE=DATE:20260601', 'DTEND:20260602T000000Z', 'SUMMARY:Ana')],
    ['with a 31 June', one('DTSTART:20260631T070000Z', 'DTEND:20260708T070000Z', 'SUMMARY:Ana')],
    ['with an hour 25', one('DTSTART:20260601T250000Z', 'DTEND:20260608T070000Z', 'SUMMARY:Ana')],
    ['that repeats each second', one(...WEEK, 'RRULE:FREQ=SECONDLY', 'SUMMARY:Ana')],
    ['that repeats each hour', one(...WEEK, 'RRULE:FREQ=HOURLY', 'SUMMARY:Ana')],
    ['that repeats by the second', one(...WEEK, 'RRULE:FREQ=DAILY;BYSECOND=0,1,2', 'SUMMARY:Ana')],
    ['that repeats by two rules', one(...WEEK, 'RRULE:FREQ=DAILY', 'RRULE:FREQ=WEEKLY', 'SUMMARY:Ana')],
    ['that repeats but by a rule', one(...WEEK, 'RRULE:FREQ=DAILY', 'EXRULE:FREQ=WEEKLY', 'SUMMARY:Ana')],
    ['that repeats at vast intervals', one(...WEEK, 'RRULE:FREQ=DAILY;INTERVAL=99999999999', 'SUMMARY:Ana')],
    [
      'that changes a turn and all after it',
      one(...WEEK, 'RECURRENCE-ID;RANGE=THISANDFUTURE:20260601T070000Z', 'SUMMARY:Ana'),
    ],
    [
      'with periods as additional dates',
      one(...WEEK, 'RDATE;VALUE=PERIOD:20260601T070000Z/PT1H', 'SUMMARY:Ana'),
    ],
    [
      'that counts a million days since the year 1',
      one('DTSTART:00010101T000000Z', 'DURATION:P1D', 'RRULE:FREQ=DAILY;COUNT=1000000', 'SUMMARY:Ana'),
    ],
    [
      'with too many events',
      calendarOf(...Array.from({ length: 10_001 }, () => eventOf(...WEEK, 'SUMMARY:Ana'))),
    ],
  ])('%s', (_, text) => {
    expect(() => read(text)).toThrow(refusal);
  });

  test('as malformed, by the parser itself', () => {
    for (const text of [
      'BEGIN:VCALENDAR\r\nEND:VEVENT\r\n',
      'BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n',
      one('DTSTART:soon', 'SUMMARY:Ana'),
    ])
      expect(() => read(text)).toThrow();
  });
});

test('a million repetitions since long ago cost nothing that is not asked for', () => {
  const text = one('DTSTART:19700101T000000Z', 'DURATION:P1D', 'RRULE:FREQ=DAILY', 'SUMMARY:Ana');
  expect(people(text)).toHaveLength(14);
});

function vtimezone(tzid: string, standard: string, daylight = standard): string {
  const part = (kind: string, from: string, to: string, rule: string) => [
    `BEGIN:${kind}`,
    'DTSTART:16010101T020000',
    `TZOFFSETFROM:${from}`,
    `TZOFFSETTO:${to}`,
    `RRULE:FREQ=YEARLY;${rule}`,
    `END:${kind}`,
  ];
  return [
    'BEGIN:VTIMEZONE',
    `TZID:${tzid}`,
    ...part('STANDARD', daylight, standard, 'BYDAY=-1SU;BYMONTH=10'),
    ...part('DAYLIGHT', standard, daylight, 'BYDAY=-1SU;BYMONTH=3'),
    'END:VTIMEZONE',
  ].join('\n');
}
