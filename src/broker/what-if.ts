/** People as they would stand before a door: on call, or with an incident, without waiting for either to be true. For checks alone. */
import { holdersOf } from '../catalogue/chain-check.ts';
import { formatPosition, levelsOf } from '../catalogue/positions.ts';
import type { Catalogue, Resource } from '../catalogue/types.ts';
import type { DeviceFact, Fact, Facts, ShiftFact } from '../policy/policy.ts';
import { breakGlassFacts } from './break-glass-decision.ts';
import type { Rules } from './rules.ts';

/** Somebody who is on call for a service at some time. */
export interface Holder {
  user: string;
  schedule: string;
  level: number;
  /** Only its source knows when. */
  isOutside: boolean;
}

/** Whoever may be on call for this resource, best level first; where no schedule covers it, nobody. */
export function holdersFor({ services, schedules, people }: Catalogue, resource: Resource): Holder[] {
  const own = services.get(resource.service)?.schedules ?? [];
  const holders = own.flatMap((id) => {
    const schedule = schedules.get(id);
    if (!schedule) return [];
    const isOutside = schedule.feeds.length > 0;
    return levelsOf(schedule).flatMap((level) =>
      [...holdersOf(schedule, level, people)].map((user) => ({ user, schedule: id, level, isOutside })),
    );
  });
  return holders.toSorted((a, b) => a.level - b.level);
}

const KEYSTORES: readonly DeviceFact['keystore'][] = ['keychain', 'ssh-agent', 'file'];
const LONG_AGO_SECONDS = 30 * 86_400;

/**
 * What would be known of them at the door while every vendor, identity provider and device manager is down, by each kind of device:
 * that they are on call only where the catalogue itself says when.
 */
export function factsInOutage(rules: Rules, resource: Resource, holder: Holder, nowMs: number): Facts[] {
  const facts = breakGlassFacts(rules, { user: holder.user, device: undefined, resource, nowMs });
  const shift = holder.isOutside ? { ...facts.shift, known: false } : onCall(holder);
  return withEachDevice({ ...facts, shift });
}

/** What would be known on a good day: on call, with an open incident that somebody else declared. */
export function factsOnGoodDay(rules: Rules, resource: Resource, holder: Holder, nowMs: number): Facts[] {
  const facts = breakGlassFacts(rules, { user: holder.user, device: undefined, resource, nowMs });
  const incident = {
    ...{
      id: 'what-if',
      open: true,
      priority: 'P1',
      service: resource.service,
      source: 'manual',
      declaredBy: '',
    },
    ...{ byBeneficiary: false, matchesResource: true, trusted: true, confirmed: true },
  };
  return withEachDevice({ ...facts, shift: onCall(holder), incident: known(incident) });
}

function withEachDevice(facts: Facts): Facts[] {
  return KEYSTORES.map((keystore) => ({
    ...facts,
    device: known({ id: 'what-if', keystore, enrolledSeconds: LONG_AGO_SECONDS }),
  }));
}

function onCall({ schedule, level }: Holder): Fact<ShiftFact> {
  const positions = [formatPosition(schedule, level)];
  return known({ onCall: true, level, schedules: [schedule], positions, coversResource: true });
}

function known<T>(value: T): Fact<T> {
  return { known: true, value, source: 'what-if', ageSeconds: 0 };
}
