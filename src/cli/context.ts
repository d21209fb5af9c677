import type { BrokerClient } from '../client/broker.ts';
import type { Client } from '../client/client.ts';
import type { ClientConfig } from '../client/config.ts';
import type { ClientContext } from '../client/context.ts';
import type { Environment, Io, OutputFormat } from './io.ts';
import type { Signals } from './signals.ts';

/**
 * All that a command gets from outside. What costs time (the configuration, the keystore, the broker's connection) is opened
 * when it is first asked for: `--help` and wrong usage open nothing. Each is opened once.
 */
export interface Context {
  readonly io: Io;
  readonly format: OutputFormat;
  readonly env: Environment;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signals: Signals;
  clientContext(): Promise<ClientContext>;
  /** Throws AppError `not_enrolled`, `config_invalid`, `unsafe_file`. */
  config(): Promise<ClientConfig>;
  /**
   * The enrolled device and its broker; asks the keystore. Throws what {@link config} and the keystore throw. Calls end with
   * the command's interruption, and show a spinner when they take long.
   */
  client(): Promise<Client>;
  broker(): Promise<BrokerClient>;
  /** Command and arguments that start the built `agent.js`. */
  readonly agentProgram: readonly string[];
  /** Where the scripts for shell completion lie. Absolute. */
  readonly completionsDir: string;
  /** The status to end with where nothing fails: a child's own. */
  exitWith(code: number): void;
  /** Closes what was opened. */
  close(): Promise<void>;
}
