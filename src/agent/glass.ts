/**
 * What the agent does about break-glass: packs are fetched while the broker is there; what was opened is wiped when its certificate has run
 * out, told to the webhook until it is heard, and given up where the broker grants the same again.
 */
import { closeExpired, closeGranted } from '../client/break-glass/close.ts';
import { refreshPacks } from '../client/break-glass/fetch.ts';
import { glassOf } from '../client/break-glass/glass-status.ts';
import { hasJournal } from '../client/break-glass/journal-place.ts';
import { lookAtOnce, packsDueAt } from '../client/break-glass/look-at.ts';
import { isSomethingUntold, tellOpenings } from '../client/break-glass/tell.ts';
import type { Client } from '../client/client.ts';
import type { GrantView } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { AgentLog } from './log.ts';
import { type Random, retryDelay } from './schedule.ts';
import { wordsOf } from './tell.ts';

/** The webhook is told again at least so often: it is what somebody hears first. */
const TELL_EVERY_MS = 30_000;

export interface GlassInput {
  readonly client: Client;
  readonly now: () => number;
  readonly random: Random;
  readonly log: AgentLog;
  readonly signal: AbortSignal;
}

export interface Glass {
  /** Never throws. `granted`: what the broker grants now, undefined while it is away. */
  look(granted: readonly GrantView[] | undefined): Promise<void>;
  /** When there is something to do next. */
  nextAt(): number | undefined;
  /** Something is open, or still to be told. */
  readonly isBusy: boolean;
  /** The rules have changed: this device may be to have other packs. */
  rulesChanged(): void;
}

export function createGlass({ client, now, random, log, signal }: GlassInput): Glass {
  const { context, config } = client;
  let keepsPacks = true;
  let isReachable = false;
  let fetchFailures = 0;
  let fetchNotBeforeMs = 0;
  let tellFailures = 0;
  let tellNotBeforeMs = 0;
  let openUntilMs: number | undefined;
  let isUntold = false;

  async function close(granted: readonly GrantView[] | undefined): Promise<void> {
    if (!hasJournal(context.paths)) return;
    const targets = (granted ?? []).filter(({ state }) => state === 'active').map(({ target }) => target);
    const expired = await closeExpired(client);
    const replaced = await closeGranted(client, targets);
    for (const use of [...expired, ...replaced])
      log.write('break-glass.closed', { target: formatTarget(use), pack: use.pack, slot: use.slot });
    const ends = glassOf(context, config).open.map(({ expiresAt }) => Date.parse(expiresAt));
    openUntilMs = ends.length === 0 ? undefined : Math.min(...ends);
    isUntold = isSomethingUntold(client);
  }

  async function tell(): Promise<void> {
    if (!isUntold || tellNotBeforeMs > now()) return;
    const { told, waiting, because } = await tellOpenings(client, signal);
    for (const entry of told) log.write('break-glass.told', { entry });
    isUntold = waiting > 0;
    tellFailures = isUntold ? tellFailures + 1 : 0;
    if (!isUntold) return;
    tellNotBeforeMs = now() + Math.min(TELL_EVERY_MS, retryDelay(tellFailures, 0, random));
    log.write('break-glass.untold', { waiting, message: because ?? '' });
  }

  async function fetch(): Promise<void> {
    if (!keepsPacks || dueAt() > now()) return;
    try {
      keepsPacks = (await client.device()).cacheKey !== undefined;
      if (!keepsPacks) return;
      const { fetched, removed, failure } = await refreshPacks(client);
      fetchFailures = 0;
      if (fetched.length + removed.length > 0)
        log.write('packs', { fetched: fetched.length, removed: removed.length });
      if (failure !== undefined) log.write('packs.failed', { message: wordsOf(failure) });
    } catch (error) {
      fetchFailures += 1;
      fetchNotBeforeMs = now() + retryDelay(fetchFailures, 0, random);
      log.write('packs.failed', { message: wordsOf(error) });
    }
  }

  function dueAt(): number {
    return Math.max(packsDueAt(context), fetchNotBeforeMs);
  }

  return {
    async look(granted) {
      isReachable = granted !== undefined;
      try {
        await close(granted);
        await tell();
        if (isReachable) await fetch();
      } catch (error) {
        log.write('break-glass.failed', { message: wordsOf(error) });
      }
    },
    nextAt() {
      const times = [
        ...(openUntilMs === undefined ? [] : [openUntilMs]),
        ...(isUntold ? [tellNotBeforeMs] : []),
        // While the broker is away there is nothing to wait for but its return.
        ...(keepsPacks && isReachable ? [dueAt()] : []),
      ];
      return times.length === 0 ? undefined : Math.min(...times);
    },
    get isBusy() {
      return openUntilMs !== undefined || isUntold;
    },
    rulesChanged() {
      lookAtOnce(context);
      fetchNotBeforeMs = 0;
    },
  };
}
