/**
 * What follows from an entry of a journal. Each opening is reviewed, told of on the ordinary channels, uses up its slot and taints
 * its resource. A drill is told of as one and is neither reviewed nor a taint, where the catalogue says that nothing of value is
 * behind what it opened: reviews that never find anything teach people to close them unread. Whoever calls anything else a drill
 * is reviewed like everybody.
 */

import type { JournalEntry } from '../break-glass/journal-entry.ts';
import type { LoginEvent } from '../break-glass/journal-event.ts';
import { formatInstant, parseInstant } from '../protocol/time.ts';
import type { DeviceRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import { peopleOf } from './approvers.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import type { Opening } from './journal-openings.ts';
import type { NewEntry, ReadLine } from './journal-reading.ts';
import type { Outbox } from './outbox.ts';
import { plainWords } from './plain-words.ts';
import type { UseMatter } from './review-matter.ts';
import type { Reviews } from './reviews.ts';
import type { CurrentRules } from './rules.ts';
import { holdEpochs, taint } from './taints.ts';

/** Of one device: nobody reads more, and a flood of them would hide the others'. Reviews are opened all the same. */
const MOST_NOTICES_AN_HOUR = 30;
const HOUR_MS = 3_600_000;

export interface JournalUses {
  /** What entries may taint, until this transaction ends. To be asked for before the log is written to. */
  hold(tx: Tx, read: readonly ReadLine[]): Promise<void>;
  follow(tx: Tx, device: DeviceRow, taken: NewEntry): Promise<void>;
}

export function createJournalUses(
  rules: CurrentRules,
  log: AuditLog,
  reviews: Reviews,
  outbox: Outbox,
): JournalUses {
  async function opened(tx: Tx, device: DeviceRow, taken: NewEntry, opening: Opening): Promise<void> {
    const { isSound } = opening;
    const matter = matterOf(device, taken, opening, await tx.now());
    const resource = resourceOf(opening);
    const isDrill = matter.drill && resource !== null && isCanary(resource);
    const reviewId = isDrill ? null : await reviews.openAbout(tx, device.user, resource, matter);
    if (isSound)
      await tx.insertPackUse({
        packId: matter.pack,
        slot: matter.slot,
        deviceId: device.id,
        user: device.user,
        resource: matter.resource,
        role: matter.role,
        reason: matter.reason,
        incident: matter.incident,
        drill: isDrill ? 1 : 0,
        seq: matter.seq,
        openedAt: parseInstant(matter.openedAt),
        reconciledAt: parseInstant(matter.reconciledAt),
        reviewId,
      });
    if (!isDrill && resource !== null) await taint(tx, resource);
    await tell(tx, device, taken, matter, reviewId);
  }

  /** The pack says what it opens; the journal, only where the broker knows of no pack. */
  function resourceOf({ event, pack }: Opening): string | null {
    return pack?.resource ?? (rules().catalogue.resources.has(event.resource) ? event.resource : null);
  }

  function isCanary(resource: string): boolean {
    return rules().catalogue.resources.get(resource)?.canary ?? false;
  }

  async function tell(
    tx: Tx,
    device: DeviceRow,
    { head }: NewEntry,
    matter: UseMatter,
    reviewId: string | null,
  ): Promise<void> {
    const nowMs = await tx.now();
    const count = await tx.countAttempt(`break-glass-notices:${device.id}`, HOUR_MS, nowMs);
    if (count > MOST_NOTICES_AN_HOUR) return;
    const current = rules();
    const { breakGlass, reviews: reviewed } = current.catalogue;
    const told = [...breakGlass.notify, ...reviewed.owners];
    const target = `${matter.resource}:${matter.role}`;
    const isDrill = reviewId === null;
    await outbox.post(tx, {
      id: `break-glass/${device.id}/${head.hash}`,
      kind: 'break-glass',
      subject: reviewId ?? matter.pack,
      to: peopleOf(current, told, device.user, nowMs),
      title: `${isDrill ? 'drill: ' : ''}${device.user} broke the glass of ${target} without the broker`,
      who: device.user,
      what: `${target}, slot ${matter.slot} of ${matter.pack}`,
      why: matter.reason,
      howLong: `at ${matter.openedAt} by the clock of ${device.id}${
        count === MOST_NOTICES_AN_HOUR ? '; what it tells of more, only the reviews say' : ''
      }`,
      rule: isDrill ? 'drill' : 'break-glass',
      command: reviewId === null ? '' : `oncall reviews show ${reviewId}`,
    });
  }

  /** A drill has passed when somebody logged in, and not before. */
  async function loggedIn(
    tx: Tx,
    device: DeviceRow,
    { at }: JournalEntry,
    { pack, slot, tool, passed, tookMs }: LoginEvent,
  ): Promise<void> {
    const use = await tx.packUse(pack, slot);
    if (use?.drill !== 1 || use.deviceId !== device.id) return;
    const isNew = await tx.insertDrill({
      id: `${pack.replace(/^bg_/, 'drl_')}-${slot}`,
      resource: use.resource,
      role: use.role,
      user: use.user,
      deviceId: device.id,
      path: 'offline',
      passed: passed ? 1 : 0,
      tookMs,
      note: plainWords(tool),
      at: parseInstant(at),
    });
    if (!isNew) return;
    await log.record(tx, {
      event: passed ? 'drill.passed' : 'drill.failed',
      actor: BROKER,
      subject: { resource: use.resource, user: use.user, device: device.id, pack },
      data: { path: 'offline', role: use.role, at, tookMs },
    });
  }

  return {
    hold(tx, read) {
      const openings = read.flatMap((one) => (one.kind === 'new' && one.opening ? [one.opening] : []));
      return holdEpochs(
        tx,
        openings.flatMap((opening) => resourceOf(opening) ?? []),
      );
    },

    async follow(tx, device, taken) {
      const { event } = taken.entry;
      if (taken.opening) await opened(tx, device, taken, taken.opening);
      if (event.type === 'login') await loggedIn(tx, device, taken.entry, event);
    },
  };
}

function matterOf(
  device: DeviceRow,
  { entry, findings }: NewEntry,
  { event, notes }: Opening,
  nowMs: number,
): UseMatter {
  return {
    kind: 'use',
    device: device.id,
    seq: entry.seq,
    pack: plainWords(event.pack),
    slot: event.slot,
    resource: plainWords(event.resource),
    role: plainWords(event.role),
    reason: plainWords(event.reason),
    incident: event.incident === null ? null : plainWords(event.incident),
    drill: event.drill,
    openedAt: entry.at,
    reconciledAt: formatInstant(nowMs),
    notes: [...findings, ...notes],
  };
}

/** Milliseconds: when the command began that ended in this opening, which is before the first endpoint was asked. */
