/**
 * What the agent does all the time: adopts what this device holds, renews it, makes its windows longer, hears of its end and
 * wipes it. One loop, woken by the first thing that is due, by the broker's events, and every few seconds by the wall clock, for
 * timers stand still while a laptop sleeps. Whatever fails, it goes on.
 */
import type { Client } from '../client/client.ts';
import { openCredential, sealedAt } from '../client/credentials.ts';
import type { Hearing, News } from '../client/hearing.ts';
import {
  ensureEach,
  listLocalGrants,
  releaseLocal,
  wipeAtOnce,
  wipeGrant,
  withHoldLock,
} from '../client/hold.ts';
import { noteContact, noteUnheard, refreshAll, refreshCatalogue } from '../client/refresh.ts';
import { isAppError } from '../protocol/errors.ts';
import type { GrantView } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import { createBell } from './bell.ts';
import { type Clocks, watchClocks } from './clock.ts';
import { openEar } from './ear.ts';
import { createGlass } from './glass.ts';
import type { AgentLog } from './log.ts';
import type { Notify } from './notify.ts';
import { pause } from './pause.ts';
import { createRenewals } from './renewals.ts';
import { type Random, retryDelay } from './schedule.ts';
import { createTeller, wordsOf } from './tell.ts';
import { createWindows } from './windows.ts';

/** How often the clock is looked at, and the shortest wait: what is due at once is not waited for in a circle. */
const [TICK_MS, SHORTEST_MS] = [15_000, 20];
/** How often it is put down that the broker is there, while it has nothing to say. */
const CONTACT_MS = 60_000;
/** How often completion is told what can be asked for: a catalogue changes seldom. */
const NAMES_EVERY_MS = 24 * 3_600_000;
/** Everybody hears of an incident at once: not everybody asks at once what it means for them. */
const CROWD_MS = 2_000;
/** By our own reckoning, while the broker says nothing: clocks differ a little. */
const OVERDUE_MS = 5_000;
/** A failure that comes at once must not make the loop spin. */
const AFTER_FAILURE_MS = 1_000;
/** After which nothing that was refused need be refused again. */
const CHANGES = /^(incident|grant|rules)\./;

export interface KeeperInput {
  readonly client: Client;
  readonly clocks: Clocks;
  readonly random: Random;
  readonly log: AgentLog;
  readonly notify: Notify;
  readonly signal: AbortSignal;
  readonly hear: (signal: AbortSignal) => Hearing;
  /** Begins new connections: those from before a sleep, or of another network, are dead and do not know it. */
  readonly reconnect: () => void;
  /** The addresses of this machine, as one text. */
  readonly network: () => string;
  /** How long there must be nothing to keep before it ends; undefined: it never does. */
  readonly graceMs: number | undefined;
  /** Whether a command is being served. */
  readonly isBusy: () => boolean;
}

export interface Keeper {
  /** Resolves when there is nothing left to keep, or the signal has fired. */
  readonly ended: Promise<void>;
  /** Something may be held that was not, or is not held any more. Resolves when it has looked. */
  wake(): Promise<void>;
  grants(): readonly KeptView[];
  /** When the broker was last heard, milliseconds since 1970. */
  readonly heardAtMs: number | undefined;
}

export interface KeptView {
  readonly id: string;
  readonly target: GrantView['target'];
  readonly endsAt: string;
  readonly credentialRunsOutAt: string | null;
  readonly renewsAt: string | null;
  readonly extendsAt: string | null;
}

