/**
 * Keeps credentials from running out: when each is due, what a failure means for it, and when it is tried again. Who waits, and
 * who is told, is the caller's business: the agent's for all that is held, and that of `oncall run` for its own.
 */
import type { Ensured } from '../client/hold.ts';
import { AppError, type ErrorCode, isAppError } from '../protocol/errors.ts';
import type { GrantView } from '../protocol/messages.ts';
import {
  chooseShare,
  type Life,
  type Random,
  renewAt,
  retryDelay,
  runsOutAt,
  spreadDelay,
} from './schedule.ts';

/** The grant is over, it seems. Whoever asks the broker for all that stands finds out; until then it is tried like the rest. */
const GONE: readonly ErrorCode[] = ['ended', 'expired', 'not_found'];
/** Asking again is pointless until something has happened. */
const REFUSED: readonly ErrorCode[] = ['denied', 'forbidden', 'unauthenticated', 'not_enrolled'];
/** At once, so that a hundred that are due together neither open a hundred connections nor wait for one that hangs. */
const AT_ONCE = 8;

export type Outcome =
  | { readonly kind: 'renewed'; readonly grant: GrantView; readonly expiresAt: string }
  | { readonly kind: 'gone' | 'refused' | 'failed'; readonly grant: GrantView; readonly error: AppError };

export interface RenewalsInput {
  readonly now: () => number;
  readonly random: Random;
  /** By this process, or by an agent that may have done it already. */
  readonly ensure: (
    grants: readonly GrantView[],
    options: { readonly renewAfter: number; readonly signal: AbortSignal },
  ) => Promise<Ensured[]>;
}

interface Kept {
  grant: GrantView;
  life: Life;
  share: number;
  failures: number;
  /** Set after a failure. */
  retryAtMs: number | undefined;
  isRefused: boolean;
}

export interface Renewals {
  /** Held from now on; of one that is held already, what is new about it. */
  keep(grant: GrantView, life: Life): void;
  /** What the broker says of one that is held. */
  update(grant: GrantView): void;
  drop(grantId: string): void;
  readonly ids: readonly string[];
  grantOf(grantId: string): GrantView | undefined;
  /** When the next is due; undefined where none ever will be. */
  nextAt(): number | undefined;
  dueAt(grantId: string): number | undefined;
  /** Renews what is due. Never throws. */
  renewDue(signal: AbortSignal): Promise<readonly Outcome[]>;
  /** The broker is back: what failed is tried again in time, not all of it at once, and not when it would have been by itself. */
  brokerIsBack(): void;
  /** Something has happened that a refusal may have rested on. */
  askAgain(): void;
  /** The clock was set: lives go on as they were. */
  shift(byMs: number): void;
  /** Those that were refused and have run out by now. */
  runOut(): readonly string[];
  runsOutAt(grantId: string): number | undefined;
}

export function createRenewals({ now, random, ensure }: RenewalsInput): Renewals {
  const kept = new Map<string, Kept>();

  function dueAt({ life, share, retryAtMs, isRefused }: Kept): number | undefined {
    if (isRefused) return undefined;
    return retryAtMs ?? renewAt(life, share);
  }

  function settle(one: Kept, result: Ensured): Outcome {
    const { grant } = one;
    if (result.status === 'fulfilled') {
      const { receivedAtMs, lifeSeconds, expiresAt } = result.value;
      Object.assign(one, fresh({ receivedAtMs, lifeSeconds }));
      return { kind: 'renewed', grant, expiresAt };
    }
    const error = asReported(result.reason);
    one.failures += 1;
    one.isRefused = REFUSED.includes(error.code);
    one.retryAtMs = now() + retryDelay(one.failures, runsOutAt(one.life) - now(), random);
    if (GONE.includes(error.code)) return { kind: 'gone', grant, error };
    return { kind: one.isRefused ? 'refused' : 'failed', grant, error };
  }

  function fresh(life: Life): Omit<Kept, 'grant'> {
    return { life, share: chooseShare(random), failures: 0, retryAtMs: undefined, isRefused: false };
  }

  const renewals: Renewals = {
    keep(grant, life) {
      const before = kept.get(grant.id);
      if (before === undefined) kept.set(grant.id, { grant, ...fresh(life) });
      else if (before.life.receivedAtMs === life.receivedAtMs) before.grant = grant;
      else Object.assign(before, { grant, ...fresh(life) });
    },
    update(grant) {
      const one = kept.get(grant.id);
      if (one !== undefined) one.grant = grant;
    },
    drop: (grantId) => void kept.delete(grantId),
    get ids() {
      return [...kept.keys()];
    },
    grantOf: (grantId) => kept.get(grantId)?.grant,
    nextAt() {
      const times = [...kept.values()].map((one) => dueAt(one) ?? runsOutAt(one.life));
      return times.length === 0 ? undefined : Math.min(...times);
    },
    dueAt(grantId) {
      const one = kept.get(grantId);
      return one && dueAt(one);
    },
    async renewDue(signal) {
      const due = [...kept.values()].filter((one) => (dueAt(one) ?? Number.POSITIVE_INFINITY) <= now());
      const outcomes: Outcome[] = [];
      for (let at = 0; at < due.length && !signal.aborted; at += AT_ONCE) {
        const some = due.slice(at, at + AT_ONCE);
        // Whoever else renews what is held by this device may have been first: a younger one is not renewed again.
        const renewAfter = Math.min(...some.map(({ share }) => share)) - 0.01;
        const grants = some.map(({ grant }) => grant);
        const results = await ensure(grants, { renewAfter, signal }).catch((reason: unknown) =>
          some.map((): Ensured => ({ status: 'rejected', reason })),
        );
        if (signal.aborted) break;
        for (const [index, one] of some.entries()) {
          const result = results[index];
          if (result !== undefined && kept.get(one.grant.id) === one) outcomes.push(settle(one, result));
        }
      }
      return outcomes;
    },
    brokerIsBack() {
      for (const one of kept.values()) {
        if (one.retryAtMs === undefined) continue;
        one.retryAtMs = now() + spreadDelay(runsOutAt(one.life) - now(), random);
      }
    },
    askAgain() {
      for (const one of kept.values()) {
        if (!one.isRefused) continue;
        // A refusal was an answer: what comes now is a first try, and not all agents come with it at once.
        const retryAtMs = now() + retryDelay(1, runsOutAt(one.life) - now(), random);
        Object.assign(one, { isRefused: false, failures: 0, retryAtMs });
      }
    },
    shift(byMs) {
      for (const one of kept.values()) {
        one.life = { ...one.life, receivedAtMs: one.life.receivedAtMs + byMs };
        if (one.retryAtMs !== undefined) one.retryAtMs += byMs;
      }
    },
    runOut() {
      const isOver = ({ isRefused, life }: Kept) => isRefused && runsOutAt(life) <= now();
      return [...kept.values()].filter(isOver).map(({ grant }) => grant.id);
    },
    runsOutAt(grantId) {
      const one = kept.get(grantId);
      return one && runsOutAt(one.life);
    },
  };
  return renewals;
}

/** Anything else than an AppError is a fault of ours, which may pass. */
function asReported(reason: unknown): AppError {
  return isAppError(reason) ? reason : new AppError('internal', 'something went wrong inside oncall');
}
