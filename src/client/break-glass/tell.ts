/**
 * The one word that this device itself says aloud: each opening goes to the webhook that its pack names, by a key of this device's own,
 * as Standard Webhooks 1.0 says. What is still to be told is what the journal holds beyond the last that was, so nothing that was opened
 * is forgotten, whatever dies in between. Told twice it has the same id.
 */
import { createHmac } from 'node:crypto';
import type { JournalEntry } from '../../break-glass/journal-entry.ts';
import { openPart } from '../../break-glass/pack.ts';
import { isAppError } from '../../protocol/errors.ts';
import type { Client } from '../client.ts';
import { withLock } from '../lock.ts';
import { createTransport } from '../transport.ts';
import { settleBase } from './journal.ts';
import { hasJournal, journalFiles } from './journal-place.ts';
import { type GlassKeys, glassKeys } from './owner.ts';
import { type KeptPack, listPacks } from './packs.ts';
import { peekJournal } from './peek.ts';

const [ATTEMPT_MS, LOCK_MS] = [10_000, 10_000];
/** The broker has the opening by then, and has told everybody by every way it has. */
const GIVEN_UP_MS = 24 * 3_600_000;

export interface Told {
  /** Numbers of entries that were told now. */
  readonly told: readonly number[];
  /** How many are still to be told. */
  readonly waiting: number;
  /** Why, in words for this device's own log. */
  readonly because: string | undefined;
}

/** Whether there is something to tell. Cheap. */
export function isSomethingUntold({ context, config }: Client): boolean {
  const { paths, now } = context;
  if (!hasJournal(paths)) return false;
  const { entries, base } = peekJournal(paths, config.device.id, now());
  return entries.some((entry) => isOpening(entry) && entry.seq > base.told);
}

/** Tries once to tell all that is untold, in order. Never throws for what the network or the receiver does. */
export async function tellOpenings(client: Client, signal?: AbortSignal): Promise<Told> {
  const { context, config } = client;
  const { paths, now } = context;
  const keys = await glassKeys(client);
  if (keys === undefined) return { told: [], waiting: 0, because: undefined };
  const { packs } = listPacks(paths, config);
  const { entries, base } = peekJournal(paths, config.device.id, now());
  const untold = entries.filter((entry) => entry.seq > base.told);
  const told: number[] = [];
  let upTo = base.told;
  let because: string | undefined;
  for (const entry of untold) {
    const outcome = isOpening(entry) ? await tell(client, keys, packs, entry, signal) : NOBODY;
    const isOver = entry.seq <= base.acknowledged.seq && now() - Date.parse(entry.at) > GIVEN_UP_MS;
    if (outcome.kind === 'failed' && !isOver) {
      because = outcome.because;
      break;
    }
    upTo = entry.seq;
    if (outcome.kind === 'told') told.push(entry.seq);
  }
  if (upTo > base.told) await noteTold(client, upTo);
  const waiting = untold.filter((entry) => isOpening(entry) && entry.seq > upTo).length;
  return { told, waiting, because };
}

type Outcome = { kind: 'told' } | { kind: 'nobody' } | { kind: 'failed'; because: string };

/** Who is to be told is not named. */
const NOBODY: Outcome = { kind: 'nobody' };

function failed(what: string): Outcome {
  return { kind: 'failed', because: `the break-glass webhook ${what}` };
}

type Opening = JournalEntry & { readonly event: { readonly type: 'open' } };

function isOpening(entry: JournalEntry): entry is Opening {
  return entry.event.type === 'open';
}

async function tell(
  { context, config }: Client,
  { sealing }: GlassKeys,
  packs: readonly KeptPack[],
  entry: Opening,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const { event } = entry;
  const pack = packs.find((kept) => kept.pack.id === event.pack)?.pack;
  if (pack === undefined || pack.webhook === null) return NOBODY;
  const { env, now } = context;
  const id = `${event.pack}-${event.slot}-${entry.seq}`;
  const body = Buffer.from(JSON.stringify(noticeOf(entry, id)));
  try {
    const key = await openPart(sealing, pack.id, 'webhook', pack.webhook.sealed);
    const timestamp = Math.floor(now() / 1000);
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
    const url = new URL(pack.webhook.url);
    // The receiver is no broker: its certificates are the public ones, or the company's.
    const ca = config.ca === 'pinned' ? 'system' : config.ca;
    const transport = createTransport(url, { ca }, env, now);
    try {
      const { status } = await transport.send({
        ...{ method: 'POST', url, body, timeoutMs: ATTEMPT_MS, signal, streams: false, onSent: undefined },
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': `v1,${signature}`,
        },
      });
      return status >= 200 && status < 300 ? { kind: 'told' } : failed(`answers ${status}`);
    } finally {
      transport.close();
    }
  } catch (error) {
    // Where it goes and what it is signed with stays out of words.
    return failed(isAppError(error) ? `was not reached (${error.code})` : 'was not reached');
  }
}

/** `oncall.break-glass-opened/v1`. Words in it are a person's: whoever shows them escapes them. */
function noticeOf({ seq, at, user, device, event }: Opening, id: string): object {
  const { pack, slot, resource, role, reason, incident, drill } = event as Extract<
    JournalEntry['event'],
    { type: 'open' }
  >;
  return {
    ...{ schema: 'oncall.break-glass-opened/v1', id, at, user, device, resource, role, reason },
    ...{ incident, drill, pack, slot, entry: seq },
  };
}

async function noteTold({ context, config }: Client, told: number): Promise<void> {
  const { paths, now } = context;
  await withLock(
    journalFiles(paths).lock,
    async () => {
      const journal = peekJournal(paths, config.device.id, now());
      await settleBase(paths, journal, { told: Math.max(told, journal.base.told) }, now());
    },
    { timeoutMs: LOCK_MS },
  );
}
