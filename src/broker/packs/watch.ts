/**
 * The watch over packs: what nobody is entitled to any more is taken back, and whoever comes on call without one hears of it in
 * time to do something about it. A shift counts as lost only where its source has just said so: while that is silent, what it
 * said last holds.
 */
import type { Resource } from '../../catalogue/types.ts';
import { createId } from '../../protocol/ids.ts';
import { formatInstant } from '../../protocol/time.ts';
import type { Shift } from '../../sources/shift.ts';
import type { PackRow } from '../../store/rows.ts';
import type { ReadTx, Store, Tx } from '../../store/store.ts';
import { peopleOf } from '../approvers.ts';
import { type AuditLog, BROKER } from '../audit-log.ts';
import type { Caller } from '../caller.ts';
import type { Outbox } from '../outbox.ts';
import type { CurrentRules } from '../rules.ts';
import { standInDevice } from '../stand-in.ts';
import {
  type BreakGlassIssuers,
  type DuePack,
  duePacks,
  endOf,
  livePacks,
  offlineResources,
  packFor,
  rolesFor,
  schedulesOf,
} from './plan.ts';
import { revokePack, shortenPack } from './revocation.ts';

export interface PackWatch {
  schedule(tx: Tx): Promise<void>;
  /** The timer; answers when to look again. */
  look(): Promise<number>;
  /** What this device lacks, for its status. */
  warnings(tx: ReadTx, caller: Caller): Promise<string[]>;
}

const LOOK_MS = 60_000;
const WARN_MS = 8 * 3_600_000;
const MOST = 10_000;
/** A pack's times are whole seconds. */
const ROUNDING_MS = 1000;

