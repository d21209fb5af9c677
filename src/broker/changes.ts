/**
 * Tells waiters in this process that something may have changed, so that a long poll answers at once. Another broker's
 * changes are found by looking again every second.
 */
export interface Changes {
  announce(): void;
  /** Fires when the broker stops. */
  readonly closed: AbortSignal;
  /** Sends every waiter home: the broker stops. */
  close(): void;
  /** Calls `look` now and after each change until it returns a value, `timeoutMs` passed (undefined) or `signal` fired. */
  wait<T>(
    look: () => Promise<T | undefined>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T | undefined>;
}

const LOOK_AGAIN_MS = 1000;

export function createChanges(): Changes {
  const waiters = new Set<() => void>();
  const closing = new AbortController();

  function next(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        waiters.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      waiters.add(done);
      signal?.addEventListener('abort', done);
    });
  }

  function announce(): void {
    for (const wake of [...waiters]) wake();
  }

  return {
    announce,
    closed: closing.signal,
    close() {
      closing.abort();
      announce();
    },
    async wait(look, timeoutMs, signal) {
      const endsAt = performance.now() + timeoutMs;
      for (;;) {
        // Wait first, then look: a change between looking and waiting would be missed otherwise.
        const left = endsAt - performance.now();
        const change = next(Math.max(0, Math.min(left, LOOK_AGAIN_MS)), signal);
        const found = await look();
        if (found !== undefined || left <= 0 || closing.signal.aborted || signal?.aborted) return found;
        await change;
      }
    },
  };
}
