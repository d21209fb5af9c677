import { type ClientPaths, type Environment, resolvePaths } from './paths.ts';

/**
 * What the client takes from the outside world: nothing below this folder reads the environment, the clock or a terminal
 * by itself.
 */
export interface ClientContext {
  readonly env: Environment;
  readonly paths: ClientPaths;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Says one line on the way: lower case, no full stop, not yet escaped for a terminal. */
  readonly warn: (message: string) => void;
  /** A person sits there: a keychain prompt gets a minute in place of ten seconds. */
  readonly interactive: boolean;
  /** Asks for a passphrase without echo; undefined where nobody can be asked. */
  readonly askPassphrase: ((prompt: string) => Promise<string>) | undefined;
  /** Command and arguments that start the built `keychain-child.js`. */
  readonly keychainChild: readonly string[];
  /** Undefined: no agent is used, and none is started. */
  readonly agent?: AgentUse | undefined;
}

export interface AgentUse {
  /** Ours: an agent of another version is asked to make room. */
  readonly version: string;
  /** Command and arguments that start the built `agent.js`. */
  readonly program: readonly string[];
}

export interface ClientContextInput extends Omit<ClientContext, 'paths'> {
  /** Which installation: `--profile`, else ONCALL_PROFILE, else `default`. */
  readonly profile: string;
}

/** Throws AppError `usage` for a bad profile name and `config_invalid` where no home folder is known. */
export function createClientContext({ profile, ...rest }: ClientContextInput): ClientContext {
  return { ...rest, paths: resolvePaths(rest.env, profile) };
}
