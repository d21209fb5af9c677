/**
 * What a decision may use, each fact with its source and age. A fact is always there: unknown ones carry a neutral value
 * and `known: false`. Stale is unknown, never good.
 */
import { formatPosition } from '../catalogue/positions.ts';
import type { Catalogue, Resource, Schedule } from '../catalogue/types.ts';
import type { Fact, Facts, IncidentFact, ShiftFact } from '../policy/policy.ts';
import type { FactView } from '../protocol/messages.ts';
import { type Shift, shiftsAt } from '../sources/static.ts';
import type { DeviceRow, IncidentRow } from '../store/rows.ts';

export interface FactSubject {
  user: string;
  device: DeviceRow | undefined;
  resource: Resource | undefined;
  incident: IncidentRow | undefined;
  nowMs: number;
}

export function gatherFacts(catalogue: Catalogue, subject: FactSubject): Facts {
  const { device, nowMs } = subject;
  return {
    shift: shiftFact(catalogue, subject),
    incident: incidentFact(catalogue, subject),
    device: device
      ? known(
          { id: device.id, keystore: device.keystore, enrolledSeconds: seconds(nowMs - device.createdAt) },
          'registry',
        )
      : unknown({ id: '', keystore: 'file' as const, enrolledSeconds: 0 }, 'registry'),
    risk: unknown({ score: 0 }, 'none'),
    presence: known({ method: 'none' as const }, 'signature'),
  };
}

/** The shifts of one person now, over all schedules. */
export function shiftsOf(catalogue: Catalogue, user: string, nowMs: number): readonly Shift[] {
  return schedulesOf(catalogue, user).flatMap((schedule) =>
    currentShifts(schedule, nowMs).filter((shift) => shift.user === user),
  );
}

/** Time zones cost half a millisecond a look, so what was found holds for the rest of its minute: handovers are on whole minutes. */
const current = new WeakMap<Schedule, { minute: number; shifts: readonly Shift[] }>();
const MINUTE_MS = 60_000;

function currentShifts(schedule: Schedule, nowMs: number): readonly Shift[] {
  const minute = Math.floor(nowMs / MINUTE_MS);
  const known = current.get(schedule);
  if (known?.minute === minute) return known.shifts;
  const shifts = shiftsAt(schedule, nowMs);
  current.set(schedule, { minute, shifts });
  return shifts;
}

/** The level is the best one held where it counts: over the resource's own schedules if any is held, else over all. */
function shiftFact(catalogue: Catalogue, { user, resource, nowMs }: FactSubject): Fact<ShiftFact> {
  const shifts = shiftsOf(catalogue, user, nowMs);
  const own = resource ? (catalogue.services.get(resource.service)?.schedules ?? []) : [];
  const covering = shifts.filter(({ schedule }) => own.includes(schedule));
  const levels = (covering.length > 0 ? covering : shifts).map(({ level }) => level);
  return known(
    {
      onCall: shifts.length > 0,
      level: levels.length > 0 ? Math.min(...levels) : 0,
      schedules: [...new Set(shifts.map(({ schedule }) => schedule))],
      positions: [...new Set(shifts.map(({ schedule, level }) => formatPosition(schedule, level)))],
      coversResource: covering.length > 0,
    },
    'static',
  );
}

function incidentFact(catalogue: Catalogue, { incident, user, resource }: FactSubject): Fact<IncidentFact> {
  if (!incident) {
    return unknown(
      {
        id: '',
        open: false,
        priority: '',
        service: '',
        source: '',
        declaredBy: '',
        byBeneficiary: false,
        matchesResource: false,
        trusted: false,
        confirmed: false,
      },
      'none',
    );
  }
  return known(
    {
      id: incident.id,
      open: incident.state === 'open',
      priority: incident.priority,
      service: incident.service,
      source: incident.source,
      declaredBy: incident.declaredBy,
      byBeneficiary: incident.declaredBy === user,
      matchesResource: incident.service === resource?.service,
      trusted: incident.source === 'manual' || (catalogue.sources.get(incident.source)?.trusted ?? false),
      confirmed: true,
    },
    incident.source,
  );
}

/** People on few schedules among many: found once per catalogue, not once per decision. */
const membership = new WeakMap<Catalogue, Map<string, Schedule[]>>();

function schedulesOf(catalogue: Catalogue, user: string): readonly Schedule[] {
  let index = membership.get(catalogue);
  if (!index) {
    index = new Map();
    for (const schedule of catalogue.schedules.values()) {
      const people = new Set([
        ...schedule.rotations.flatMap((rotation) => rotation.people),
        ...schedule.overrides.map((override) => override.user),
      ]);
      for (const person of people) index.set(person, [...(index.get(person) ?? []), schedule]);
    }
    membership.set(catalogue, index);
  }
  return index.get(user) ?? [];
}

export function viewFacts(facts: Facts): FactView[] {
  return Object.entries(facts).map(([name, fact]) => ({ name, ...fact }));
}

function known<T>(value: T, source: string, ageSeconds = 0): Fact<T> {
  return { known: true, value, source, ageSeconds };
}

function unknown<T>(value: T, source: string): Fact<T> {
  return { known: false, value, source, ageSeconds: 0 };
}

function seconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}
