/**
 * Ends that are not proven within a minute. A target that refuses a login by itself from some time on (`expires`) is no alarm
 * before that time: SSH hosts that the broker cannot reach are expected to do no more, and no less.
 */
import type { Proof } from '../issuers/issuer.ts';
import { createId } from '../protocol/ids.ts';
import type { CredentialRow } from '../store/rows.ts';
import type { ReadTx, Store, Tx } from '../store/store.ts';
import { type Alarms, alarmId, type Trouble } from './alarms.ts';

const UNPROVEN_MS = 60_000;
const LOOK_MS = 15_000;
const MOST = 5000;

export interface UnprovenWatch {
  /** A broker that has just started gives its other timers a moment to do what is overdue. */
  schedule(tx: Tx): Promise<void>;
  /** The timer: raises and clears alarms; answers when to look again. */
  look(): Promise<number>;
}

/** Credentials whose proof is overdue, and since when each has been ending. Newest first. */
export async function findUnproven(tx: ReadTx, nowMs: number): Promise<readonly CredentialRow[]> {
  const endingBefore = nowMs - UNPROVEN_MS;
  const ending = await tx.credentials({ states: ['ending'], endingBefore, limit: MOST });
  return ending.filter(({ proof }) => {
    const taken = proofOf(proof);
    return taken?.state !== 'expires' || taken.expiresAtMs < endingBefore;
  });
}

export function createUnprovenWatch(store: Store, alarms: Alarms): UnprovenWatch {
  return {
    async schedule(tx) {
      const nowMs = await tx.now();
      const dueAt = nowMs + LOOK_MS;
      await tx.deferJob({ id: createId('job', nowMs), kind: 'unproven', subject: 'all', dueAt });
    },

    async look() {
      const nowMs = await store.now();
      const isQuiet = await store.read(
        async (tx) =>
          (await findUnproven(tx, nowMs)).length === 0 &&
          !(await tx.alarms()).some(({ kind }) => kind === 'unproven'),
      );
      if (!isQuiet) {
        await store.write(async (tx) => {
          const troubles = await troublesOf(tx, await findUnproven(tx, nowMs));
          for (const trouble of troubles.values()) await alarms.raise(tx, trouble);
          for (const alarm of await tx.alarms())
            if (alarm.kind === 'unproven' && !troubles.has(alarm.id))
              await alarms.clear(tx, alarm, 'the end is proven');
        });
      }
      return nowMs + LOOK_MS;
    },
  };
}

/** By the id of the alarm. */
async function troublesOf(tx: ReadTx, rows: readonly CredentialRow[]): Promise<Map<string, Trouble>> {
  const troubles = new Map<string, Trouble & { handles: string[] }>();
  for (const { grantId, handle, proof } of rows) {
    const grant = await tx.grant(grantId);
    if (!grant) continue;
    const { resource, user } = grant;
    const id = alarmId({ kind: 'unproven', resource, user });
    const known = troubles.get(id);
    if (known) known.handles.push(handle);
    else troubles.set(id, { kind: 'unproven', resource, user, handles: [handle], why: reasonOf(proof) });
  }
  return troubles;
}

function reasonOf(proof: CredentialRow['proof']): string {
  const taken = proofOf(proof);
  switch (taken?.state) {
    case 'unproven':
      return taken.reason;
    case 'expires':
      return 'it should have expired by itself';
    default:
      return 'the target has not answered';
  }
}

function proofOf(proof: CredentialRow['proof']): Proof | undefined {
  return (proof as unknown as { proof?: Proof } | null)?.proof;
}
