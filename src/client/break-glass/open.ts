/**
 * Opening a pack. The order is what accounts for it: a slot is chosen → journal entries are on the disk → only then its certificate is
 * unsealed → use is noted → tools find it. A crash between any two of these leaves an entry without a use, never a use without one.
 */
import { statSync } from 'node:fs';
import type { JournalEvent } from '../../break-glass/journal-event.ts';
import { openPart } from '../../break-glass/pack.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { Pack } from '../../protocol/messages.ts';
import { formatTarget, type TargetRef } from '../../protocol/names.ts';
import type { Client } from '../client.ts';
import type { ClientContext } from '../context.ts';
import type { HeldCredential } from '../credentials.ts';
import { readSafeFile } from '../files.ts';
import { withHoldLock } from '../hold.ts';
import { writeSessionFiles } from '../session-files.ts';
import { readStatusFile } from '../status-file.ts';
import { followSession } from '../tool-files.ts';
import { type ChosenSlot, chooseSlot, requireClock } from './choose.ts';
import { noteGlass } from './glass-status.ts';
import { type Journal, withJournal } from './journal.ts';
import { type GlassKeys, requireGlassKeys } from './owner.ts';
import { type KeptPack, listPacks, openPackKey } from './packs.ts';
import { type Probe, wordsOf } from './probe.ts';
import type { SlotUse } from './slot-uses.ts';

/** Whoever holds the lock may be waiting for the network: access in an outage does not. */
const HOLD_PATIENCE_MS = 250;

export interface OpenInput {
  readonly target: TargetRef;
  readonly reason: string;
  readonly incident: string | null;
  readonly drill: boolean;
  /** What was tried to get a decision. */
  readonly probes: readonly Probe[];
  /** Of the program that it is opened for, without arguments. */
  readonly tool: string;
}

export interface Opened {
  readonly credential: HeldCredential;
  readonly use: SlotUse;
  /** Told of this opening: null where no webhook is named. */
  readonly webhook: string | null;
  /** It was open before. */
  readonly wasOpen: boolean;
}

/**
 * Opens what the packs have for a target, and puts it where tools look. Throws AppError `not_found`, `expired`, `conflict`, `corrupt_file`,
 * `clock_skew` (nothing fits), `disk_full`, `unsafe_file`, `busy` (no journal: nothing is opened), `config_invalid` (no packs here).
 */
export async function openPack(client: Client, input: OpenInput): Promise<Opened> {
  const { context, config } = client;
  const keys = await requireGlassKeys(client);
  const found = listPacks(context.paths, config);
  const packs = usable(found.packs, keys, input.target, found.refused[0]?.error);
  const opened = await withJournal(keys.owner, async (journal) => {
    requireClock(seenTimes(client, journal, packs), context.now());
    const chosen = chooseSlot(input.target, packs, journal.uses, context.now());
    if (!chosen.isOpen) await journal.append((seq) => openingEvents(client, journal, chosen, input, seq));
    const use = journal.uses.find(
      ({ pack, slot }) => pack === chosen.kept.pack.id && slot === chosen.slot.number,
    );
    if (use === undefined) throw new AppError('internal', 'the journal does not say what it was told');
    return { chosen, use };
  });
  return handOver(client, keys, opened.chosen, opened.use, input.tool);
}

/** What is open for this target and still good, for one more tool; undefined where nothing is. */
export async function useOpened(
  client: Client,
  target: TargetRef,
  tool: string,
): Promise<Opened | undefined> {
  const keys = await requireGlassKeys(client);
  const { packs } = listPacks(client.context.paths, client.config);
  const now = client.context.now();
  const open = await withJournal(keys.owner, async ({ uses }) =>
    uses.flatMap((use) => {
      const kept = packs.find(({ pack }) => pack.id === use.pack);
      const slot = kept?.pack.slots.find(({ number }) => number === use.slot);
      const isMeant = use.isOpen && use.resource === target.resource && use.role === target.role;
      const isGood = slot !== undefined && Date.parse(slot.notAfter) > now;
      return kept !== undefined && isMeant && isGood ? [{ use, kept, slot, isOpen: true }] : [];
    }),
  );
  const newest = open.sort((a, b) => (a.slot.notAfter < b.slot.notAfter ? 1 : -1))[0];
  return newest === undefined ? undefined : handOver(client, keys, newest, newest.use, tool);
}

async function handOver(
  client: Client,
  keys: GlassKeys,
  { kept, slot, isOpen }: ChosenSlot,
  use: SlotUse,
  tool: string,
): Promise<Opened> {
  const { pack } = kept;
  const certificate = await openPart(keys.sealing, pack.id, slot.number, slot.sealed);
  const credential = credentialOf(
    kept,
    slot,
    keys,
    Buffer.from(certificate).toString('utf8'),
    use,
    client.context.now(),
  );
  await withJournal(keys.owner, (journal) =>
    journal.append(() => [
      { type: 'use', pack: pack.id, slot: slot.number, tool: wordsOf(tool).slice(0, 128) },
    ]),
  );
  await alone(client.context, async () => {
    await writeSessionFiles(client.context.paths, [credential]);
    await followSession(client.context, [credential]);
    await noteGlass(client.context, client.config);
  });
  return { credential, use, webhook: pack.webhook?.url ?? null, wasOpen: isOpen };
}

