// Who is on call, as decisions look it up.
import { describe, expect, it } from 'vitest';
import { createShiftBook } from '../../src/broker/shift-book.ts';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import type { Catalogue } from '../../src/catalogue/types.ts';
import type { ShiftSnapshotRow } from '../../src/store/rows.ts';

const NOW = Date.parse('2026-03-03T02:14:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const SMALL = `
people:
  ana: { name: Ana, ids: { quick: Ana, slow: ana@slow } }
  ben: { name: Ben, ids: { slow: ben@slow } }
services: { orders: { schedules: [primary, written] } }
sources:
  quick: { type: ical, feed: { env: A }, staleness: { fresh: 5m, usable: 1h } }
  slow: { type: ical, feed: { env: B }, staleness: { fresh: 1h, usable: 24h } }
schedules:
  primary: { from: [{ source: quick, level: 1 }, { source: slow, level: 2 }] }
  written:
    timeZone: Europe/Berlin
    rotations: [{ level: 1, people: [ben, ana], startsAt: 2026-03-01T09:00, every: 1d }]
    overrides: [{ level: 1, user: ana, startsAt: 2026-03-03T03:30, endsAt: 2026-03-03T03:45 }]
`;

function catalogueOf(text: string): Catalogue {
  const { catalogue, findings } = parseCatalogue(text, 'catalogue.yaml', '/nowhere');
  if (!catalogue) throw new Error(JSON.stringify(findings));
  return catalogue;
}

function snapshot(
  source: string,
  ageMs: number,
  ...who: readonly (readonly [string, number?, (number | null)?])[]
) {
  const shifts = who.map(([outsideUser, startsAtMs = NOW - HOUR, endsAtMs = NOW + HOUR]) => ({
    ...{ outsideUser, level: 9, startsAtMs, endsAtMs },
  }));
  return { source, feed: '', takenAt: NOW - ageMs, fetchedAt: NOW - ageMs, shifts } as ShiftSnapshotRow;
}

function bookOf(...snapshots: readonly ShiftSnapshotRow[]) {
  const book = createShiftBook(catalogueOf(SMALL));
  book.take(snapshots);
  return book;
}

describe('a schedule of several feeds', () => {
  it('has the people of each at the level of its feed, best first', () => {
    const book = bookOf(snapshot('slow', 0, ['ben@slow']), snapshot('quick', 0, ['Ana']));
    expect(book.onCall('primary', NOW).map(({ user, level }) => [user, level])).toEqual([
      ['ana', 1],
      ['ben', 2],
    ]);
    expect(book.shiftsOf('ben', NOW)).toMatchObject([{ schedule: 'primary', level: 2, source: 'slow' }]);
  });

  it.each([
    [1, 1, 'fresh', 60],
    [1, 30, 'fresh', 1800],
    [6, 30, 'stale', 1800],
    [61, 1, 'unknown', 3660],
    [1, 70, 'stale', 4200],
  ])(
    'read %i and %i minutes ago is %s: each feed has the limits of its source',
    (quick, slow, state, age) => {
      const book = bookOf(
        snapshot('quick', quick * MINUTE, ['Ana']),
        snapshot('slow', slow * MINUTE, ['ben@slow']),
      );
      expect(book.knowledge('primary', NOW)).toMatchObject({ state, ageSeconds: age });
      expect(book.onCall('primary', NOW)).toHaveLength(state === 'unknown' ? 0 : 2);
      expect(book.shiftsOf('ben', NOW)).toHaveLength(state === 'unknown' ? 0 : 1);
    },
  );

  it('is unknown while one of them has never been read', () => {
    const book = bookOf(snapshot('quick', 0, ['Ana']));
    expect(book.knowledge('primary', NOW)).toMatchObject({ state: 'unknown', source: 'slow' });
    expect(createShiftBook(catalogueOf(SMALL)).knowledge('primary', NOW).state).toBe('unknown');
  });
});

describe('a shift', () => {
  it('is half-open, and without an end lasts until somebody says otherwise', () => {
    const book = bookOf(
      snapshot('quick', 0, ['Ana', NOW, NOW + MINUTE]),
      snapshot('slow', 0, ['ben@slow', NOW, null]),
    );
    const users = (at: number) => book.onCall('primary', at).map(({ user }) => user);
    expect(users(NOW - 1)).toEqual([]);
    expect(users(NOW)).toEqual(['ana', 'ben']);
    expect(users(NOW + MINUTE)).toEqual(['ben']);
    expect(book.nextChange('primary', NOW)).toBe(NOW + MINUTE);
    expect(book.nextChange('primary', NOW + MINUTE)).toBe(undefined);
  });

  it('of somebody whom nobody is mapped to is nobody’s, and shows', () => {
    const book = bookOf(snapshot('quick', 0, ['ana'], ['__proto__'], ['Ana']), snapshot('slow', 0, ['Ana']));
    expect(book.onCall('primary', NOW).map(({ user }) => user)).toEqual(['ana']);
    expect(book.unmapped()).toEqual(
      new Map([
        ['quick', new Set(['ana', '__proto__'])],
        ['slow', new Set(['Ana'])],
      ]),
    );
  });

  it('that a newer snapshot does not have is over', () => {
    const book = bookOf(snapshot('quick', 0, ['Ana']), snapshot('slow', 0, ['ben@slow']));
    book.take([snapshot('quick', 0), snapshot('slow', 0, ['ben@slow'])]);
    expect(book.shiftsOf('ana', NOW).map(({ schedule }) => schedule)).toEqual(['written']);
    expect(book.unmapped()).toEqual(new Map());
  });

  it('of the catalogue itself changes hands on the minute that is written, in the middle of an hour too', () => {
    const book = createShiftBook(catalogueOf(SMALL));
    const holder = (at: string) => book.onCall('written', Date.parse(at)).map(({ user }) => user);
    expect(holder('2026-03-03T02:29:59.999Z')).toEqual(['ana']);
    expect(holder('2026-03-02T07:59:59.999Z')).toEqual(['ben']);
    expect(holder('2026-03-02T08:00:00.000Z')).toEqual(['ana']);
    expect(holder('2026-03-04T07:59:59.999Z')).toEqual(['ben']);
    expect(book.nextChange('written', Date.parse('2026-03-03T02:14:00Z'))).toBe(
      Date.parse('2026-03-03T02:30:00Z'),
    );
  });
});

describe('a large organisation', () => {
  const PEOPLE = 10_000;
  const SCHEDULES = 1_000;

  it('costs a decision no more than a small one', () => {
    const lookups = (people: number, schedules: number) => {
      const { book, counted } = organisation(people, schedules);
      const before = counted.reads;
      expect(book.shiftsOf('p1', NOW)).toHaveLength(1);
      expect(book.onCall('s1', NOW)).toHaveLength(people / schedules);
      return counted.reads - before;
    };
    expect(lookups(PEOPLE, SCHEDULES)).toBe(lookups(20, 2));
  });

  /** Each schedule is read from a feed of its own; every look at a map of the catalogue is counted. */
  function organisation(people: number, schedules: number) {
    const counted = { reads: 0 };
    class Counting<V> extends Map<string, V> {
      override get(key: string) {
        counted.reads++;
        return super.get(key);
      }
      override values() {
        counted.reads += this.size;
        return super.values();
      }
    }
    const mapOf = <V>(count: number, make: (at: number) => [string, V]) =>
      new Counting(Array.from({ length: count }, (_, at) => make(at)));
    const catalogue = {
      people: mapOf(people, (at) => [`p${at}`, { id: `p${at}`, ids: { out: `u${at}` } }]),
      schedules: mapOf(schedules, (at) => [
        `s${at}`,
        {
          ...{ id: `s${at}`, timeZone: 'UTC', rotations: [], overrides: [] },
          feeds: [{ source: 'out', id: `f${at}`, level: 1 }],
        },
      ]),
      sources: mapOf(1, () => ['out', { freshSeconds: 600, usableSeconds: 3600 }]),
    } as unknown as Catalogue;
    const book = createShiftBook(catalogue);
    const each = people / schedules;
    book.take(
      Array.from({ length: schedules }, (_, at) => ({
        ...snapshot('out', 0, ...Array.from({ length: each }, (_, i) => [`u${at * each + i}`] as const)),
        feed: `f${at}`,
      })),
    );
    return { book, counted };
  }
});
