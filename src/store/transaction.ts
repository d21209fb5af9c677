import { setTimeout as delay } from 'node:timers/promises';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { Dialect } from './dialect.ts';

/**
 * Runs one transaction from start to end and turns what went wrong into the contract's errors.
 *
 * `execute` opens the transaction and commits when its callback resolves. Between the two stands a guard, because both
 * databases would otherwise do harm quietly: after a failed statement PostgreSQL answers COMMIT with a rollback and no
 * error, SQLite commits the rest, and a call that nobody awaited could land outside of its transaction. So a call that
 * failed fails the transaction whether or not somebody caught it, every call has settled before the end, and none
 * begins after it.
 */
export async function runTransaction<Calls extends object, T>(
  dialect: Dialect,
  execute: (work: (calls: Calls) => Promise<T>) => Promise<T>,
  work: (calls: Calls) => Promise<T>,
): Promise<T> {
  for (let run = 1; ; run++) {
    const guard = new CallGuard();
    let thrownByWork: unknown;
    try {
      return await execute(async (calls) => {
        try {
          const result = await work(guard.watch(calls));
          await guard.end(true);
          return result;
        } catch (error) {
          thrownByWork = error;
          await guard.end(false);
          throw error;
        }
      });
    } catch (error) {
      if (guard.failure === undefined && error === thrownByWork) throw error;
      const cause = guard.failure?.error ?? error;
      if (isAppError(cause)) throw cause;
      const failure = dialect.failureOf(cause);
      if (failure !== 'lost') throw storeError(failure, cause);
      if (run >= dialect.maxRuns) throw new AppError('busy', 'the store is busy', { cause });
      await delay(Math.random() * Math.min(2 ** run, 100));
    }
  }
}

/** For what runs outside of `write` and `read`. */
export function toStoreError(dialect: Dialect, error: unknown): AppError {
  if (isAppError(error)) return error;
  const failure = dialect.failureOf(error);
  return failure === 'lost'
    ? new AppError('busy', 'the store is busy', { cause: error })
    : storeError(failure, error);
}

function storeError(failure: 'conflict' | 'disk_full' | 'other', cause: unknown): AppError {
  if (failure === 'conflict') return new AppError('conflict', 'it exists already', { cause });
  if (failure === 'disk_full') {
    return new AppError('disk_full', 'the store has no room left', {
      hint: 'free space on the volume that holds the store',
      cause,
    });
  }
  return new AppError('internal', 'the store failed', { cause });
}

class CallGuard {
  /** Of the first call that failed. */
  failure: { readonly error: unknown } | undefined;
  #ended = false;
  readonly #pending = new Set<Promise<unknown>>();

  watch<Calls extends object>(calls: Calls): Calls {
    return new Proxy(calls, {
      get: (target, name) => {
        const call: unknown = Reflect.get(target, name);
        return typeof call === 'function'
          ? (...args: unknown[]) => this.#track(() => call.apply(target, args))
          : call;
      },
    });
  }

  /** Waits until nothing is under way. Throws if it should have been finished and wasn't. */
  async end(finished: boolean): Promise<void> {
    const forgotten = this.#pending.size > 0;
    this.#ended = true;
    await Promise.allSettled(this.#pending);
    if (!finished) return;
    if (this.failure !== undefined) throw this.failure.error;
    if (forgotten) throw new AppError('internal', 'a transaction ended before its calls did');
  }

  async #track(call: () => Promise<unknown>): Promise<unknown> {
    if (this.#ended) throw new AppError('internal', 'a call came after the end of its transaction');
    const promise = call();
    this.#pending.add(promise);
    try {
      return await promise;
    } catch (error) {
      this.failure ??= { error };
      throw error;
    } finally {
      this.#pending.delete(promise);
    }
  }
}
