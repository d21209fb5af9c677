/**
 * Who is on call, in memory: what the catalogue says itself, and the newest snapshot of each outside feed. A decision looks
 * here and never waits for a vendor. How old a snapshot may be is its source's: fresh, then usable (a `grant` becomes an
 * `ask`), then unknown.
 */
import type { Catalogue, Schedule } from '../catalogue/types.ts';
import type { OutsideShift, Shift } from '../sources/shift.ts';
import { shiftsBetween } from '../sources/static.ts';
import type { ShiftSnapshotRow } from '../store/rows.ts';

/** What is known of one schedule now. */
export interface Knowledge {
  state: 'fresh' | 'stale' | 'unknown';
  source: string;
  ageSeconds: number;
}

export interface ShiftBook {
  /** The newest snapshot of each feed; what the catalogue does not name is left out. */
  take(snapshots: readonly ShiftSnapshotRow[]): void;
  knowledge(schedule: string, nowMs: number): Knowledge;
  /** Of one person, over all schedules whose knowledge is not unknown. */
  shiftsOf(user: string, nowMs: number): readonly Shift[];
  /** Who is on call on one schedule, best level first; nobody where it is unknown. */
  onCall(schedule: string, nowMs: number): readonly Shift[];
  /** Those on one schedule with a moment in [fromMs, toMs), earliest first; none where it is unknown at `nowMs`. */
  between(schedule: string, fromMs: number, toMs: number, nowMs: number): readonly Shift[];
  /** When somebody's shift on this schedule begins or ends next, within what is known (of the catalogue's own: an hour ahead). */
  nextChange(schedule: string, nowMs: number): number | undefined;
  /** People whom a feed names and nobody in the catalogue is mapped to, by source. */
  unmapped(): ReadonlyMap<string, ReadonlySet<string>>;
}

interface Outside {
  shifts: readonly Shift[];
  /** Of each feed that the schedule is read from. */
  fetched: readonly { source: string; atMs: number }[];
}

const NEVER = Number.NEGATIVE_INFINITY;

export function createShiftBook(catalogue: Catalogue): ShiftBook {
  const written = new StaticShifts(catalogue);
  let bySchedule = new Map<string, Outside>();
  let byUser = new Map<string, Shift[]>();
  let strangers = new Map<string, Set<string>>();

  function knowledge(id: string, nowMs: number): Knowledge {
    const schedule = catalogue.schedules.get(id);
    if (!schedule || schedule.feeds.length === 0) return { state: 'fresh', source: 'static', ageSeconds: 0 };
    const fetched = bySchedule.get(id)?.fetched ?? [{ source: schedule.feeds[0]?.source ?? '', atMs: NEVER }];
    const ageOf = (atMs: number) => Math.max(0, (nowMs - atMs) / 1000);
    // Each feed by its own source's limits: the schedule is as well known as the least known of them.
    const within = (limit: 'freshSeconds' | 'usableSeconds') =>
      fetched.every(({ source, atMs }) => ageOf(atMs) <= (catalogue.sources.get(source)?.[limit] ?? 0));
    const oldest = fetched.reduce((a, b) => (b.atMs < a.atMs ? b : a));
    return {
      state: within('freshSeconds') ? 'fresh' : within('usableSeconds') ? 'stale' : 'unknown',
      source: oldest.source,
      ageSeconds: Math.min(Math.floor(ageOf(oldest.atMs)), Number.MAX_SAFE_INTEGER),
    };
  }

  const isKnown = (schedule: string, nowMs: number) => knowledge(schedule, nowMs).state !== 'unknown';

  return {
    take(snapshots) {
      const users = usersByOutsideId(catalogue);
      const newest = new Map(snapshots.map((row) => [`${row.source}\n${row.feed}`, row]));
      bySchedule = new Map();
      byUser = new Map();
      strangers = new Map();
      for (const schedule of catalogue.schedules.values()) {
        if (schedule.feeds.length === 0) continue;
        const shifts: Shift[] = [];
        const fetched: { source: string; atMs: number }[] = [];
        for (const feed of schedule.feeds) {
          const row = newest.get(`${feed.source}\n${feed.id}`);
          fetched.push({ source: feed.source, atMs: row?.fetchedAt ?? NEVER });
          for (const outside of (row?.shifts ?? []) as unknown as OutsideShift[]) {
            const user = users.get(`${feed.source}\n${outside.outsideUser}`);
            if (user === undefined) {
              const names = strangers.get(feed.source) ?? new Set();
              strangers.set(feed.source, names.add(outside.outsideUser));
              continue;
            }
            const { startsAtMs, endsAtMs } = outside;
            const level = feed.level ?? outside.level;
            shifts.push({
              user,
              schedule: schedule.id,
              level,
              startsAtMs,
              endsAtMs,
              source: feed.source,
              fetchedAtMs: row?.fetchedAt ?? 0,
            });
          }
        }
        shifts.sort((a, b) => a.level - b.level || a.startsAtMs - b.startsAtMs);
        bySchedule.set(schedule.id, { shifts, fetched });
        for (const shift of shifts) {
          const own = byUser.get(shift.user);
          if (own) own.push(shift);
          else byUser.set(shift.user, [shift]);
        }
      }
    },

    knowledge,

    shiftsOf(user, nowMs) {
      const outside = (byUser.get(user) ?? []).filter(
        (shift) => isAt(shift, nowMs) && isKnown(shift.schedule, nowMs),
      );
      return [...written.of(user, nowMs), ...outside];
    },

    onCall(id, nowMs) {
      const schedule = catalogue.schedules.get(id);
      if (!schedule) return [];
      if (schedule.feeds.length === 0) return written.on(schedule, nowMs);
      if (!isKnown(id, nowMs)) return [];
      return (bySchedule.get(id)?.shifts ?? []).filter((shift) => isAt(shift, nowMs));
    },

    between(id, fromMs, toMs, nowMs) {
      const schedule = catalogue.schedules.get(id);
      if (!schedule) return [];
      if (schedule.feeds.length === 0) return shiftsBetween(schedule, fromMs, toMs);
      if (!isKnown(id, nowMs)) return [];
      return (bySchedule.get(id)?.shifts ?? [])
        .filter(({ startsAtMs, endsAtMs }) => startsAtMs < toMs && (endsAtMs === null || endsAtMs > fromMs))
        .toSorted((a, b) => a.startsAtMs - b.startsAtMs || a.level - b.level);
    },

    nextChange(id, nowMs) {
      const schedule = catalogue.schedules.get(id);
      if (!schedule) return undefined;
      const shifts =
        schedule.feeds.length === 0 ? written.near(schedule, nowMs) : (bySchedule.get(id)?.shifts ?? []);
      const ahead = shifts
        .flatMap(({ startsAtMs, endsAtMs }) => [startsAtMs, endsAtMs ?? Number.NaN])
        .filter((at) => at > nowMs);
      return ahead.length > 0 ? Math.min(...ahead) : undefined;
    },

    unmapped: () => strangers,
  };
}

