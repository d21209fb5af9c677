/**
 * What the `oncall broker …` commands need from src/broker/commands.ts. They act by file access on the broker's host, so
 * there is no request and no device key here. Imported dynamically, and only by commands/broker.ts.
 */
import type { AppError } from '../protocol/errors.ts';
import type { Environment, Line } from './io.ts';

/** The outside world, as the broker's commands see it. */
export interface BrokerHost {
  /** Text for stdout as it is, newline included: structured logs of `serve`. */
  out(text: string): void;
  err(text: string): void;
  readonly env: Environment;
  /** Command and arguments that start `oncall`. */
  readonly program: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Aborted by SIGINT and SIGTERM: finish what is in flight, then return. */
  readonly signal: AbortSignal;
  /** Called at each SIGHUP: read the files again. */
  onReload(listener: () => void): void;
}

export interface BrokerResult {
  /** JSON output, without `schema`. */
  readonly data: object;
  /** The same for people; each piece is escaped when it is written. */
  readonly lines: readonly Line[];
  /** What the command ends with after its result was written: `check` with findings, `target --check` with gaps. */
  readonly failure?: AppError | undefined;
}

export interface BrokerCommands {
  brokerInit(
    options: {
      directory: string;
      admin: string | undefined;
      publicUrl: string | undefined;
      listen: string | undefined;
    },
    host: BrokerHost,
  ): Promise<BrokerResult>;
  brokerCheck(options: { directory: string }, host: BrokerHost): Promise<BrokerResult>;
  /** Returns when it was told to stop and nothing is in flight any more. */
  brokerServe(options: { directory: string }, host: BrokerHost): Promise<BrokerResult | undefined>;
  brokerInvite(
    options: { directory: string; user: string; forSeconds: number | undefined },
    host: BrokerHost,
  ): Promise<BrokerResult>;
  brokerMigrate(options: { directory: string }, host: BrokerHost): Promise<BrokerResult>;
  brokerBackup(options: { directory: string; file: string }, host: BrokerHost): Promise<BrokerResult>;
  brokerRestore(options: { directory: string; file: string }, host: BrokerHost): Promise<BrokerResult>;
  brokerHostAdd(
    options: { directory: string; resource: string; name: string; publicKey: string },
    host: BrokerHost,
  ): Promise<BrokerResult>;
  brokerHostRemove(
    options: { directory: string; resource: string; name: string },
    host: BrokerHost,
  ): Promise<BrokerResult>;
  brokerHostList(options: { directory: string }, host: BrokerHost): Promise<BrokerResult>;
  brokerRotateTls(options: { directory: string }, host: BrokerHost): Promise<BrokerResult>;
  /** Prints the unit by which systemd runs it. */
  brokerUnit(
    options: { directory: string; user: string | undefined },
    host: BrokerHost,
  ): Promise<BrokerResult>;
  brokerRotateTokens(options: { directory: string }, host: BrokerHost): Promise<BrokerResult>;
  brokerTarget(
    options: { directory: string; resource: string; check: boolean },
    host: BrokerHost,
  ): Promise<BrokerResult>;
}