/** Alone with the files, if whoever else is at them lets go soon; else beside them. */
export async function alone(context: ClientContext, work: () => Promise<void>): Promise<void> {
  try {
    await withHoldLock(context, work, HOLD_PATIENCE_MS);
  } catch (error) {
    if (!isAppError(error, 'busy')) throw error;
    await work();
  }
}

/** Those that are believed and whose key is at hand. Throws what is wrong with the only one there is. */
function usable(
  packs: readonly KeptPack[],
  { cacheKey }: GlassKeys,
  target: TargetRef,
  refused: AppError | undefined,
): KeptPack[] {
  let failure: unknown = refused;
  const good = packs.filter((kept) => {
    if (kept.pack.resource !== target.resource || kept.pack.role !== target.role) return false;
    try {
      // Before a slot is spent on what no tool here could use.
      if (kept.pack.place.kind === 'aws')
        throw new AppError('config_invalid', 'this version of oncall opens no break-glass packs for AWS', {
          hint: 'sign in by the way that your AWS administrators keep for emergencies',
        });
      openPackKey(kept, cacheKey);
      return true;
    } catch (error) {
      failure = error;
      return false;
    }
  });
  if (good.length === 0 && failure !== undefined) throw failure;
  return good;
}

/** All that this device knows of time passing, by its own clock. */
function seenTimes({ context: { paths } }: Client, journal: Journal, packs: readonly KeptPack[]) {
  const contact = contactAt(paths);
  const checkpoint = statSync(paths.checkpointFile, { throwIfNoEntry: false })?.mtimeMs ?? Number.NaN;
  return [
    { ms: journal.newestAtMs, what: "this device's journal" },
    { ms: Date.parse(contact ?? ''), what: 'the last word from the broker' },
    { ms: checkpoint, what: "what was last seen of the broker's log" },
    ...packs.map(({ keptAt }) => ({ ms: Date.parse(keptAt), what: 'a pack' })),
  ];
}

function contactAt(paths: ClientContext['paths']): string | null {
  try {
    return readStatusFile(paths)?.brokerContactAt ?? null;
  } catch (error) {
    if (isAppError(error, 'corrupt_file')) return null;
    throw error;
  }
}

/** Evidence first; before it, where the broker has all that was, what this device has seen of the broker's log. */
function openingEvents(
  { context, config }: Client,
  { head, base }: Journal,
  { kept: { pack }, slot }: ChosenSlot,
  { reason, incident, drill, probes }: OpenInput,
  seq: number,
): JournalEvent[] {
  const { paths } = context;
  const isBeginning = head.seq === base.acknowledged.seq;
  const begin: JournalEvent = {
    type: 'begin',
    checkpoint: readSafeFile(paths.checkpointFile)?.toString('utf8') ?? null,
    contactAt: contactAt(paths),
  };
  const asked = probes.length > 0 ? probes : [{ endpoint: config.broker, tookMs: 0, outcome: 'not tried' }];
  return [
    ...(isBeginning ? [begin] : []),
    { type: 'outage', probes: asked },
    {
      ...{ type: 'open', pack: pack.id, slot: slot.number, resource: pack.resource, role: pack.role },
      ...{ reason, incident, outage: isBeginning ? seq + 1 : seq, drill },
    },
  ];
}

/** As any other that is held, under the pack's id. */
function credentialOf(
  kept: KeptPack,
  slot: Pack['slots'][number],
  { cacheKey }: GlassKeys,
  certificate: string,
  { incident }: SlotUse,
  nowMs: number,
): HeldCredential {
  const { pack } = kept;
  const { privateKey, publicKey } = openPackKey(kept, cacheKey);
  const { kind } = pack.place;
  const shared = {
    grantId: pack.id,
    credentialId: `${pack.id}/${slot.number}`,
    target: { resource: pack.resource, role: pack.role },
    ...(incident !== null && { incident }),
    handle: `${pack.name} ${pack.id}/${slot.number}`,
    lifeSeconds: Math.max(0, (Date.parse(slot.notAfter) - nowMs) / 1000),
    receivedAtMs: nowMs,
    expiresAt: slot.notAfter,
  };
  const { place } = pack;
  if (place.kind === 'ssh')
    return {
      ...shared,
      publicPart: { ...place, certificate },
      secret: { kind: 'ssh', privateKey, publicKey },
    };
  if (place.kind === 'x509')
    return {
      ...shared,
      publicPart: { ...place, certificate },
      secret: { kind: 'x509', privateKey, publicKey },
    };
  if (place.kind === 'postgres')
    return { ...shared, publicPart: { ...place, certificate }, secret: { kind: 'postgres', privateKey } };
  if (place.kind === 'kubernetes') {
    const publicPart = { ...place, certificate, sealedToken: '' };
    return { ...shared, publicPart, secret: { kind: 'kubernetes', privateKey } };
  }
  throw new AppError(
    'corrupt_file',
    `a pack of a kind that is not known: ${String(kind)}, ${formatTarget(pack)}`,
    { hint: 'update oncall on this machine' },
  );
}
