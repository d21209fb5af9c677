// From typing `oncall break-glass` to being logged in, with no broker: it was killed, or the network takes connections and answers nothing.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createClientContext } from '../../src/client/context.ts';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { createGlassDevice, givePack, glassAuthority } from '../support/glass-packs.ts';
import { admitGlass } from '../support/glass-postgres.ts';
import { findCommand, TEST_LOGIN } from '../support/machine-parts.ts';
import { findFreePort, postgresUrl, startPostgres } from '../support/postgres-server.ts';
import { ONCALL } from './broker.ts';
import { atEnd, makeFolder, makeSharedFolder } from './cleanup.ts';
import { plainEnvironment, runNode } from './process-times.ts';
import type { Row, Section } from './report.ts';
import { median } from './statistics.ts';

const ROUNDS = 7;
const LIMIT_MS = 3_000;
const REASON = ['--reason', 'the broker and the replica are down'];
const authority = glassAuthority();

export async function measureBreakGlass(): Promise<Section> {
  const rows: Row[] = [];
  const leftOut: string[] = [];
  const targets = [
    {
      name: 'psql',
      resource: 'db-replica',
      role: 'read',
      start: startDatabase,
      command: ['psql', '-XAtc', 'select count(*) from orders'],
    },
    {
      name: 'ssh',
      resource: 'db-host',
      role: 'operator',
      start: startSsh,
      command: ['ssh', 'db-host', 'true'],
    },
  ];
  const brokers = [
    { name: 'broker killed', url: `http://127.0.0.1:${await findFreePort()}/` },
    { name: 'half-open network', url: await halfOpen() },
  ];
  for (const { name, resource, role, start, command } of targets) {
    try {
      const place = await start();
      for (const broker of brokers) {
        const times: number[] = [];
        // The first warms the file cache, and does not count.
        for (let round = 0; round <= ROUNDS; round += 1) {
          const ms = await login(broker.url, { resource, role, place }, command);
          if (round > 0) times.push(ms);
        }
        const value = Math.max(...times);
        const ratio = { value: value / LIMIT_MS, to: `${LIMIT_MS / 1000} s`, target: 1 };
        rows.push({
          name: `${broker.name}: break-glass → logged in by ${name}, longest`,
          value,
          unit: 'ms',
          ratio,
        });
        rows.push({ name: `${broker.name}: the same, median`, value: median(times), unit: 'ms' });
      }
    } catch (error) {
      leftOut.push(`left out: ${name}, for ${error instanceof Error ? error.message : 'it did not start'}`);
    }
  }
  return {
    title: 'break-glass without a broker: from the command to a session at the target (file keystore)',
    rows,
    notes: [
      `${ROUNDS} times each, on a device that was never opened; both commands of a person are in the time, break-glass and run`,
      ...leftOut,
    ],
  };
}

/** A new device, so that each time a slot is opened; making it is not timed. */
async function login(
  broker: string,
  pack: { resource: string; role: string; place: PackPlace },
  command: readonly string[],
): Promise<number> {
  const home = makeFolder('glass');
  const env = plainEnvironment({ ONCALL_HOME: home });
  const quiet = { warn: () => {}, interactive: false, askPassphrase: undefined, keychainChild: [] };
  const context = createClientContext({ env, profile: 'default', now: Date.now, ...quiet });
  const device = await createGlassDevice(context, authority, { broker });
  await givePack(authority, device, pack);
  const begunAt = performance.now();
  runNode([ONCALL, 'break-glass', pack.resource, ...REASON], env);
  runNode([ONCALL, 'run', pack.resource, '--', ...command], env);
  return performance.now() - begunAt;
}

/** The kernel takes connections; nobody ever reads from them. */
async function halfOpen(): Promise<string> {
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}/`;
}

async function startDatabase(): Promise<PackPlace> {
  if (spawnSync('psql', ['--version']).status !== 0) throw new Error('there is no psql');
  const server = await startPostgres({ folder: makeSharedFolder('glass-postgres') });
  atEnd(() => server.stop('crash'));
  const client = new pg.Client({ connectionString: postgresUrl(server, 'postgres') });
  await client.connect();
  const place = await admitGlass(authority, server, 'postgres', (text) => client.query(text));
  await client.end();
  return place;
}

async function startSsh(): Promise<PackPlace> {
  const program = findCommand('sshd');
  if (program === undefined) throw new Error('there is no sshd');
  const folder = makeSharedFolder('glass-sshd');
  const login = process.getuid?.() === 0 ? TEST_LOGIN : userInfo().username;
  const hostKey = join(folder, 'host_key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
  mkdirSync(join(folder, 'principals'), { mode: 0o755 });
  writeFileSync(join(folder, 'principals', login), 'breakglass-db-host-operator\n', { mode: 0o644 });
  writeFileSync(join(folder, 'ca.pub'), `${authority.sshCaLine}\n`, { mode: 0o644 });
  const port = await findFreePort();
  const lines = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${hostKey}`, 'PidFile none', 'StrictModes no'],
    ...['UsePAM no', 'PasswordAuthentication no', 'AuthorizedKeysFile none', 'LogLevel VERBOSE'],
    `TrustedUserCAKeys ${join(folder, 'ca.pub')}`,
    `AuthorizedPrincipalsFile ${join(folder, 'principals', '%u')}`,
  ];
  writeFileSync(join(folder, 'sshd_config'), `${lines.join('\n')}\n`);
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const server = spawn(program, ['-D', '-e', '-f', join(folder, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  atEnd(() => void server.kill());
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (text: Buffer) => {
      if (text.includes('Server listening')) resolve();
    });
    server.once('exit', () => reject(new Error('sshd did not start')));
  });
  const [type, key] = readFileSync(`${hostKey}.pub`, 'utf8').split(' ');
  return {
    ...{ kind: 'ssh', login, hosts: [{ name: 'db-host', host: '127.0.0.1', port }] },
    knownHosts: [`[127.0.0.1]:${port} ${type} ${key}`],
  };
}
