/**
 * A journal that does not add up: an alarm, a review, and no access that opens by itself for its device until a person has
 * decided. Whether the device is locked is that person's to say, never the broker's: a disk that was put back from a backup looks
 * the same as a hand that took something away.
 */
import type { CredentialRow, DeviceRow, GrantRow, JournalRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { type Alarms, alarmId } from './alarms.ts';
import { BROKER } from './audit-log.ts';
import type { Endings } from './endings.ts';
import type { Reviews } from './reviews.ts';

/** What is wrong, and at which entry; null for a line that is none. */
export interface Break {
  readonly seq: number | null;
  readonly says: string;
}

export interface JournalBreaks {
  /** Automatic grants of the device's person, each held by this transaction. To be asked for before the log is written to. */
  hold(tx: Tx, device: DeviceRow): Promise<readonly GrantRow[]>;
  /** What follows from it; answers the journal's row as it is to be kept. */
  mark(
    tx: Tx,
    device: DeviceRow,
    row: JournalRow,
    breaks: readonly Break[],
    held: readonly GrantRow[],
  ): Promise<JournalRow>;
}

const CAUSE = 'the journal of the device does not add up';
const MOST_GRANTS = 10_000;
const MOST_CREDENTIALS = 1000;
const SHOWN = 5;

export function isAutomatic({ via }: Pick<GrantRow, 'via'>): boolean {
  return via === 'shift' || via === 'alert';
}

/** While it is, nothing that opened by itself is for this device. */
export async function hasBrokenJournal(tx: ReadTx, deviceId: string): Promise<boolean> {
  const row = await tx.journal(deviceId);
  return row !== undefined && row.brokenAt !== null;
}

/** A person has decided: by closing its review, or by locking the device. */
export async function settleJournal(tx: Tx, alarms: Alarms, deviceId: string, why: string): Promise<void> {
  await tx.lockTarget(deviceId, 'journal', '');
  const row = await tx.journal(deviceId);
  if (row?.brokenAt == null) return;
  await tx.putJournal({ ...row, brokenAt: null, why: null, reviewId: null });
  const alarm = (await tx.alarms()).find(({ kind, resource }) => kind === 'journal' && resource === deviceId);
  if (alarm) await alarms.clear(tx, alarm, why);
}

export function createJournalBreaks(alarms: Alarms, reviews: Reviews, endings: Endings): JournalBreaks {
  /** A grant knows no device; its logins do. What only this device uses ends whole. */
  async function endFor(tx: Tx, device: DeviceRow, grant: GrantRow): Promise<void> {
    const states = ['issuing', 'live'] as const;
    const open = await tx.credentials({ grantId: grant.id, states, limit: MOST_CREDENTIALS });
    const isOwn = ({ deviceId }: CredentialRow) => deviceId === device.id;
    const by = { cause: CAUSE, actor: BROKER };
    if (open.length > 0 && open.every(isOwn)) await endings.endGrant(tx, grant, by);
    else for (const credential of open.filter(isOwn)) await endings.endCredential(tx, credential, by);
  }

  /** The one that is open already, where there is one. */
  async function reviewOf(tx: Tx, device: DeviceRow, row: JournalRow, why: string): Promise<string> {
    const open = row.reviewId === null ? undefined : await tx.review(row.reviewId);
    if (open?.state === 'open') return open.id;
    return reviews.openAbout(tx, device.user, null, { kind: 'journal', device: device.id, why });
  }

  return {
    async hold(tx, device) {
      const found = await tx.grants({ user: device.user, states: ['ready', 'active'], limit: MOST_GRANTS });
      const held: GrantRow[] = [];
      for (const { id } of found.filter(isAutomatic)) {
        const grant = await tx.lockGrant(id);
        if (grant && grant.state !== 'ended') held.push(grant);
      }
      return held;
    },

    async mark(tx, device, row, breaks, held) {
      const nowMs = await tx.now();
      const why = wordsOf(breaks);
      for (const grant of held) await endFor(tx, device, grant);
      const reviewId = await reviewOf(tx, device, row, why);
      const named = { kind: 'journal', resource: device.id, user: device.user } as const;
      const before = (await tx.alarms()).find(({ id }) => id === alarmId(named));
      const handles = new Set((before?.handles as string[] | undefined) ?? []);
      for (const { seq } of breaks) handles.add(seq === null ? 'a line that is no entry' : `entry ${seq}`);
      await alarms.raise(tx, { ...named, handles: [...handles], why });
      return { ...row, brokenAt: row.brokenAt ?? nowMs, why: row.why ?? why, reviewId };
    },
  };
}

function wordsOf(breaks: readonly Break[]): string {
  const words = breaks.slice(0, SHOWN).map(({ seq, says }) => (seq === null ? says : `entry ${seq} ${says}`));
  const rest = breaks.length - words.length;
  return `${words.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`;
}
