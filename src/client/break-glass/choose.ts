/** Which slot of which pack is opened for a target. Pure: times are milliseconds since 1970 by this device's clock. */
import { AppError } from '../../protocol/errors.ts';
import type { Pack } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { KeptPack } from './packs.ts';
import { isOf, type SlotUse } from './slot-uses.ts';

export type Slot = Pack['slots'][number];

export interface ChosenSlot {
  readonly kept: KeptPack;
  readonly slot: Slot;
  /** It is open: no other is spent. */
  readonly isOpen: boolean;
}

/** One that is open is used again while it is good for longer than this. */
const LONG_ENOUGH_MS = 10 * 60_000;
/** A clock that is corrected a little is none that was set back. */
const CORRECTED_MS = 60_000;

/**
 * The slot for one resource and role: one that is open already, else the newest good one that was never opened. Throws AppError
 * `not_found` (no pack), `expired` (none for now), `conflict` (all that are good have been opened).
 */
export function chooseSlot(
  target: { readonly resource: string; readonly role: string },
  packs: readonly KeptPack[],
  uses: readonly SlotUse[],
  nowMs: number,
): ChosenSlot {
  const name = formatTarget(target);
  const candidates = newestEpoch(
    packs.filter(({ pack }) => pack.resource === target.resource && pack.role === target.role),
  );
  if (candidates.length === 0) {
    throw new AppError('not_found', `there is no break-glass pack for ${name} on this device`, {
      hint: 'oncall status shows the packs that there are',
    });
  }
  // The one that came last first: what it says of the target is the newest.
  const newestFirst = [...candidates].sort((a, b) => (a.keptAt < b.keptAt ? 1 : -1));
  const good = newestFirst.flatMap((kept) =>
    kept.pack.slots.filter((slot) => isGood(slot, nowMs)).map((slot) => ({ kept, slot })),
  );
  const useOf = ({ kept, slot }: { kept: KeptPack; slot: Slot }) =>
    uses.find((use) => isOf(use, { pack: kept.pack.id, slot: slot.number }));
  const open = good
    .filter((one) => useOf(one)?.isOpen === true && endOf(one.slot) - nowMs > LONG_ENOUGH_MS)
    .sort((a, b) => endOf(b.slot) - endOf(a.slot))[0];
  if (open !== undefined) return { ...open, isOpen: true };
  const unused = good
    .filter((one) => useOf(one) === undefined)
    .sort((a, b) => endOf(b.slot) - endOf(a.slot))[0];
  if (unused !== undefined) return { ...unused, isOpen: false };
  throw good.length === 0 ? notNow(name, candidates, nowMs) : allOpened(name, candidates, nowMs);
}

/**
 * Throws AppError `clock_skew` where this device's clock is behind what it has seen itself: an old pack would be good again.
 * `seen`: each time, and what it is of.
 */
export function requireClock(seen: readonly { readonly ms: number; readonly what: string }[], nowMs: number) {
  const newest = [...seen].filter(({ ms }) => Number.isFinite(ms)).sort((a, b) => b.ms - a.ms)[0];
  if (newest === undefined || nowMs >= newest.ms - CORRECTED_MS) return;
  const { ms, what } = newest;
  throw new AppError(
    'clock_skew',
    `the clock of this device was set back: it says ${instant(nowMs)}, and ${what} is of ${instant(ms)}`,
    { hint: 'set the clock right; nothing is opened by a clock that goes backwards' },
  );
}

/** What was opened under an older one has been cleaned up after: the target may not know its names any more. */
function newestEpoch(packs: readonly KeptPack[]): readonly KeptPack[] {
  const epoch = Math.max(...packs.map(({ pack }) => pack.epoch));
  return packs.filter(({ pack }) => pack.epoch === epoch);
}

function isGood(slot: Slot, nowMs: number): boolean {
  return Date.parse(slot.notBefore) <= nowMs && nowMs < endOf(slot);
}

export function endOf({ notAfter }: Slot): number {
  return Date.parse(notAfter);
}

function notNow(name: string, packs: readonly KeptPack[], nowMs: number): AppError {
  const starts = packs.map(({ pack }) => Date.parse(pack.startsAt)).filter((ms) => ms > nowMs);
  const ends = packs.map(({ pack }) => Date.parse(pack.endsAt));
  const words =
    starts.length > 0
      ? `is not good before ${instant(Math.min(...starts))}`
      : `has run out at ${instant(Math.max(...ends))}`;
  return new AppError('expired', `the break-glass pack for ${name} ${words}`, {
    hint: 'packs are fetched for those on shift, while the broker is there',
  });
}

function allOpened(name: string, packs: readonly KeptPack[], nowMs: number): AppError {
  const next = packs
    .flatMap(({ pack }) => pack.slots.map(({ notBefore }) => Date.parse(notBefore)))
    .filter((ms) => ms > nowMs);
  return new AppError('conflict', `what the break-glass pack has for ${name} and for now was opened before`, {
    hint: next.length === 0 ? undefined : `the next is good from ${instant(Math.min(...next))} on`,
  });
}

function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
