/** Several ways to the same end, of which the first that leads there is taken. */

export interface Attempt<T> {
  start(signal: AbortSignal): Promise<T>;
  /** Hears why this one led nowhere; of one that lost against another, nothing. */
  failed(error: unknown): void;
}

/**
 * Starts the attempts one after the other, each `staggerMs` after the one before or as soon as that has failed, until one
 * succeeds: RFC 8305 section 5, with servers for addresses. The others are aborted, and what they bring all the same is given to
 * `discard`. Throws what the first attempt threw where none succeeds.
 */
export function firstOf<T>(
  attempts: readonly Attempt<T>[],
  { staggerMs, signal, discard }: { staggerMs: number; signal: AbortSignal; discard: (late: T) => void },
): Promise<T> {
  const over = new AbortController();
  const ends = AbortSignal.any([signal, over.signal]);
  return new Promise((resolve, reject) => {
    let [next, running, isDone] = [0, 0, false];
    let firstError: { error: unknown } | undefined;
    let timer: NodeJS.Timeout | undefined;

    function finish(settle: () => void): void {
      isDone = true;
      clearTimeout(timer);
      settle();
    }

    function begin(): void {
      clearTimeout(timer);
      const attempt = attempts[next++];
      if (isDone || attempt === undefined) return;
      running++;
      if (next < attempts.length) timer = setTimeout(begin, staggerMs);
      attempt.start(ends).then(
        (value) => {
          running--;
          if (isDone) return discard(value);
          finish(() => resolve(value));
          over.abort();
        },
        (error: unknown) => {
          running--;
          if (isDone) return;
          attempt.failed(error);
          firstError ??= { error };
          if (next < attempts.length && !signal.aborted) begin();
          else if (running === 0) finish(() => reject(firstError?.error));
        },
      );
    }

    begin();
  });
}
