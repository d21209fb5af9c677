/**
 * The end of what was opened: its certificate has run out, it was given back, or the broker is there again and grants the same. What
 * tools read goes first, at once and without the lock; the journal says so next. A crash between the two is made up for by whoever
 * looks next: the entry is missing, the access is not.
 */
import type { TargetRef } from '../../protocol/names.ts';
import type { Client } from '../client.ts';
import { listSessionGrants, wipeSessionFiles } from '../session-files.ts';
import { followSession } from '../tool-files.ts';
import { endOf } from './choose.ts';
import { noteGlass } from './glass-status.ts';
import { withJournal } from './journal.ts';
import { hasJournal } from './journal-place.ts';
import { alone } from './open.ts';
import { glassKeys } from './owner.ts';
import { isPackId, type KeptPack, listPacks } from './packs.ts';
import { peekJournal } from './peek.ts';
import type { SlotUse } from './slot-uses.ts';

type Cause = 'released' | 'expired' | 'reconciled' | 'failed';

/** Closes what has run out, and wipes what is open no more. Returns what was closed. Cheap where nothing was ever opened. */
export async function closeExpired(client: Client): Promise<readonly SlotUse[]> {
  const { paths, now } = client.context;
  if (!hasJournal(paths)) return [];
  const { packs } = listPacks(paths, client.config);
  return closeWhere(client, 'expired', (use) => !(expiryOf(use, packs) > now()));
}

/** Gives back what was opened for a target, all of it. */
export function closeTarget(
  client: Client,
  { resource, role }: TargetRef,
  cause: Cause,
): Promise<readonly SlotUse[]> {
  return closeWhere(client, cause, (use) => use.resource === resource && use.role === role);
}

/**
 * The broker grants these again, and knows all that was opened: what break-glass opened for the same is not needed any more. What the
 * broker does not grant stays until its end.
 */
export async function closeGranted(
  client: Client,
  granted: readonly TargetRef[],
): Promise<readonly SlotUse[]> {
  const { paths, now } = client.context;
  if (granted.length === 0 || !hasJournal(paths)) return [];
  if (peekJournal(paths, client.config.device.id, now()).unreported.length > 0) return [];
  const isGranted = (use: SlotUse) =>
    granted.some(({ resource, role }) => use.resource === resource && use.role === role);
  return closeWhere(client, 'reconciled', isGranted);
}

/** When the certificate of a use runs out, milliseconds since 1970; 0 where its pack is gone. */
export function expiryOf(use: SlotUse, packs: readonly KeptPack[]): number {
  const slot = packs
    .find(({ pack }) => pack.id === use.pack)
    ?.pack.slots.find(({ number }) => number === use.slot);
  return slot === undefined ? 0 : endOf(slot);
}

async function closeWhere(
  client: Client,
  cause: Cause,
  isMeant: (use: SlotUse) => boolean,
): Promise<readonly SlotUse[]> {
  const { context, config } = client;
  const { paths, now } = context;
  const { uses } = peekJournal(paths, config.device.id, now());
  const staying = new Set(uses.filter((use) => use.isOpen && !isMeant(use)).map(({ pack }) => pack));
  const wiped = listSessionGrants(paths).filter((id) => isPackId(id) && !staying.has(id));
  for (const id of wiped) await wipeSessionFiles(paths, id);
  const isDue = uses.some((use) => use.isOpen && isMeant(use));
  const keys = isDue ? await glassKeys(client) : undefined;
  const closed =
    keys === undefined
      ? []
      : await withJournal(keys.owner, async (journal) => {
          const due = journal.uses.filter((use) => use.isOpen && isMeant(use));
          if (due.length > 0)
            await journal.append(() => due.map(({ pack, slot }) => ({ type: 'close', pack, slot, cause })));
          return due;
        });
  if (wiped.length > 0 || closed.length > 0) {
    await alone(context, async () => {
      await followSession(context);
      await noteGlass(context, config);
    });
  }
  return closed;
}
