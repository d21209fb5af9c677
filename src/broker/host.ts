/** What the broker's own commands are given and give back; rendering is the command line's. */
import type { AppError } from '../protocol/errors.ts';
import type { Store } from '../store/store.ts';
import type { BrokerConfig } from './config.ts';
import { createSecretReader, loadConfig } from './installation.ts';
import { openStore } from './stores.ts';

export interface Host {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Command and arguments that start `oncall`. */
  readonly program: readonly string[];
  onReload(listener: () => void): void;
}

export type Piece =
  | string
  | { readonly text: string; readonly style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' };

/** What a command found: as data, as lines for people, and whether it shall end with an error after all was shown. */
export interface Result {
  data: object;
  lines: readonly (Piece | readonly Piece[])[];
  failure?: AppError | undefined;
}

/** Opens the folder's store for one piece of work. */
export async function withStore<T>(
  directory: string,
  host: Host,
  work: (store: Store, config: BrokerConfig) => Promise<T>,
): Promise<T> {
  const config = await loadConfig(directory);
  const store = await openStore(config, createSecretReader(directory, host.env), host.now);
  try {
    return await work(store, config);
  } finally {
    await store.close();
  }
}
