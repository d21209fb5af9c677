import { AppError } from '../protocol/errors.ts';
import { StatusError } from './failure.ts';

export type EndSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT';

/** What main.ts listens for on the process, so that nobody else needs to. */
export interface SignalSource {
  on(signal: EndSignal, listener: (signal: EndSignal) => void): void;
}

const NUMBERS: Readonly<Record<EndSignal, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };

/**
 * Signals as values. By default one aborts `signal` with an `interrupted` error of status 128 + n: waits end, nothing new
 * begins, and main.ts ends the process. A command with a child or a server of its own takes them over for a while.
 */
export class Signals {
  readonly #controller = new AbortController();
  #taken: ((signal: EndSignal) => void) | undefined;

  constructor(source: SignalSource) {
    for (const name of Object.keys(NUMBERS) as EndSignal[]) source.on(name, () => this.#arrived(name));
  }

  get aborted(): AbortSignal {
    return this.#controller.signal;
  }

  /** `listener` gets every signal until the returned function is called. */
  take(listener: (signal: EndSignal) => void): () => void {
    this.#taken = listener;
    return () => {
      this.#taken = undefined;
    };
  }

  #arrived(name: EndSignal): void {
    if (this.#taken !== undefined) this.#taken(name);
    else
      this.#controller.abort(
        new StatusError(128 + NUMBERS[name], new AppError('interrupted', 'interrupted')),
      );
  }
}

/** The interruption again, with what became of the work as its hint. Other errors come back as they are. */
export function withHint(error: unknown, hint: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'interrupted' || error.hint !== undefined) return error;
  const hinted = new AppError('interrupted', error.message, { hint });
  return error instanceof StatusError ? new StatusError(error.status, hinted) : hinted;
}
