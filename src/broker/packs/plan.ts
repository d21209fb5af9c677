/**
 * Which packs a device should have: for the shift that its engineer is on, and for the next one. A pack covers a window; while a
 * long shift goes on, a new window begins each quarter of a window's length, so that what is on the disk covers three quarters
 * of it at the least whenever the broker goes away.
 */
import type { Resource } from '../../catalogue/types.ts';
import type { BreakGlassIssuer } from '../../issuers/break-glass.ts';
import type { Shift } from '../../sources/shift.ts';
import type { DeviceRow, PackRow } from '../../store/rows.ts';
import type { ReadTx } from '../../store/store.ts';
import { gatherFacts } from '../facts.ts';
import type { Rules } from '../rules.ts';

export type BreakGlassIssuers = ReadonlyMap<string, BreakGlassIssuer>;

/** One pack that there should be. Instants are milliseconds since 1970, in whole seconds, as certificates have them. */
export interface DuePack {
  resource: Resource;
  role: string;
  issuer: BreakGlassIssuer;
  shift: Shift;
  startsAtMs: number;
  endsAtMs: number;
}

export interface PackOwner {
  user: string;
  device: DeviceRow | undefined;
}

/** Packs for a shift are there to be fetched so long before it. */
const AHEAD_MS = 24 * 3_600_000;
const WINDOWS_AT_ONCE = 4;
const MOST = 1000;

/** Resources whose glass can be broken without a broker. */
export function offlineResources({ catalogue }: Rules, issuers: BreakGlassIssuers): Resource[] {
  return [...catalogue.resources.values()].filter(
    ({ breakGlass, target }) => breakGlass?.offline === true && issuers.has(target.kind),
  );
}

export function duePacks(
  rules: Rules,
  issuers: BreakGlassIssuers,
  owner: PackOwner,
  nowMs: number,
): DuePack[] {
  const own = new Map<string, readonly Shift[]>();
  const shiftsOn = (schedule: string) => {
    const known =
      own.get(schedule) ??
      rules.shifts
        .between(schedule, nowMs, nowMs + AHEAD_MS, nowMs)
        .filter(({ user }) => user === owner.user);
    own.set(schedule, known);
    return known;
  };
  return offlineResources(rules, issuers).flatMap((resource) => {
    const issuer = issuers.get(resource.target.kind);
    const shifts = schedulesOf(rules, resource).flatMap(shiftsOn);
    return currentAndNext(shifts, nowMs).flatMap((shift) =>
      rolesFor(rules, owner, resource, shift, nowMs).flatMap((role) =>
        issuer
          ? [
              {
                resource,
                role,
                issuer,
                shift,
                ...windowOf(shift, rules.catalogue.breakGlass.coverSeconds, nowMs),
              },
            ]
          : [],
      ),
    );
  });
}

export function schedulesOf({ catalogue }: Rules, { service }: Resource): readonly string[] {
  return catalogue.services.get(service)?.schedules ?? [];
}

/** Of several at once, the one that lasts longest. */
function currentAndNext(shifts: readonly Shift[], nowMs: number): Shift[] {
  const current = shifts.filter(({ startsAtMs }) => startsAtMs <= nowMs);
  const coming = shifts.filter(({ startsAtMs }) => startsAtMs > nowMs);
  const soonest = Math.min(...coming.map(({ startsAtMs }) => startsAtMs));
  const next = coming.filter(({ startsAtMs }) => startsAtMs === soonest);
  return [longest(current), longest(next)].filter((shift) => shift !== undefined);
}

function longest(shifts: readonly Shift[]): Shift | undefined {
  return shifts.toSorted((a, b) => endOf(b) - endOf(a) || a.level - b.level)[0];
}

export function endOf({ endsAtMs }: Pick<Shift, 'endsAtMs'>): number {
  return endsAtMs ?? Number.POSITIVE_INFINITY;
}

/** The newest window of a shift that has begun; of one that has not, the first. */
function windowOf(
  shift: Shift,
  coverSeconds: number,
  nowMs: number,
): Pick<DuePack, 'startsAtMs' | 'endsAtMs'> {
  const stepMs = Math.max(1, Math.floor(coverSeconds / WINDOWS_AT_ONCE)) * 1000;
  const beganMs = wholeSeconds(shift.startsAtMs);
  const startsAtMs = beganMs + Math.max(0, Math.floor((nowMs - beganMs) / stepMs)) * stepMs;
  return { startsAtMs, endsAtMs: Math.min(startsAtMs + coverSeconds * 1000, wholeSeconds(endOf(shift))) };
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

/**
 * Roles whose glass policy lets this person break during this shift, nothing else being known of the world. The shift itself is:
 * that they have it is what the pack is made for.
 */
export function rolesFor(
  rules: Rules,
  { user, device }: PackOwner,
  resource: Resource,
  { schedule, level, startsAtMs, endsAtMs }: Shift,
  nowMs: number,
): string[] {
  const atMs = Math.max(nowMs, startsAtMs);
  const recorded = { schedule, level, endsAtMs: endOf({ endsAtMs }), isForced: true };
  const facts = gatherFacts(rules, { user, device, resource, incident: undefined, recorded, nowMs: atMs });
  const { roles = [], windowSeconds: durationSeconds = 0 } = resource.breakGlass ?? {};
  return roles.filter(
    (role) =>
      rules.policy.isAllowed('break-glass', {
        ...{ user, durationSeconds, facts },
        target: { resource: resource.id, role },
        hasReason: true,
        nowMs: atMs,
      }).allowed,
  );
}

/** The newest one that this device has got and that still does: of this window, this epoch, and as long as it should be. */
export async function packFor(
  tx: ReadTx,
  due: DuePack,
  packs: readonly PackRow[],
): Promise<PackRow | undefined> {
  const { epoch } = await tx.breakGlassEpoch(due.resource.id);
  return packs.find(
    (pack) =>
      pack.resource === due.resource.id &&
      pack.role === due.role &&
      pack.epoch === epoch &&
      pack.startsAt === due.startsAtMs &&
      pack.endsAt >= due.endsAtMs &&
      pack.confirmedAt !== null,
  );
}

/** Those that could be used now or later. */
export function livePacks(
  tx: ReadTx,
  of: { deviceId: string } | { user: string },
  nowMs: number,
): Promise<readonly PackRow[]> {
  return tx.packs({ ...of, state: 'active', endsAfter: nowMs, limit: MOST });
}