export function createPackWatch(
  store: Store,
  rules: CurrentRules,
  log: AuditLog,
  outbox: Outbox,
  issuers: BreakGlassIssuers,
): PackWatch {
  async function review(tx: ReadTx, pack: PackRow, nowMs: number): Promise<Verdict> {
    const current = rules();
    const { user } = pack;
    if (!current.catalogue.people.has(user)) return { cause: 'the person has left the catalogue' };
    const resource = offlineResources(current, issuers).find(({ id }) => id === pack.resource);
    if (!resource?.breakGlass?.roles.includes(pack.role))
      return { cause: 'the catalogue has no break-glass without a broker there any more' };
    const schedules = schedulesOf(current, resource);
    if (schedules.some((id) => current.shifts.knowledge(id, nowMs).state !== 'fresh')) return 'keep';
    const fromMs = Math.max(nowMs, pack.startsAt + ROUNDING_MS);
    const shifts = schedules
      .flatMap((id) => current.shifts.between(id, fromMs, pack.endsAt, nowMs))
      .filter((shift) => shift.user === user);
    const untilMs = coveredUntil(shifts, fromMs);
    if (untilMs <= fromMs) return { cause: 'the shift is no longer theirs' };
    const device = await tx.device(pack.deviceId);
    const isPermitted = shifts.some((shift) =>
      rolesFor(current, { user, device }, resource, shift, nowMs).includes(pack.role),
    );
    if (!isPermitted) return { cause: 'policy does not permit it any more' };
    return untilMs < pack.endsAt ? { cause: 'the shift ends sooner', endsAtMs: untilMs } : 'keep';
  }

  async function takeBack(nowMs: number): Promise<void> {
    const doomed = await store.read(async (tx) => {
      const live = await tx.packs({ state: 'active', endsAfter: nowMs, limit: MOST });
      const verdicts = await Promise.all(
        live.map(async (pack) => [pack.id, await review(tx, pack, nowMs)] as const),
      );
      return verdicts.filter(([, verdict]) => verdict !== 'keep').map(([id]) => id);
    });
    for (const id of doomed) {
      await store.write(async (tx) => {
        const pack = await tx.pack(id);
        const verdict = pack?.state === 'active' ? await review(tx, pack, await tx.now()) : 'keep';
        if (!pack || verdict === 'keep') return;
        const by = { cause: verdict.cause, actor: BROKER };
        if (verdict.endsAtMs === undefined) await revokePack(tx, log, pack, by);
        else await shortenPack(tx, log, pack, verdict.endsAtMs, by);
      });
    }
  }

  /** Shifts that begin soon, on whose schedules there is something to have a pack for. */
  function comingShifts(resources: readonly Resource[], nowMs: number): Shift[] {
    const current = rules();
    const schedules = new Set(resources.flatMap((resource) => schedulesOf(current, resource)));
    return [...schedules]
      .flatMap((id) => current.shifts.between(id, nowMs, nowMs + WARN_MS, nowMs))
      .filter(({ startsAtMs }) => startsAtMs > nowMs);
  }

  /** Those for this shift that no device of its engineer has. */
  async function missingFor(tx: ReadTx, shift: Shift, nowMs: number): Promise<DuePack[]> {
    const { user } = shift;
    const packs = await livePacks(tx, { user }, nowMs);
    const due = duePacks(rules(), issuers, { user, device: await standInDevice(tx, user) }, nowMs);
    return missingOf(
      tx,
      due.filter((one) => one.shift.startsAtMs === shift.startsAtMs && one.shift.schedule === shift.schedule),
      packs,
    );
  }

  async function warn(nowMs: number): Promise<void> {
    const current = rules();
    const resources = offlineResources(current, issuers);
    if (resources.length === 0) return;
    for (const shift of comingShifts(resources, nowMs)) {
      const missing = await store.read((tx) => missingFor(tx, shift, nowMs));
      if (missing.length === 0) continue;
      await store.write(async (tx) => {
        const { user, schedule, startsAtMs } = shift;
        const manager = current.catalogue.people.get(user)?.manager;
        const leads =
          manager === undefined
            ? peopleOf(current, current.catalogue.breakGlass.notify, user, nowMs)
            : [manager];
        const at = formatInstant(startsAtMs);
        // The same id is told once, however often this looks.
        await outbox.post(tx, {
          id: `pack-missing/${user}/${schedule}/${at}`,
          kind: 'break-glass',
          subject: user,
          to: [user, ...leads],
          title: `${user} has no break-glass pack for the shift at ${at}`,
          who: user,
          what: missing.map(({ resource, role }) => `${resource.id}:${role}`).join(' '),
          why: 'none of their devices has confirmed one: without a broker they could not get in',
          howLong: `from ${at}`,
          rule: schedule,
          command: 'oncall status --refresh',
        });
      });
    }
  }

  return {
    async schedule(tx) {
      const dueAt = await tx.now();
      await tx.insertJob({ id: createId('job', dueAt), kind: 'packs', subject: 'watch', dueAt });
    },

    async look() {
      const nowMs = await store.now();
      await takeBack(nowMs);
      await warn(nowMs);
      return nowMs + LOOK_MS;
    },

    async warnings(tx, { person, device }) {
      const nowMs = await tx.now();
      const packs = await livePacks(tx, { deviceId: device.id }, nowMs);
      const due = duePacks(rules(), issuers, { user: person.id, device }, nowMs).filter(
        ({ shift }) => shift.startsAtMs <= nowMs + WARN_MS,
      );
      const missing = await missingOf(tx, due, packs);
      return (
        missing
          // While a shift goes on, any that is good now will do: the next is on its way.
          .filter(
            (one) => !packs.some((pack) => one.shift.startsAtMs <= nowMs && isGoodNow(pack, one, nowMs)),
          )
          .map(({ resource, role, shift }) => {
            const from =
              shift.startsAtMs <= nowMs ? '' : ` for the shift at ${formatInstant(shift.startsAtMs)}`;
            return `this device has no break-glass pack for ${resource.id}:${role}${from}`;
          })
      );
    },
  };
}

type Verdict = 'keep' | { cause: string; endsAtMs?: number };

async function missingOf(tx: ReadTx, due: readonly DuePack[], packs: readonly PackRow[]): Promise<DuePack[]> {
  const missing: DuePack[] = [];
  for (const one of due) if ((await packFor(tx, one, packs)) === undefined) missing.push(one);
  return missing;
}

function isGoodNow(pack: PackRow, { resource, role }: DuePack, nowMs: number): boolean {
  return (
    pack.resource === resource.id && pack.role === role && pack.confirmedAt !== null && pack.startsAt <= nowMs
  );
}

/** Until when they follow each other without a gap, from `fromMs` on. */
function coveredUntil(shifts: readonly Shift[], fromMs: number): number {
  let untilMs = fromMs;
  for (const shift of shifts.toSorted((a, b) => a.startsAtMs - b.startsAtMs))
    if (shift.startsAtMs <= untilMs) untilMs = Math.max(untilMs, endOf(shift));
  return untilMs;
}
