import fc from 'fast-check';
import { DateTime } from 'luxon';
import { describe, expect, test } from 'vitest';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import type { Schedule } from '../../src/catalogue/types.ts';
import { createStaticSource, shiftsAt, shiftsBetween } from '../../src/sources/static.ts';
import { completeYaml } from '../catalogue/complete.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const schedule = (fields: Partial<Schedule> = {}): Schedule => ({
  id: 'orders-primary',
  timeZone: 'Europe/Berlin',
  rotations: [{ level: 1, people: ['ana', 'ben'], startsAt: '2026-01-05T09:00', lengthDays: 7 }],
  overrides: [],
  feeds: [],
  ...fields,
});
const berlin = (text: string) => DateTime.fromISO(text, { zone: 'Europe/Berlin' }).toMillis();
const local = (ms: number | null, zone = 'Europe/Berlin') =>
  DateTime.fromMillis(ms ?? Number.NaN, { zone }).toFormat("yyyy-MM-dd'T'HH:mm");
const usersAt = (of: Schedule, text: string) => shiftsAt(of, berlin(text)).map(({ user }) => user);

describe('a rotation', () => {
  test('starts at its start, and not before', () => {
    expect(usersAt(schedule(), '2026-01-05T08:59')).toEqual([]);
    expect(usersAt(schedule(), '2026-01-05T09:00')).toEqual(['ana']);
  });

  test('hands over to the next person and comes round', () => {
    expect(usersAt(schedule(), '2026-01-12T08:59')).toEqual(['ana']);
    expect(usersAt(schedule(), '2026-01-12T09:00')).toEqual(['ben']);
    expect(usersAt(schedule(), '2026-01-19T09:00')).toEqual(['ana']);
  });

  test('says whose shift it is, from when to when', () => {
    expect(shiftsAt(schedule(), berlin('2026-01-06T12:00'))).toEqual([
      {
        user: 'ana',
        schedule: 'orders-primary',
        level: 1,
        startsAtMs: berlin('2026-01-05T09:00'),
        endsAtMs: berlin('2026-01-12T09:00'),
        source: 'static',
        fetchedAtMs: berlin('2026-01-06T12:00'),
      },
    ]);
  });

  test.each([
    ['spring', '2026-03-26T12:00', 167],
    ['autumn', '2026-10-22T12:00', 169],
    ['any other', '2026-05-14T12:00', 168],
  ])('has a %s week of the right length, handing over at nine', (_, at, hours) => {
    const [shift] = shiftsAt(schedule(), berlin(at));
    expect(((shift?.endsAtMs ?? 0) - (shift?.startsAtMs ?? 0)) / HOUR).toBe(hours);
    expect(local(shift?.startsAtMs ?? null)).toMatch(/T09:00$/);
    expect(local(shift?.endsAtMs ?? null)).toMatch(/T09:00$/);
  });

  test('hands over late on the night without a 02:30, and at 02:30 ever after', () => {
    const nightly = schedule({
      rotations: [{ level: 1, people: ['ana', 'ben'], startsAt: '2026-03-27T02:30', lengthDays: 1 }],
    });
    const starts = shiftsBetween(nightly, berlin('2026-03-27T12:00'), berlin('2026-03-31T12:00')).map(
      ({ startsAtMs }) => local(startsAtMs),
    );
    expect(starts).toEqual([
      '2026-03-27T02:30',
      '2026-03-28T02:30',
      '2026-03-29T03:30',
      '2026-03-30T02:30',
      '2026-03-31T02:30',
    ]);
  });

  test('hands over once on the night with two 02:30s', () => {
    const nightly = schedule({
      rotations: [{ level: 1, people: ['ana', 'ben'], startsAt: '2026-10-20T02:30', lengthDays: 1 }],
    });
    const shifts = shiftsBetween(nightly, berlin('2026-10-24T12:00'), berlin('2026-10-26T12:00'));
    expect(shifts.map(({ startsAtMs }) => local(startsAtMs))).toEqual([
      '2026-10-24T02:30',
      '2026-10-25T02:30',
      '2026-10-26T02:30',
    ]);
  });

  test('survives a day that a country left out', () => {
    const apia = schedule({
      timeZone: 'Pacific/Apia',
      rotations: [{ level: 1, people: ['ana', 'ben', 'carla'], startsAt: '2011-12-28T09:00', lengthDays: 1 }],
    });
    const from = DateTime.fromISO('2011-12-28T09:00', { zone: 'Pacific/Apia' }).toMillis();
    const shifts = shiftsBetween(apia, from, from + 4 * DAY);
    for (const [index, shift] of shifts.slice(1).entries())
      expect(shift.startsAtMs).toBe(shifts[index]?.endsAtMs);
  });
});

