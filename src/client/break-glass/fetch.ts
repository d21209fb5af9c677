/**
 * Fetching packs while all is well: those that the broker plans for this device, each for a key made here, on the disk before the broker is
 * told that it is. What is not planned any more goes: it was replaced, or its shift is somebody else's.
 */
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { PlannedPack } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import { formatInstant } from '../../protocol/time.ts';
import { confirmPack, getPackPlan, requestPack } from '../calls.ts';
import type { Client } from '../client.ts';
import { createSshKey } from '../targets/ssh.ts';
import { createX509Key } from '../targets/x509.ts';
import { noteGlass } from './glass-status.ts';
import { AFTER_FAILURE_MS, LOOK_EVERY_MS, lookAgainIn } from './look-at.ts';
import { alone } from './open.ts';
import { type GlassKeys, glassKeys } from './owner.ts';
import { type KeptPack, keepPack, listPacks, noteConfirmed, removePack } from './packs.ts';
import { peekJournal } from './peek.ts';

export interface PackNews {
  readonly fetched: readonly string[];
  readonly removed: readonly string[];
  /** One of them that could not be had, or that this device could not keep. */
  readonly failure: AppError | undefined;
}

const NOTHING: PackNews = { fetched: [], removed: [], failure: undefined };

/** Throws what asking the broker for its plan throws; an older broker has none, which is fine. */
export async function refreshPacks(client: Client): Promise<PackNews> {
  const { context, config, broker } = client;
  const { paths } = context;
  const keys = await glassKeys(client);
  if (keys === undefined) return NOTHING;
  const plan = await getPackPlan(broker).catch(async (error: unknown) => {
    if (isAppError(error, 'not_found')) return { packs: [] };
    await lookAgainIn(context, AFTER_FAILURE_MS);
    throw error;
  });
  const before = listPacks(paths, config).packs;
  const kept = new Set<string>();
  const fetched: string[] = [];
  let failure: AppError | undefined;
  for (const planned of plan.packs) {
    try {
      const known = before.find(({ pack }) => pack.id === planned.pack);
      const pack = known ?? (await fetchOne(client, keys, planned));
      if (known === undefined) fetched.push(pack.pack.id);
      if (!pack.isConfirmed) await confirm(client, pack);
      kept.add(pack.pack.id);
    } catch (error) {
      if (!isAppError(error)) throw error;
      failure ??= error;
      // Until there is a better one.
      for (const { pack } of before) if (isSame(pack, planned)) kept.add(pack.id);
    }
  }
  const removed = unneeded(client, before, kept);
  for (const id of removed) removePack(paths, id);
  await lookAgainIn(context, failure === undefined ? LOOK_EVERY_MS : AFTER_FAILURE_MS);
  if (fetched.length > 0 || removed.length > 0) await alone(context, () => noteGlass(context, config));
  return { fetched, removed, failure };
}

async function fetchOne(client: Client, { cacheKey }: GlassKeys, planned: PlannedPack): Promise<KeptPack> {
  const { context, config, broker } = client;
  const { resource, role, startsAt } = planned;
  const key = planned.material === 'ssh' ? await createSshKey() : await createX509Key();
  const material = { kind: key.kind, publicKey: key.publicKey };
  const pack = await requestPack(broker, { resource, role, startsAt, material });
  if (formatTarget(pack) !== formatTarget(planned) || pack.startsAt !== startsAt)
    throw new AppError('corrupt_file', 'the broker sent a pack for something else', {
      hint: 'oncall doctor; and tell who runs the broker',
    });
  const keptAt = formatInstant(context.now());
  return keepPack(context.paths, config, cacheKey, { pack, key, keptAt });
}

async function confirm({ context, broker }: Client, kept: KeptPack): Promise<void> {
  await confirmPack(broker, kept.pack.id);
  await noteConfirmed(context.paths, kept);
}

/** What an entry of the journal speaks of stays, as long as that entry is needed here. */
function unneeded(
  { context, config }: Client,
  before: readonly KeptPack[],
  kept: ReadonlySet<string>,
): string[] {
  const { uses, entries } = peekJournal(context.paths, config.device.id, context.now());
  const spokenOf = new Set([
    ...uses.filter(({ isOpen }) => isOpen).map(({ pack }) => pack),
    ...entries.flatMap(({ event }) => ('pack' in event ? [event.pack] : [])),
  ]);
  return before.map(({ pack }) => pack.id).filter((id) => !kept.has(id) && !spokenOf.has(id));
}

function isSame(pack: KeptPack['pack'], planned: PlannedPack): boolean {
  const { resource, role, startsAt, epoch } = pack;
  return (
    resource === planned.resource &&
    role === planned.role &&
    startsAt === planned.startsAt &&
    epoch === planned.epoch
  );
}
