// What `oncall broker target` prints, done as the target's admin would: by psql and by a root shell. Of the host only the
// paths are moved, into a folder of the test's own, and a loop stands for systemd's timer.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { atEnd } from '../support/at-end.ts';
import { type OwnServer, ownServer } from '../support/postgres.ts';
import { startProcess } from '../support/process.ts';
import { SSH_LOGIN, startSshd, type TestSshd } from '../support/sshd.ts';
import { tempDir } from '../support/temp.ts';
import {
  createWorld,
  NO_HOST_KEY,
  PEOPLE,
  postgresResource,
  sshResource,
  succeeded,
  type World,
} from './world.ts';

interface Step {
  title: string;
  text: string;
}

const BROKER_PASSWORD = "it's a password: \\ and $ and 'quotes'";

export interface Database {
  world: World;
  postgres: OwnServer;
}

export interface Targets extends Database {
  sshd: TestSshd;
  host: SshHost;
}

/** db-replica, brought in by its guide. The broker does not serve yet. */
export async function bringDatabase(): Promise<Database> {
  const postgres = await ownServer();
  const world = await createWorld(`${PEOPLE}\nresources:${postgresResource(postgres)}`);
  await bringDatabaseIn(world, postgres);
  return { world, postgres };
}

/** db-replica and db-host, brought in by their guides. The broker does not serve yet. */
export async function bringTargets(): Promise<Targets> {
  const { world, postgres } = await bringDatabase();
  const withHost = (host: string) => `${PEOPLE}\nresources:${postgresResource(postgres)}${host}`;
  world.write(
    'catalogue.yaml',
    withHost(sshResource({ host: '127.0.0.1', port: 22 }, SSH_LOGIN, NO_HOST_KEY)),
  );
  const host = await prepareHost(world);
  const sshd = await startSshd({ extraConfig: readFileSync(host.sshdConfig, 'utf8') });
  world.write('catalogue.yaml', withHost(sshResource(sshd, SSH_LOGIN, sshd.hostPublicKey)));
  return { world, postgres, sshd, host };
}

/** psql as the database's admin would run it; any complaint fails. */
export async function psqlAsAdmin(postgres: OwnServer, database: string, script: string): Promise<void> {
  const { host, port, user, password } = postgres;
  const options = ['-X', '-q', '-v', 'ON_ERROR_STOP=1'];
  const address = ['-h', host, '-p', String(port), '-U', user, '-d', database];
  const env = { PATH: '/usr/bin:/bin', PGPASSWORD: password };
  const child = startProcess('psql', [...options, ...address], { env, input: script });
  expect({ ...(await child.ended), stderr: child.stderr() }).toMatchObject({ code: 0, stderr: '' });
}

async function bringDatabaseIn(world: World, postgres: OwnServer): Promise<void> {
  await psqlAsAdmin(postgres, 'postgres', 'CREATE DATABASE orders');
  await psqlAsAdmin(
    postgres,
    'orders',
    'CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 42) n',
  );
  const [roles, rights] = await guideOf(world, 'db-replica');
  const quoted = `'${BROKER_PASSWORD.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
  const sql = `${roles!.text.replace("'CHANGE-ME'", () => quoted)}\n${rights!.text}\n`;
  await psqlAsAdmin(postgres, 'orders', sql);
  // What an admin does who is not sure whether it was done.
  await psqlAsAdmin(postgres, 'orders', sql);
  await psqlAsAdmin(postgres, 'orders', 'GRANT INSERT ON orders TO oncall_tpl_write');
  world.write('secrets/db-replica', `${BROKER_PASSWORD}\n`);
}

export interface SshHost {
  sshdConfig: string;
  principalsFile: string;
  /** Runs lines that name the host's own paths as its root would. */
  shell(lines: string): Promise<void>;
  /** From now on the timer runs, again and again. */
  startTimer(): void;
}

async function prepareHost(world: World): Promise<SshHost> {
  const root = tempDir({ mode: 0o755 });
  const folders = ['/etc/ssh/oncall', '/etc/ssh/sshd_config.d', '/etc/systemd/system', '/usr/local/sbin'];
  for (const folder of ['/etc/ssh', ...folders.slice(1)]) mkdirSync(join(root, folder), { recursive: true });

  async function shell(text: string): Promise<void> {
    const moved = folders.reduce((all, folder) => all.replaceAll(folder, join(root, folder)), text);
    // This machine's own sshd and systemd are not ours to start.
    const lines = moved.split('\n').filter((line) => !/^(systemctl|sshd) /.test(line));
    const child = startProcess('sh', ['-eu'], { input: lines.join('\n') });
    expect({ ...(await child.ended), stderr: child.stderr() }).toMatchObject({ code: 0, stderr: '' });
  }

  for (const { text } of (await guideOf(world, 'db-host')).slice(0, 4)) await shell(text);
  return {
    sshdConfig: join(root, '/etc/ssh/sshd_config.d/oncall.conf'),
    principalsFile: join(root, '/etc/ssh/oncall/principals', SSH_LOGIN),
    shell,
    startTimer() {
      const loop = `while :; do ${join(root, '/usr/local/sbin/oncall-krl')}; sleep 0.3; done`;
      const timer = startProcess('sh', ['-c', loop], { input: '' });
      atEnd(() => timer.stop());
    },
  };
}

async function guideOf(world: World, resource: string): Promise<Step[]> {
  const { steps } = succeeded(await world.operator(`broker target ${resource} --json`)).json() as {
    steps: Step[];
  };
  return steps;
}