describe('an override', () => {
  const overridden = schedule({
    overrides: [
      {
        level: 1,
        user: 'carla',
        startsAtMs: berlin('2026-01-07T09:00'),
        endsAtMs: berlin('2026-01-08T09:00'),
      },
    ],
  });

  test('replaces the person for its span, and splits the shift around it', () => {
    const shifts = shiftsBetween(overridden, berlin('2026-01-05T09:00'), berlin('2026-01-12T09:00'));
    expect(
      shifts.map(({ user, startsAtMs, endsAtMs }) => [user, local(startsAtMs), local(endsAtMs)]),
    ).toEqual([
      ['ana', '2026-01-05T09:00', '2026-01-07T09:00'],
      ['carla', '2026-01-07T09:00', '2026-01-08T09:00'],
      ['ana', '2026-01-08T09:00', '2026-01-12T09:00'],
    ]);
  });

  test('ends the shift of the one it replaces at its own start', () => {
    expect(local(shiftsAt(overridden, berlin('2026-01-06T09:00'))[0]?.endsAtMs ?? null)).toBe(
      '2026-01-07T09:00',
    );
  });

  test('may reach over a handover', () => {
    const over = schedule({
      overrides: [
        {
          level: 1,
          user: 'carla',
          startsAtMs: berlin('2026-01-11T09:00'),
          endsAtMs: berlin('2026-01-13T09:00'),
        },
      ],
    });
    const shifts = shiftsBetween(over, berlin('2026-01-06T09:00'), berlin('2026-01-14T09:00'));
    expect(shifts.map(({ user, startsAtMs }) => [user, local(startsAtMs)])).toEqual([
      ['ana', '2026-01-05T09:00'],
      ['carla', '2026-01-11T09:00'],
      ['ben', '2026-01-13T09:00'],
    ]);
  });

  test('leaves the other levels alone', () => {
    const two = schedule({
      rotations: [
        ...schedule().rotations,
        { level: 2, people: ['dan'], startsAt: '2026-01-05T09:00', lengthDays: 1 },
      ],
      overrides: overridden.overrides,
    });
    expect(usersAt(two, '2026-01-07T12:00')).toEqual(['carla', 'dan']);
  });
});

describe('for any rotation in any zone', () => {
  const zones = [
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
    'Pacific/Apia',
    'Etc/UTC',
  ];
  const rotations = fc.record({
    timeZone: fc.constantFrom(...zones),
    lengthDays: fc.integer({ min: 1, max: 28 }),
    people: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 }),
    day: fc.integer({ min: 0, max: 5000 }),
    minute: fc.integer({ min: 0, max: 1439 }),
    atDay: fc.integer({ min: 0, max: 2000 }),
  });
  const build = ({
    timeZone,
    lengthDays,
    people,
    day,
    minute,
  }: typeof rotations extends fc.Arbitrary<infer T> ? T : never) => {
    const startsAt = DateTime.fromMillis(Date.UTC(2015, 0, 1) + day * DAY + minute * 60_000, {
      zone: 'utc',
    }).toFormat("yyyy-MM-dd'T'HH:mm");
    const startsAtMs = DateTime.fromISO(startsAt, { zone: timeZone }).toMillis();
    return {
      startsAtMs,
      of: schedule({ timeZone, rotations: [{ level: 1, people, startsAt, lengthDays }] }),
    };
  };

  test('shifts have neither gap nor overlap', () => {
    fc.assert(
      fc.property(rotations, (drawn) => {
        const { of, startsAtMs } = build(drawn);
        const shifts = shiftsBetween(of, startsAtMs, startsAtMs + 400 * DAY);
        expect(shifts[0]?.startsAtMs).toBe(startsAtMs);
        for (const [index, shift] of shifts.entries()) {
          expect(shift.endsAtMs).toBeGreaterThan(shift.startsAtMs);
          if (index > 0) expect(shift.startsAtMs).toBe(shifts[index - 1]?.endsAtMs);
        }
        expect(shifts.at(-1)?.endsAtMs).toBeGreaterThanOrEqual(startsAtMs + 400 * DAY);
      }),
    );
  });

  test('exactly one person is on call at every instant after the start, nobody before', () => {
    fc.assert(
      fc.property(rotations, (drawn) => {
        const { of, startsAtMs } = build(drawn);
        expect(shiftsAt(of, startsAtMs - 1)).toEqual([]);
        const at = startsAtMs + drawn.atDay * DAY + drawn.minute * 60_000;
        const [shift, ...others] = shiftsAt(of, at);
        expect(others).toEqual([]);
        expect(shift && shift.startsAtMs <= at && at < (shift.endsAtMs ?? 0)).toBe(true);
        // Turns are counted, not measured: after n lengths of local days it is the n-th person's turn.
        const turn = Math.floor(
          DateTime.fromMillis(shift?.startsAtMs ?? 0, { zone: drawn.timeZone })
            .startOf('day')
            .diff(DateTime.fromMillis(startsAtMs, { zone: drawn.timeZone }).startOf('day'), 'days').days /
            drawn.lengthDays +
            0.01,
        );
        expect(shift?.user).toBe(drawn.people[turn % drawn.people.length]);
      }),
    );
  });

  test('overrides leave exactly one person at every instant', () => {
    const spans = fc.array(fc.tuple(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 400 })), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(rotations, spans, fc.integer({ min: 0, max: 1500 }), (drawn, hours, atHour) => {
        const { of, startsAtMs } = build(drawn);
        const overrides = hours.map(([start, length], index) => ({
          level: 1,
          user: `o${index}`,
          startsAtMs: startsAtMs + start * HOUR,
          endsAtMs: startsAtMs + (start + length) * HOUR,
        }));
        const at = startsAtMs + atHour * HOUR;
        const last = overrides.findLast((override) => override.startsAtMs <= at && at < override.endsAtMs);
        const shifts = shiftsAt({ ...of, overrides }, at);
        expect(shifts).toHaveLength(1);
        expect(shifts[0]?.user).toBe(last?.user ?? shiftsAt(of, at)[0]?.user);
      }),
    );
  });
});

test('the source of a catalogue answers for all its schedules', async () => {
  const { catalogue } = parseCatalogue(completeYaml, 'catalogue.yaml', '/');
  const source = createStaticSource(catalogue!);
  expect((await source.shiftsAt(berlin('2026-02-01T12:00'))).map(({ user }) => user)).toEqual(['carla']);
  expect(await source.shiftsBetween(berlin('2026-02-01T00:00'), berlin('2026-02-03T00:00'))).toHaveLength(3);
});
