// A real broker in this process, a real PostgreSQL behind it, and a person's machine on which commands start a real agent. What
// they start is ended with the test file, whatever became of it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrokerOptions, RunningBroker } from '../../src/broker/broker.ts';
import type { GrantView, RequestView } from '../../src/protocol/messages.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import type { Installation } from '../support/installation.ts';
import { type CliOptions, type CliResult, runCli } from '../support/process.ts';
import { signalTree, startTimeOf } from '../support/process-tree.ts';
import { installWithTarget, type Target } from '../support/target.ts';
import { tempDir, waitFor } from '../support/temp.ts';

export interface LogLine {
  at: string;
  event: string;
  [more: string]: unknown;
}

export interface AgentStatus {
  running: boolean;
  pid: number;
  version: string;
  holdsKey: boolean;
  brokerHeardAt: string | null;
  rssBytes: number;
  grants: { id: string; renewsAt: string | null; credentialRunsOutAt: string; extendsAt: string | null }[];
}

export interface Machine {
  home: string;
  /** `oncall …` with the agent allowed. */
  run(args: string | readonly string[], options?: CliOptions): Promise<CliResult>;
  /** The same with --json; it must succeed. */
  json<T>(args: string | readonly string[], options?: CliOptions): Promise<T>;
  request(args?: string, options?: CliOptions): Promise<GrantView>;
  path(...parts: string[]): string;
  log(): LogLine[];
  /** Waits for a line of the agent's log. */
  logged(event: string, more?: object, options?: { timeoutMs?: number; after?: number }): Promise<LogLine>;
  status(): Promise<AgentStatus>;
  /** Of agents that run now. */
  pids(): number[];
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export interface AgentWorld {
  target: Target;
  installation: Installation;
  broker: RunningBroker;
  ana: Machine;
  /** Administers, and declares incidents. */
  dora: TestDevice;
  stopBroker(): Promise<void>;
  startBroker(options?: Partial<BrokerOptions>): Promise<void>;
}

export async function startAgentWorld({
  credential = '20s',
  edit = (catalogue) => catalogue,
  policy,
}: {
  credential?: string;
  edit?: (catalogue: string) => string;
  policy?: string;
} = {}): Promise<AgentWorld> {
  const target = await installWithTarget({ credential, ...(policy === undefined ? {} : { policy }) });
  const { installation } = target;
  installation.write('catalogue.yaml', edit(installation.read('catalogue.yaml')));
  const world: AgentWorld = {
    target,
    installation,
    broker: await installation.start(),
    ana: machine(tempDir()),
    dora: undefined as unknown as TestDevice,
    stopBroker: () => world.broker.stop(),
    async startBroker(options) {
      world.broker = await installation.start(options);
    },
  };
  world.dora = await enrolled(installation, 'dora');
  await world.dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  await enrol(world, world.ana);
  return world;
}

export async function enrol({ installation }: AgentWorld, { run }: Machine, user = 'ana'): Promise<void> {
  const { code, stderr } = await run(`enroll ${await installation.invite(user)} --keystore file`);
  if (code !== 0) throw new Error(stderr);
}

export function machine(home: string, env: CliOptions['env'] = {}): Machine {
  const path = (...parts: string[]) => join(home, 'oncall', ...parts);
  const words = (args: string | readonly string[]) => (typeof args === 'string' ? args.split(' ') : args);
  const self: Machine = {
    home,
    path,
    run: (args, options = {}) =>
      runCli(words(args), { home, ...options, env: { ONCALL_AGENT: undefined, ...env, ...options.env } }),
    async json<T>(args: string | readonly string[], options: CliOptions = {}) {
      const result = await self.run([...words(args), '--json'], options);
      if (result.code !== 0) throw new Error(`${words(args).join(' ')}: ${result.stdout}${result.stderr}`);
      return result.json() as T;
    },
    async request(args = 'db-replica -i P1-1', options) {
      const { request } = await self.json<{ request: RequestView }>(`request ${args}`, options);
      return request.grants[0]!;
    },
    log() {
      const lines = [path('state/agent.log.1'), path('state/agent.log')].flatMap((file) =>
        existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [],
      );
      return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as LogLine);
    },
    logged: (event, more = {}, { timeoutMs = 30_000, after = 0 } = {}) =>
      waitFor(
        () => {
          const isIt = (line: LogLine) =>
            line.event === event && Object.entries(more).every(([name, value]) => line[name] === value);
          return self.log().slice(after).find(isIt);
        },
        { what: `${event} in ${JSON.stringify(self.log())}`, timeoutMs },
      ),
    status: () => self.json<AgentStatus>('agent status'),
    pids: () =>
      [...new Set(self.log().flatMap(({ event, pid }) => (event === 'started' ? [Number(pid)] : [])))].filter(
        isAgent,
      ),
    async kill(signal = 'SIGKILL') {
      for (const pid of self.pids()) {
        signalTree(pid, signal);
        await waitFor(() => startTimeOf(pid) === undefined, { what: 'the end of the agent' });
      }
    },
  };
  atEnd(() => self.kill());
  return self;
}

/** A pid may have become another process's. */
function isAgent(pid: number): boolean {
  try {
    return startTimeOf(pid) !== undefined && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('agent');
  } catch {
    return false;
  }
}
