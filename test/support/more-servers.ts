// A MariaDB and a Redis where this machine has their servers, over loopback without TLS, brought in by what the guide of their
// resource says. Free of vitest, for the demo and the bench.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findCommand } from './machine-parts.ts';
import { findFreePort } from './postgres-server.ts';

export interface MoreServer {
  kind: 'mariadb' | 'redis';
  port: number;
  /** Takes the steps of `oncall broker target`, as far as they are about the server itself. */
  bringIn(steps: readonly string[]): void;
}

export interface MoreServerOptions {
  /** An existing folder; a new one is made inside it. */
  folder: string;
  /** What the broker logs in with: 32 letters and digits. */
  password: string;
  /** Told how to end what was started. */
  atEnd(ending: () => unknown): void;
}

const START_MS = 30_000;

/** Undefined where the server or its client is not installed. */
export async function startMariadb({
  folder,
  password,
  atEnd,
}: MoreServerOptions): Promise<MoreServer | undefined> {
  const [server, install, client] = ['mariadbd', 'mariadb-install-db', 'mariadb'].map(findCommand);
  if (!server || !install || !client) return undefined;
  const home = join(folder, 'mariadb');
  mkdirSync(join(home, 'tmp'), { recursive: true, mode: 0o700 });
  const where = ['--no-defaults', `--datadir=${join(home, 'data')}`, `--tmpdir=${join(home, 'tmp')}`];
  if (process.getuid?.() === 0) where.push('--user=root');
  mustRun(install, [...where, '--auth-root-authentication-method=normal', '--skip-test-db']);
  const port = await findFreePort();
  const socket = join(home, 's');
  const settings = [
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${socket}`,
    '--event-scheduler=ON',
  ];
  await serve(
    'MariaDB',
    server,
    [...where, ...settings, `--pid-file=${join(home, 'pid')}`],
    home,
    'ready for connections',
    atEnd,
  );
  const admin = (text: string) => {
    mustRun(client, ['--no-defaults', '-u', 'root', '-S', socket], text);
  };
  admin('CREATE DATABASE orders;');
  // The last step is to prove it.
  const bringIn = (steps: readonly string[]) => admin(filled(steps.slice(0, 3), password));
  return { kind: 'mariadb', port, bringIn };
}

export async function startRedis({
  folder,
  password,
  atEnd,
}: MoreServerOptions): Promise<MoreServer | undefined> {
  const [server, client] = ['redis-server', 'redis-cli'].map(findCommand);
  if (!server || !client) return undefined;
  const home = join(folder, 'redis');
  mkdirSync(home, { mode: 0o700 });
  writeFileSync(join(home, 'users.acl'), `user default on >${password} ~* &* +@all\n`, { mode: 0o600 });
  const port = await findFreePort();
  const settings = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${home}`,
    `aclfile ${join(home, 'users.acl')}`,
    'save ""',
  ];
  writeFileSync(join(home, 'redis.conf'), `${settings.join('\n')}\n`);
  await serve('Redis', server, [join(home, 'redis.conf')], home, 'Ready to accept connections', atEnd);
  const admin = (text: string) => {
    mustRun(client, ['-e', '-h', '127.0.0.1', '-p', String(port), '--no-auth-warning'], text, password);
  };
  admin('SET answer 42\n');
  // The others are for its host's own service manager.
  const bringIn = (steps: readonly string[]) => admin(filled(steps.slice(0, 1), password));
  return { kind: 'redis', port, bringIn };
}

function filled(steps: readonly string[], password: string): string {
  return `${steps.join('\n').replaceAll('CHANGE-ME-TOO', password).replaceAll('CHANGE-ME', password)}\n`;
}

async function serve(
  name: string,
  program: string,
  args: readonly string[],
  home: string,
  ready: string,
  atEnd: MoreServerOptions['atEnd'],
): Promise<void> {
  let log = '';
  const child = spawn(program, args, { cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  const gone = once(child, 'exit');
  atEnd(async () => {
    child.kill('SIGTERM');
    await gone;
  });
  for (const deadline = Date.now() + START_MS; !log.includes(ready); await delay(20)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${name} did not start:\n${log}`);
  }
}

function mustRun(program: string, args: readonly string[], input = '', secret?: string): void {
  const env = { PATH: process.env.PATH, ...(secret !== undefined && { REDISCLI_AUTH: secret }) };
  const { status, stdout, stderr } = spawnSync(program, args, { input, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}:\n${stdout}${stderr}`);
}
