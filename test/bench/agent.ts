// A real agent on this machine: what a request costs with it, how soon it wipes what is revoked, and what it takes while nothing
// happens. Memory and time are the kernel's own account of its process.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { Pool } from 'undici';
import type { GrantView, RequestView } from '../../src/protocol/messages.ts';
import { type BenchBroker, DECLARER, HOSTS, INCIDENT, ONCALL, TYPIST } from './broker.ts';
import { atEnd, makeFolder } from './cleanup.ts';
import { enrol, send } from './load.ts';
import { plainEnvironment, runNode, timeInterleaved } from './process-times.ts';
import type { Row, Section } from './report.ts';
import { besideNode } from './start-up.ts';
import { median, quantile } from './statistics.ts';

const ROUNDS = 15;
const REVOCATIONS = 40;
const WIPE_TARGET_MS = 500;
const RSS_TARGET_MB = 60;
const [SETTLE_MS, IDLE_MS] = [5_000, 20_000];
const PATIENCE_MS = 10_000;

export async function measureAgent(broker: BenchBroker): Promise<Section> {
  const home = join(makeFolder('agent'), 'home');
  const env = plainEnvironment({ ONCALL_HOME: home, ONCALL_AGENT: 'on' });
  const oncall = (...args: string[]) => runNode([ONCALL, ...args], env).stdout;
  oncall('enroll', await broker.invite(TYPIST), '--keystore', 'file');
  // Past those that measuring requests without an agent uses up.
  const host = (round: number) => HOSTS.at(-1 - 2 * ROUNDS - round) ?? '';
  atEnd(() => oncall('agent', 'stop'));
  const ask = (round: number): GrantView => {
    const answer = JSON.parse(oncall('request', host(round), '-i', INCIDENT, '--json')) as {
      request: RequestView;
    };
    const [grant] = answer.request.grants;
    if (grant === undefined) throw new Error(`${host(round)} was not granted`);
    return grant;
  };
  ask(0);
  const pid = await agentOf(oncall);

  let held = '';
  const times = timeInterleaved(
    [
      { name: 'node -e 0', args: () => ['-e', '0'], env },
      {
        name: 'oncall request',
        args: (round) => {
          held = host(1 + round);
          return [ONCALL, 'request', held, '-i', INCIDENT, '--json'];
        },
        env,
        after: () => runNode([ONCALL, 'release', held], env),
      },
    ],
    ROUNDS,
  );
  const wiped = await measureWipes(broker, (round) => ask(2 + ROUNDS + round), join(home, 'run', 'grants'));
  return {
    title: 'a warm agent (file keystore, SSH, TLS)',
    rows: [
      besideNode('oncall request', times, 4),
      { name: 'revoked → wiped here, p50', value: median(wiped), unit: 'ms' },
      {
        name: 'revoked → wiped here, p99',
        value: quantile(wiped, 0.99),
        unit: 'ms',
        ratio: {
          value: quantile(wiped, 0.99) / WIPE_TARGET_MS,
          to: `${WIPE_TARGET_MS} ms`,
          target: 1,
        },
      },
      ...(await measureIdle(pid)),
    ],
    notes: [
      'no keystore and no TLS handshake of its own; the agent does both once',
      `${REVOCATIONS} revocations by somebody else, from sending them to the end of the session files`,
      `idle for ${IDLE_MS / 1000} s with one grant held, ${SETTLE_MS / 1000} s after the last command`,
    ],
  };
}

async function agentOf(oncall: (...args: string[]) => string): Promise<number> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await delay(50)) {
    const status = JSON.parse(oncall('agent', 'status', '--json')) as {
      running: boolean;
      pid: number;
      holdsKey: boolean;
    };
    if (status.running && status.holdsKey) return status.pid;
  }
  throw new Error('no agent was started');
}

async function measureWipes(
  broker: BenchBroker,
  ask: (round: number) => GrantView,
  folder: string,
): Promise<number[]> {
  const pool = new Pool(broker.url, { connections: 1, pipelining: 1, connect: { ca: broker.ca } });
  const device = await enrol(broker, pool, DECLARER);
  const times: number[] = [];
  for (let round = 0; round < REVOCATIONS; round += 1) {
    const { id } = ask(round);
    const revocation = await device.prepare('POST', '/v1/revoke', { grants: [id], reason: 'bench' });
    const started = performance.now();
    const sent = send(pool, revocation);
    while (existsSync(join(folder, id))) {
      if (performance.now() - started > PATIENCE_MS) throw new Error('what was revoked is still here');
      await turn();
    }
    times.push(performance.now() - started);
    await sent;
  }
  await pool.destroy();
  return times;
}

async function measureIdle(pid: number): Promise<Row[]> {
  if (process.platform !== 'linux') return [];
  await delay(SETTLE_MS);
  const before = cpuMs(pid);
  await delay(IDLE_MS);
  const rssMb = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  const share = ((cpuMs(pid) - before) / IDLE_MS) * 100;
  return [
    {
      name: 'memory, idle',
      value: rssMb,
      unit: 'MB',
      ratio: { value: rssMb / RSS_TARGET_MB, to: `${RSS_TARGET_MB} MB`, target: 1 },
    },
    { name: 'processor, idle', value: share, unit: '%' },
  ];
}

/** proc(5): utime and stime, in hundredths of a second. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