export function startKeeper(input: KeeperInput): Keeper {
  const { client, clocks, random, log, signal } = input;
  const { context, config } = client;
  const { now } = clocks;
  const bell = createBell();
  const renewals = createRenewals({ now, random, ensure: (grants, how) => ensureEach(client, grants, how) });
  const windows = createWindows({ now, random });
  const glass = createGlass({ client, now, random, log, signal });
  const tell = createTeller({ context, config, now, log, notify: input.notify });
  const partings = watchClocks(clocks);
  const waiters: (() => void)[] = [];
  let network = input.network();
  let standing = new Map<string, GrantView>();
  /** The broker's clock minus ours. */
  let offsetMs = 0;
  let refreshAtMs: number | undefined = now();
  let refreshFailures = 0;
  /** The broker could not be reached, and has not been heard since. */
  let isAway = false;
  let heardAtMs: number | undefined;
  let silentSinceMs: number | undefined;
  let notedSilenceMs: number | undefined;
  let notedAtMs = now();
  let namedAtMs: number | undefined;
  let idleSinceMs = now();
  /** Wiped as soon as they were heard to have ended: whatever was being written meanwhile is to go too. */
  const over = new Set<string>();
  /** Lying here, of grants that the broker did not name when it was last asked. */
  const unknown = new Set<string>();
  /** When the sealed credential of each was last read. */
  const versions = new Map<string, number>();

  const ear = openEar({
    hear: input.hear,
    signal,
    take,
    refused(error) {
      log.write('stream.refused', { message: wordsOf(error) });
      refreshIn(0);
    },
  });

  async function take({ everything, events, ...news }: News): Promise<void> {
    const told = events.filter(({ event }) => !event.startsWith('credential.'));
    for (const { event, subject } of told) {
      // At once, whatever else is under way and holds the lock: the end of access waits for nothing.
      if (event === 'grant.ended' && subject.grant !== undefined) await wipeFiles(subject.grant);
      if (event === 'device.revoked' && subject.device === config.device.id)
        for (const id of listLocalGrants(context)) await wipeFiles(id);
    }
    if (everything) log.write('stream.open');
    silentSinceMs = news.silentSinceMs;
    if (news.heardAtMs !== undefined) heard(news.heardAtMs);
    if (everything || told.some(({ event }) => CHANGES.test(event))) renewals.askAgain();
    if (told.some(({ event }) => event.startsWith('rules.'))) glass.rulesChanged();
    if (everything || told.length > 0) {
      const isEverybodys = !everything && told.every(({ event }) => event.startsWith('incident.'));
      refreshIn(isEverybodys ? random() * CROWD_MS : 0);
    }
    // A heartbeat alone is no reason to get up.
    if (silentSinceMs !== undefined) bell.ring();
  }

  function heard(atMs: number): void {
    heardAtMs = atMs;
    if (!isAway) return;
    isAway = false;
    log.write('broker.back');
    renewals.brokerIsBack();
    bell.ring();
  }

  function refreshIn(ms: number): void {
    refreshAtMs = Math.min(refreshAtMs ?? Number.POSITIVE_INFINITY, now() + ms);
    bell.ring();
  }

  function failed(error: unknown): void {
    if (isAppError(error, 'broker_unreachable')) isAway = true;
  }

  async function refresh(): Promise<void> {
    if (refreshAtMs === undefined || refreshAtMs > now()) return;
    refreshAtMs = undefined;
    try {
      const { status, reply, wiped } = await refreshAll(client, { names: false });
      refreshFailures = 0;
      heard(now());
      notedAtMs = now();
      offsetMs = Date.parse(reply.me.brokerTime) - now();
      for (const grant of wiped) log.write('wiped', { grant });
      standing = new Map(reply.grants.flatMap((one) => (one.state === 'active' ? [[one.id, one]] : [])));
      await adopt();
      const held = [...standing.values()].filter(({ id }) => renewals.grantOf(id) !== undefined);
      windows.watch(held, status.grants, offsetMs);
      const pending = reply.pending.map(({ id }) => id);
      for (const outcome of await windows.settleAsked(client, pending)) tell.window(outcome);
      if (namedAtMs === undefined || now() - namedAtMs >= NAMES_EVERY_MS) {
        namedAtMs = now();
        // No access rests on it: nothing waits for it, and the next time will do.
        void refreshCatalogue(client).catch(() => {});
      }
    } catch (error) {
      failed(error);
      refreshFailures += 1;
      log.write('refresh.failed', { message: wordsOf(error) });
      refreshIn(retryDelay(refreshFailures, 0, random));
    }
  }

  /** What lies here of grants that stand is kept; what does not is not. */
  async function adopt(): Promise<void> {
    const { paths, warn } = context;
    const local = listLocalGrants(context);
    for (const id of renewals.ids) if (!local.has(id)) renewals.drop(id);
    for (const id of unknown) if (!local.has(id)) unknown.delete(id);
    const { cacheKey } = await client.device();
    // Without a cache it has nothing that it could name when it renews, and would end what is in use.
    if (cacheKey === undefined) return;
    for (const id of local) {
      const grant = standing.get(id);
      // Come from another command since the broker was asked.
      if (grant === undefined && !unknown.has(id)) refreshIn(0);
      if (grant === undefined) {
        unknown.add(id);
        continue;
      }
      const version = sealedAt(paths, id);
      if (renewals.grantOf(id) !== undefined && versions.get(id) === version) renewals.update(grant);
      else {
        versions.set(id, version);
        const held = await openCredential({ paths, cacheKey, warn }, id);
        // Session files alone: another credential takes its place at once.
        renewals.keep(grant, held ?? { receivedAtMs: now(), lifeSeconds: 0 });
      }
    }
  }

  async function keep(): Promise<void> {
    for (const id of over) {
      await withHoldLock(context, () => wipeGrant(context, id));
      over.delete(id);
    }
    for (const outcome of await renewals.renewDue(signal)) {
      if ('error' in outcome) failed(outcome.error);
      else heard(now());
      if (outcome.kind === 'gone') refreshIn(0);
      await tell.renewal(outcome);
    }
    for (const id of renewals.runOut()) await wipeRunOut(id);
    for (const outcome of await windows.extendDue(client)) {
      if (outcome.kind === 'failed') failed(outcome.error);
      else refreshIn(0);
      tell.window(outcome);
    }
    const isOver = (grant: GrantView | undefined) =>
      grant !== undefined && Date.parse(grant.endsAt) - offsetMs + OVERDUE_MS <= now();
    for (const id of renewals.ids.filter((one) => isOver(renewals.grantOf(one)))) {
      renewals.drop(id);
      await releaseLocal(context, config, id);
      log.write('wiped', { grant: id, because: 'its window has ended' });
    }
  }

  /** The grant stands; the status file says why nothing is held under it. */
  async function wipeRunOut(id: string): Promise<void> {
    renewals.drop(id);
    await withHoldLock(context, () => wipeGrant(context, id));
    log.write('wiped', { grant: id, because: 'its renewal was refused, and it has run out' });
  }

  async function wipeFiles(id: string): Promise<void> {
    renewals.drop(id);
    if (!listLocalGrants(context).has(id)) return;
    over.add(id);
    try {
      await wipeAtOnce(context, id);
      log.write('wiped', { grant: id });
    } catch (error) {
      log.write('wipe.failed', { grant: id, message: wordsOf(error) });
    }
  }

  /** What sleep, a clock that was set, and another network mean for what was known before. */
  function noticeWorld(): void {
    const parting = partings();
    const before = network;
    network = input.network();
    if (parting?.kind === 'moved') {
      renewals.shift(parting.byMs);
      offsetMs -= parting.byMs;
      notedAtMs += parting.byMs;
      idleSinceMs += parting.byMs;
    }
    if (parting !== undefined)
      log.write(`clock.${parting.kind}`, { bySeconds: Math.round(parting.byMs / 1000) });
    else if (network === before) return;
    else log.write('network.changed');
    input.reconnect();
    ear.again();
    refreshIn(0);
  }

  async function noteHearing(): Promise<void> {
    if (silentSinceMs !== notedSilenceMs) {
      notedSilenceMs = silentSinceMs;
      if (silentSinceMs !== undefined) await noteUnheard(client, silentSinceMs);
    }
    if (silentSinceMs !== undefined || now() - notedAtMs < CONTACT_MS) return;
    if (heardAtMs !== undefined && heardAtMs > notedAtMs) await noteContact(client);
    notedAtMs = now();
  }

  function isIdle(): boolean {
    const isHolding = renewals.ids.length > 0 || listLocalGrants(context).size > 0 || glass.isBusy;
    const isKeeping = input.isBusy() || isHolding;
    if (isKeeping) idleSinceMs = now();
    return input.graceMs !== undefined && now() - idleSinceMs >= input.graceMs;
  }

  async function look(): Promise<void> {
    const waiting = waiters.splice(0);
    try {
      noticeWorld();
      await refresh();
      await adopt();
      await keep();
      // While the broker is away it is not asked for packs, and what it granted says nothing about now.
      await glass.look(isAway || heardAtMs === undefined ? undefined : [...standing.values()]);
      await noteHearing();
    } catch (error) {
      // A full disk, a lock that somebody keeps: the next turn may fare better.
      log.write('failed', { message: wordsOf(error) });
      await pause(AFTER_FAILURE_MS, signal);
    } finally {
      for (const resolve of waiting) resolve();
    }
  }

  async function keepAlways(): Promise<void> {
    while (!signal.aborted) {
      await look();
      if (isIdle()) return log.write('idle');
      const next = [renewals.nextAt(), windows.nextAt(), glass.nextAt(), refreshAtMs];
      const times = next.filter((at) => at !== undefined);
      await bell.wait(Math.max(SHORTEST_MS, Math.min(TICK_MS, ...times.map((at) => at - now()))));
    }
  }

  signal.addEventListener('abort', () => bell.ring());
  const ended = keepAlways();
  return {
    ended,
    wake() {
      const looked = new Promise<void>((resolve) => waiters.push(resolve));
      bell.ring();
      return Promise.race([looked, ended]);
    },
    grants: () => renewals.ids.flatMap(viewOf),
    get heardAtMs() {
      return heardAtMs;
    },
  };

  function viewOf(id: string): KeptView[] {
    const grant = renewals.grantOf(id);
    if (grant === undefined) return [];
    const asText = (ms: number | undefined) => (ms === undefined ? null : formatInstant(Math.round(ms)));
    const { target, endsAt } = grant;
    const credentialRunsOutAt = asText(renewals.runsOutAt(id));
    const [renewsAt, extendsAt] = [asText(renewals.dueAt(id)), asText(windows.dueAt(id))];
    return [{ id, target, endsAt, credentialRunsOutAt, renewsAt, extendsAt }];
  }
}