function isAt({ startsAtMs, endsAtMs }: Shift, nowMs: number): boolean {
  return startsAtMs <= nowMs && (endsAtMs === null || endsAtMs > nowMs);
}

function usersByOutsideId(catalogue: Catalogue): Map<string, string> {
  const users = new Map<string, string>();
  for (const person of catalogue.people.values()) {
    for (const [source, id] of Object.entries(person.ids)) users.set(`${source}\n${id}`, person.id);
  }
  return users;
}

const HOUR_MS = 3_600_000;

/** Schedules of the catalogue. Time zones cost half a millisecond a look: a schedule's shifts are worked out once an hour. */
class StaticShifts {
  readonly #near = new Map<Schedule, { hour: number; shifts: readonly Shift[] }>();
  /** People are on few schedules among many: found once, not once a decision. */
  readonly #schedules = new Map<string, Schedule[]>();

  constructor(catalogue: Catalogue) {
    for (const schedule of catalogue.schedules.values()) {
      const people = new Set([
        ...schedule.rotations.flatMap((rotation) => rotation.people),
        ...schedule.overrides.map((override) => override.user),
      ]);
      for (const person of people) {
        const known = this.#schedules.get(person);
        if (known) known.push(schedule);
        else this.#schedules.set(person, [schedule]);
      }
    }
  }

  on(schedule: Schedule, nowMs: number): readonly Shift[] {
    return this.near(schedule, nowMs).filter((shift) => isAt(shift, nowMs));
  }

  /** Those with a moment in the hour of `nowMs` or the next, best level first. */
  near(schedule: Schedule, nowMs: number): readonly Shift[] {
    const hour = Math.floor(nowMs / HOUR_MS);
    const known = this.#near.get(schedule);
    if (known?.hour === hour) return known.shifts;
    const shifts = shiftsBetween(schedule, hour * HOUR_MS, (hour + 2) * HOUR_MS);
    shifts.sort((a, b) => a.level - b.level);
    this.#near.set(schedule, { hour, shifts });
    return shifts;
  }

  of(user: string, nowMs: number): readonly Shift[] {
    return (this.#schedules.get(user) ?? []).flatMap((schedule) =>
      this.on(schedule, nowMs).filter((shift) => shift.user === user),
    );
  }
}
