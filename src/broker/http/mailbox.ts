/** What one listener has not taken yet. */
export interface Mailbox<T> {
  put(items: readonly T[]): void;
  isEmpty(): boolean;
  /** All that is there, as soon as something is; nothing after `timeoutMs` or when `signal` fires. */
  take(timeoutMs: number, signal: AbortSignal): Promise<readonly T[]>;
}

export function createMailbox<T>(): Mailbox<T> {
  let items: T[] = [];
  let wake: (() => void) | undefined;
  const empty = () => {
    const all = items;
    items = [];
    return all;
  };
  return {
    put(more) {
      items.push(...more);
      if (more.length > 0) wake?.();
    },
    isEmpty: () => items.length === 0,
    take(timeoutMs, signal) {
      if (items.length > 0 || signal.aborted) return Promise.resolve(empty());
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          wake = undefined;
          resolve(empty());
        };
        const timer = setTimeout(done, timeoutMs);
        signal.addEventListener('abort', done);
        wake = done;
      });
    },
  };
}
