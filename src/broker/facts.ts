/**
 * What a decision may use, each fact with its source and age. A fact is always there: unknown ones carry a neutral value
 * and `known: false`. Stale is unknown, never good.
 */
import { formatPosition } from '../catalogue/positions.ts';
import type { Catalogue, Resource } from '../catalogue/types.ts';
import type { Fact, Facts, IncidentFact, ShiftFact } from '../policy/policy.ts';
import type { FactView } from '../protocol/messages.ts';
import type { DeviceRow, IncidentRow } from '../store/rows.ts';
import type { Rules } from './rules.ts';
import type { ShiftBook } from './shift-book.ts';

/** The source of incidents that people declare. */
export const MANUAL = 'manual';

export interface FactSubject {
  user: string;
  device: DeviceRow | undefined;
  resource: Resource | undefined;
  incident: IncidentRow | undefined;
  /** The shift that a grant was made on: it holds to its recorded end while its source is silent, or knows of nobody in its place. */
  recorded?: RecordedShift | undefined;
  nowMs: number;
}

export interface RecordedShift {
  schedule: string;
  level: number;
  /** Null where its source does not say. */
  endsAtMs: number | null;
  /** It holds whatever the source says now: the grace period after it. */
  isForced?: boolean;
}

/** The shift of this person that covers this resource: of several, the one that lasts longest. */
export function coveringShift(
  { catalogue, shifts }: Rules,
  user: string,
  resource: Resource,
  nowMs: number,
): RecordedShift | undefined {
  const own = catalogue.services.get(resource.service)?.schedules ?? [];
  const endOf = ({ endsAtMs }: { endsAtMs: number | null }) => endsAtMs ?? Number.POSITIVE_INFINITY;
  return shifts
    .shiftsOf(user, nowMs)
    .filter(({ schedule }) => own.includes(schedule))
    .toSorted((a, b) => endOf(b) - endOf(a) || a.level - b.level)[0];
}

export function gatherFacts({ catalogue, shifts }: Rules, subject: FactSubject): Facts {
  const { device, nowMs } = subject;
  return {
    shift: shiftFact(catalogue, shifts, subject),
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

/**
 * The level is the best one held where it counts: over the resource's own schedules if any is held, else over all. A schedule
 * whose knowledge has gone too old is unknown; if that could have made the difference, so is the fact.
 */
function shiftFact(catalogue: Catalogue, book: ShiftBook, subject: FactSubject): Fact<ShiftFact> {
  const { user, resource, recorded, nowMs } = subject;
  const shifts = book.shiftsOf(user, nowMs);
  const own = resource ? (catalogue.services.get(resource.service)?.schedules ?? []) : [];
  const covering = shifts.filter(({ schedule }) => own.includes(schedule));
  const counted = covering.length > 0 ? covering : shifts;
  const byAge = (schedules: readonly string[]) =>
    schedules
      .map((schedule) => book.knowledge(schedule, nowMs))
      .toSorted((a, b) => a.ageSeconds - b.ageSeconds);
  const held = byAge(counted.map(({ schedule }) => schedule));
  // Of those that cover the resource the freshest is enough; of others a rule may rest on any.
  const told = (covering.length > 0 ? held[0] : held.at(-1)) ?? byAge(own)[0];
  const holds =
    recorded !== undefined && (recorded.endsAtMs ?? nowMs) > nowMs && own.includes(recorded.schedule);
  const isUnknown = covering.length === 0 && byAge(own).some(({ state }) => state === 'unknown');
  const isStale = counted.length > 0 && told?.state === 'stale';
  // A feed that is empty all at once tells of nobody who took over.
  const isVacant =
    holds &&
    covering.length === 0 &&
    !book.onCall(recorded.schedule, nowMs).some(({ level }) => level === recorded.level);
  if (holds && (isUnknown || isStale || isVacant || recorded.isForced))
    return recordedFact(recorded, told?.ageSeconds ?? 0);
  const value = {
    onCall: shifts.length > 0,
    level: counted.length > 0 ? Math.min(...counted.map(({ level }) => level)) : 0,
    schedules: [...new Set(shifts.map(({ schedule }) => schedule))],
    coversResource: covering.length > 0,
    positions: [...new Set(shifts.map(({ schedule, level }) => formatPosition(schedule, level)))],
  };
  const source = told?.source ?? 'static';
  if (isUnknown) return unknown(value, source);
  return { ...known(value, source, told?.ageSeconds ?? 0), ...(isStale && { demoted: true }) };
}

function recordedFact({ schedule, level }: RecordedShift, ageSeconds: number): Fact<ShiftFact> {
  const value = {
    onCall: true,
    level,
    schedules: [schedule],
    coversResource: true,
    positions: [formatPosition(schedule, level)],
  };
  return known(value, 'grant', ageSeconds);
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
  const isManual = incident.source === MANUAL;
  return known(
    {
      id: incident.id,
      open: incident.state === 'open',
      priority: incident.priority,
      service: incident.service,
      source: incident.source,
      declaredBy: incident.declaredBy,
      byBeneficiary: mayHaveDeclared(catalogue, incident, user),
      matchesResource: incident.service !== '' && incident.service === resource?.service,
      trusted: isManual || (catalogue.sources.get(incident.source)?.trusted ?? false),
      confirmed: isManual || incident.confirmedAt !== null,
    },
    incident.source,
  );
}

/** Somebody whom nobody in the catalogue is mapped to: it may be anybody who is not mapped at this source. */
export function strangerOf(source: string, outside: string): string {
  return `${source}/${outside}`;
}

/** Declared or reopened it; or a stranger did, at a source where this person is not mapped and so may be that stranger. */
function mayHaveDeclared(
  { people }: Catalogue,
  { declaredBy, reopenedBy, source }: IncidentRow,
  user: string,
): boolean {
  const openers = [declaredBy, reopenedBy ?? ''];
  if (openers.includes(user)) return true;
  const isStranger = openers.some((opener) => opener.startsWith(strangerOf(source, '')));
  return isStranger && people.get(user)?.ids[source] === undefined;
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
