import type { Io } from './io.ts';

/** Short waits stay silent, and do not pay for loading the spinner. */
const SILENT_MS = 150;

/** Where a spinner is due or turning already: the outermost words stand. */
const waiting = new WeakSet<Io>();

/** For good: a child owns the terminal now. */
export function neverSpin(io: Io): void {
  waiting.add(io);
}

/**
 * Shows a spinner on stderr while `work` goes on, if that is a terminal and it takes longer than a moment. `words` are
 * ours, never from outside.
 */
export async function withSpinner<T>(io: Io, words: string, work: Promise<T>): Promise<T> {
  if (!io.stderr.isTerminal || io.stderr.stream === undefined || waiting.has(io)) return work;
  waiting.add(io);
  let stop: (() => void) | undefined;
  let done = false;
  const stream = io.stderr.stream;
  const timer = setTimeout(async () => {
    const { default: ora } = await import('ora');
    if (done) return;
    // Reading stdin would swallow what is typed for the next command; Ctrl-C must stay a signal.
    const spinner = ora({ text: words, stream, discardStdin: false }).start();
    stop = () => spinner.stop();
  }, SILENT_MS);
  try {
    return await work;
  } finally {
    done = true;
    waiting.delete(io);
    clearTimeout(timer);
    stop?.();
  }
}

/** Settles as `work` does, or rejects with the signal's reason as soon as that is aborted. */
export async function orInterrupted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Resolves after `ms`, or rejects at once when interrupted. */
export async function pause(signal: AbortSignal, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await orInterrupted(
      signal,
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      }),
    );
  } finally {
    clearTimeout(timer);
  }
}
