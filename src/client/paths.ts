/**
 * Where everything lies on the engineer's machine (DESIGN section 11). Pure, and on the way of `oncall status`: nothing
 * heavy is imported here.
 */
import { isAbsolute, join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { isPartName } from '../protocol/names.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ClientPaths {
  readonly profile: string;
  readonly configDir: string;
  readonly configFile: string;
  readonly stateDir: string;
  readonly statusFile: string;
  /** What shells show in their prompts. */
  readonly promptFile: string;
  /** Device keys of the file keystore. */
  readonly keysDir: string;
  readonly credentialsDir: string;
  /** What an enrolment under way needs to be finished by a second try. */
  readonly enrollingFile: string;
  readonly checkpointFile: string;
  /** Where the brokers are, and which of them answers. */
  readonly endpointsFile: string;
  readonly receiptsDir: string;
  /** Checkpoints that contradict each other, kept as evidence. */
  readonly evidenceDir: string;
  /** Held while credentials are fetched or wiped. */
  readonly holdLock: string;
  readonly auditLock: string;
  readonly enrollLock: string;
  /** Held by the agent for as long as it lives. */
  readonly agentLock: string;
  /** What the agent has done, newest last; what grew too long lies in `agent.log.1`. */
  readonly agentLog: string;
  readonly breakGlassDir: string;
  /** What plain tools read after `oncall setup`: outlives every grant, nothing in it is secret. */
  readonly toolsDir: string;
  /** Targets that this device has held, for saying how to get them again. */
  readonly knownTargetsFile: string;
  /** Files of names for shell completion. */
  readonly completeDir: string;
  /** What ssh, psql and friends read, and the agent's socket. */
  readonly runDir: string;
}

/**
 * The XDG folders, or all under ONCALL_HOME. A relative XDG folder is ignored, as the XDG specification asks; ONCALL_HOME
 * must be absolute, or a change of folder would change who you are. Throws AppError `usage` for a bad profile name and
 * `config_invalid` where nothing says where the home folder is.
 */
export function resolvePaths(env: Environment, profile: string): ClientPaths {
  if (!isPartName(profile)) {
    throw new AppError('usage', 'not a profile name', {
      hint: 'use lower-case letters, digits and dashes, at most 40, such as --profile staging',
    });
  }
  const roots = rootsOf(env);
  const within = (root: string) => (profile === 'default' ? root : join(root, 'profiles', profile));
  const [configDir, stateDir] = [within(roots.config), within(roots.state)];
  const auditDir = join(stateDir, 'audit');
  return {
    profile,
    configDir,
    configFile: join(configDir, 'config.yaml'),
    stateDir,
    statusFile: join(stateDir, 'status.json'),
    promptFile: join(stateDir, 'prompt'),
    keysDir: join(stateDir, 'keys'),
    credentialsDir: join(stateDir, 'credentials'),
    enrollingFile: join(stateDir, 'enrolling.json'),
    checkpointFile: join(auditDir, 'checkpoint'),
    endpointsFile: join(stateDir, 'endpoints.json'),
    receiptsDir: join(auditDir, 'receipts'),
    evidenceDir: join(auditDir, 'evidence'),
    holdLock: join(stateDir, 'locks', 'hold'),
    auditLock: join(stateDir, 'locks', 'audit'),
    enrollLock: join(stateDir, 'locks', 'enroll'),
    agentLock: join(stateDir, 'locks', 'agent'),
    agentLog: join(stateDir, 'agent.log'),
    breakGlassDir: join(stateDir, 'break-glass'),
    toolsDir: join(stateDir, 'tools'),
    knownTargetsFile: join(stateDir, 'known-targets.json'),
    completeDir: join(within(roots.cache), 'complete'),
    runDir: within(roots.run),
  };
}

interface Roots {
  config: string;
  state: string;
  cache: string;
  run: string;
}

function rootsOf(env: Environment): Roots {
  const home = env.ONCALL_HOME;
  if (home) {
    if (!isAbsolute(home)) {
      throw new AppError('config_invalid', 'ONCALL_HOME is not an absolute path', {
        hint: `export ONCALL_HOME="$PWD/${home}"`,
      });
    }
    return {
      config: join(home, 'config'),
      state: join(home, 'state'),
      cache: join(home, 'cache'),
      run: join(home, 'run'),
    };
  }
  const xdg = (name: string, fallback: string) =>
    join(absolute(env[name]) ?? inHome(env, fallback), 'oncall');
  const state = xdg('XDG_STATE_HOME', '.local/state');
  const runtime = absolute(env.XDG_RUNTIME_DIR);
  return {
    config: xdg('XDG_CONFIG_HOME', '.config'),
    state,
    cache: xdg('XDG_CACHE_HOME', '.cache'),
    run: runtime === undefined ? join(state, 'run') : join(runtime, 'oncall'),
  };
}

function inHome(env: Environment, folder: string): string {
  const home = absolute(env.HOME) ?? absolute(env.USERPROFILE);
  if (home === undefined) {
    throw new AppError('config_invalid', 'no home folder: HOME is not set', {
      hint: 'set ONCALL_HOME to a folder of your own',
    });
  }
  return join(home, folder);
}

function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
