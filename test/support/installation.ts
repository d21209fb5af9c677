// A broker's folder for tests: real keys, a real store, our own catalogue and policy, plain HTTP on loopback.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerOptions, type RunningBroker, startBroker } from '../../src/broker/broker.ts';
import { brokerInvite } from '../../src/broker/commands.ts';
import { initDirectory } from '../../src/broker/init.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { atEnd } from './at-end.ts';
import { freePort, tempDir } from './temp.ts';

export interface Installation {
  directory: string;
  url: string;
  /** Starts it in this process; stopped at the end of the file. */
  start(options?: Partial<BrokerOptions>): Promise<RunningBroker>;
  invite(user: string): Promise<string>;
  write(file: 'catalogue.yaml' | 'policies/starter.cedar' | 'broker.yaml', text: string): void;
  read(file: string): string;
  /** Log lines of brokers started here. */
  log: string[];
}

export interface InstallationOptions {
  catalogue?: string;
  policy?: string;
  /** YAML for `store:`; SQLite in the folder unless told. */
  store?: string;
  tls?: boolean;
  /** The clock by which invitations are made; the broker's is given to `start`. */
  now?: () => number;
}

export async function install(options: InstallationOptions = {}): Promise<Installation> {
  const { now = Date.now } = options;
  const directory = join(tempDir(), 'broker');
  const port = await freePort();
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  await initDirectory({ directory, admin: 'dora', publicUrl: url, listen: `127.0.0.1:${port}` }, Date.now());
  const write: Installation['write'] = (file, text) =>
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  const read: Installation['read'] = (file) => readFileSync(join(directory, file), 'utf8');
  write('catalogue.yaml', options.catalogue ?? PEOPLE);
  if (options.policy !== undefined) write('policies/starter.cedar', options.policy);
  // Tests come from one address, and many at once.
  const fast = read('broker.yaml').replace('requestsPerSecond: 200', 'requestsPerSecond: 100000');
  write(
    'broker.yaml',
    options.store === undefined ? fast : fast.replace(/store:\n {2}sqlite: oncall.db/, options.store),
  );
  if (options.store === undefined) {
    const store = await openSqliteStore({ file: join(directory, 'oncall.db'), now: Date.now });
    await store.migrate();
    await store.close();
  }
  const log: string[] = [];
  const host = {
    out: () => undefined,
    err: () => undefined,
    env: {},
    now,
    signal: new AbortController().signal,
    program: ['node', 'oncall'],
    onReload: () => undefined,
  };
  return {
    directory,
    url,
    write,
    read,
    log,
    async start(more = {}) {
      const broker = await startBroker({
        directory,
        version: '0.0.0-test',
        env: {},
        now: Date.now,
        log: (line) => log.push(line),
        ...more,
      });
      let running = true;
      const stop = async () => {
        if (running) await broker.stop();
        running = false;
      };
      atEnd(stop);
      return { ...broker, stop };
    },
    async invite(user) {
      const { data } = await brokerInvite({ directory, user, forSeconds: 3600 }, host);
      return (data as { url: string }).url;
    },
  };
}

/** ana is on call, ben is not, carla approves, dora administers. No resource: tests add those they need. */
export const PEOPLE = `
groups: [sre, dba, security, leads, oncall-admins]
people:
  ana: { name: Ana Ruiz, groups: [sre], manager: carla }
  ben: { name: Ben Osei, groups: [sre], manager: carla }
  carla: { name: Carla Maes, groups: [dba] }
  dora: { name: Dora Lind, groups: [oncall-admins, security] }
services:
  orders: { schedules: [orders-primary] }
  billing: { schedules: [] }
schedules:
  orders-primary:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [ana], startsAt: 2026-01-05T09:00, every: 7d }
approvals:
  leads: { approvers: [carla, ben], expires: 1h }
`;

/** PEOPLE and a PostgreSQL resource that nothing answers at, for what is decided before any target is called. */
export function withPostgres(
  connection = '{ host: 127.0.0.1, port: 1, database: orders, sslMode: disable }',
  extra = '',
): string {
  return `${PEOPLE}
resources:
  db-replica:
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: read
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 10m
    connection: ${connection}
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    roles:
      read: { template: oncall_tpl_read }
      write: { template: oncall_tpl_write }
${extra}`;
}
