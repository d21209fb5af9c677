import { escapeForTerminal } from '../protocol/names.ts';
import { drawingStream, type Io } from './io.ts';

/** Short waits stay silent, and do not pay for loading the spinner. */
const SILENT_MS = 150;
/** How often words that change are looked at. */
const LOOK_MS = 1_000;

/** Where a spinner is due or turning already: the outermost words stand. */
const waiting = new WeakSet<Io>();

/** Whether {@link withSpinner} would show one. */
export function canSpin(io: Io): boolean {
  return io.stderr.isTerminal && io.stderr.stream !== undefined && !waiting.has(io);
}

/** For good: a child owns the terminal now. */
export function neverSpin(io: Io): void {
  waiting.add(io);
}

/**
 * Shows a spinner on stderr while `work` goes on, if that is a terminal and it takes longer than a moment. Words that change
 * are looked at every second; they may come from outside.
 */
export async function withSpinner<T>(io: Io, words: string | (() => string), work: Promise<T>): Promise<T> {
  if (!canSpin(io)) return work;
  waiting.add(io);
  let stop: (() => void) | undefined;
  let done = false;
  const timer = setTimeout(async () => {
    const [{ default: ora }, stream] = await Promise.all([import('ora'), drawingStream(io.stderr)]);
    if (done || stream === undefined) return;
    // Reading stdin would swallow what is typed for the next command; Ctrl-C must stay a signal.
    const spinner = ora({ text: textOf(words), stream, discardStdin: false }).start();
    const changing = setInterval(() => {
      spinner.text = textOf(words);
    }, LOOK_MS);
    stop = () => {
      clearInterval(changing);
      spinner.stop();
    };
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

function textOf(words: string | (() => string)): string {
  return escapeForTerminal(typeof words === 'string' ? words : words());
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
