// A MariaDB and a Redis where this machine has their servers, brought in by what `oncall broker target` prints.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from '../support/machine-parts.ts';
import { findFreePort } from '../support/postgres-server.ts';
import { ask, atEnd, OPERATOR, until } from './stage.ts';

/** One more target of the demo. */
export interface MoreServer {
  resource: string;
  port: number;
  /** What the broker and a reaper of the target log in with. */
  password: string;
  /** Runs what an administrator pastes. */
  admin(text: string): void;
}

/** Undefined where the server or its client is not installed. */
export async function startMariadb(folder: string, password: string): Promise<MoreServer | undefined> {
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
  );
  const admin = (text: string) => {
    mustRun(client, ['--no-defaults', '-u', 'root', '-S', socket], text);
  };
  admin('CREATE DATABASE orders;');
  return { resource: 'billing', port, password, admin };
}

export async function startRedis(folder: string, password: string): Promise<MoreServer | undefined> {
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
  await serve('Redis', server, [join(home, 'redis.conf')], home, 'Ready to accept connections');
  const admin = (text: string) => {
    mustRun(client, ['-e', '-h', '127.0.0.1', '-p', String(port), '--no-auth-warning'], text, password);
  };
  admin('SET answer 42\n');
  return { resource: 'cache', port, password, admin };
}

/** The steps for the server itself; those for its host's own service manager are not the demo's to take. */
const STEPS: Readonly<Record<string, readonly number[]>> = { billing: [0, 1, 2], cache: [0] };

export async function bringIn({ resource, password, admin }: MoreServer, directory: string): Promise<void> {
  const { steps } = await ask<{ steps: { text: string }[] }>(OPERATOR, [
    'broker',
    'target',
    resource,
    '--dir',
    directory,
  ]);
  for (const index of STEPS[resource] ?? [])
    admin(
      `${(steps[index]?.text ?? '').replaceAll('CHANGE-ME-TOO', password).replaceAll('CHANGE-ME', password)}\n`,
    );
}

async function serve(
  name: string,
  program: string,
  args: readonly string[],
  home: string,
  ready: string,
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
  await until(name, () => {
    if (child.exitCode !== null) throw new Error(`${name} ended:\n${log}`);
    return log.includes(ready);
  });
}

function mustRun(program: string, args: readonly string[], input = '', secret?: string): void {
  const env = { PATH: process.env.PATH, ...(secret !== undefined && { REDISCLI_AUTH: secret }) };
  const { status, stdout, stderr } = spawnSync(program, args, { input, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}:\n${stdout}${stderr}`);
}
