/**
 * Logins that a host saw and that nothing here accounts for. Break-glass writes its journal before it opens anything, and the
 * journal goes up before the device is served anything else: so a device that was here since, without the entry, has
 * opened its pack by another way. One that was not here gets a while, for it may be the network that is gone.
 */
import { parseBreakGlassKeyId } from '../protocol/break-glass-names.ts';
import { createId } from '../protocol/ids.ts';
import type { LoginRow, PackRow } from '../store/rows.ts';
import type { ReadTx, Store, Tx } from '../store/store.ts';
import { type Alarms, alarmId, type Trouble } from './alarms.ts';

export interface LoginWatch {
  /** At start. */
  schedule(tx: Tx): Promise<void>;
  /** Something came that is not accounted for, or that may account for it. */
  soon(tx: Tx): Promise<void>;
  /** The timers: `watch` and `sweep`; each answers when to look again. */
  timer(subject: string): Promise<number | undefined>;
}

const KIND = 'logins';
const LOOK_MS = 15_000;
/** For a device that has not been in contact since. */
const GRACE_MS = 600_000;
/** Between the clocks of host and broker. */
const SKEW_MS = 5_000;
const SWEEP_MS = 3_600_000;
const MOST = 5000;

export function createLoginWatch(store: Store, alarms: Alarms): LoginWatch {
  async function soon(tx: Tx): Promise<void> {
    const dueAt = await tx.now();
    await tx.insertJob({ id: createId('job', dueAt), kind: KIND, subject: 'watch', dueAt });
  }

  async function look(): Promise<number | undefined> {
    return store.write(async (tx) => {
      const nowMs = await tx.now();
      const { troubles, isWaiting } = await troublesOf(tx, nowMs);
      const raised = (await tx.alarms()).filter(({ kind }) => kind === 'break-glass' || kind === 'login');
      for (const [id, trouble] of troubles) {
        const before = raised.find((alarm) => alarm.id === id);
        if (before?.count !== trouble.handles.length) await alarms.raise(tx, trouble);
      }
      for (const alarm of raised)
        if (!troubles.has(alarm.id))
          await alarms.clear(tx, alarm, 'what was opened is in the journal now, or is 90 days old');
      return isWaiting ? nowMs + LOOK_MS : undefined;
    });
  }

  return {
    async schedule(tx) {
      await soon(tx);
      const dueAt = await tx.now();
      await tx.insertJob({ id: createId('job', dueAt), kind: KIND, subject: 'sweep', dueAt });
    },
    soon,
    async timer(subject) {
      if (subject !== 'sweep') return look();
      const nowMs = await store.now();
      await store.write((tx) => tx.sweepLogins(nowMs));
      return nowMs + SWEEP_MS;
    },
  };
}

/** What there is to tell now, by the alarm's id; and whether there is more to come of what is not accounted for. */
async function troublesOf(
  tx: Tx,
  nowMs: number,
): Promise<{ troubles: Map<string, Trouble>; isWaiting: boolean }> {
  const troubles = new Map<string, Trouble & { handles: string[] }>();
  let isWaiting = false;
  const add = (trouble: Trouble & { handles: string[] }) => {
    const id = alarmId(trouble);
    const known = troubles.get(id);
    if (known === undefined) troubles.set(id, trouble);
    else known.handles.push(...trouble.handles.filter((handle) => !known.handles.includes(handle)));
  };
  for (const login of await tx.unmatchedLogins(MOST)) {
    const { resource, host, account, serial, identity } = login;
    const use = parseBreakGlassKeyId(identity);
    const pack = use && (await tx.pack(use.pack));
    if (use === undefined || pack?.resource !== resource || !isOfSlot(pack, use.slot, serial)) {
      const why = `${host} let somebody in as ${account} by a certificate (${identity}, serial ${serial || '-'}) that was not issued for it`;
      add({ kind: 'login', resource, user: '', handles: [identity], why });
      continue;
    }
    isWaiting = true;
    if (await tx.packUse(use.pack, use.slot)) {
      await tx.matchLogin(login.id, `${use.pack}/${use.slot}`);
      continue;
    }
    if (!(await isOverdue(tx, pack.deviceId, login, nowMs))) continue;
    const why = `${host} saw a break-glass login as ${account} of which the journal of ${pack.deviceId} says nothing`;
    add({ kind: 'break-glass', resource, user: pack.user, handles: [identity], why });
  }
  return { troubles, isWaiting };
}

async function isOverdue(
  tx: ReadTx,
  deviceId: string,
  { at, receivedAt }: LoginRow,
  nowMs: number,
): Promise<boolean> {
  const device = await tx.device(deviceId);
  const contactAt = device?.lastSeenAt ?? 0;
  return contactAt > Math.min(at, receivedAt) + SKEW_MS || nowMs - receivedAt >= GRACE_MS;
}

/** Whether a certificate is the one of this slot. `serial`: empty where the target does not say. */
export function isOfSlot({ slots }: PackRow, number: number, serial: string): boolean {
  const slot = (slots as { number: number; serial: string }[]).find((each) => each.number === number);
  return slot !== undefined && (serial === '' || slot.serial === serial);
}
