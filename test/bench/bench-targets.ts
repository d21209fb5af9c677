// What access is measured to, kind by kind: a real server where this machine has one. A kind joins by a line here.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { TargetKind } from '../../src/protocol/target-kinds.ts';
import { TARGET_SQL } from '../demo/setting.ts';
import {
  type MoreServer,
  type MoreServerOptions,
  startMariadb,
  startRedis,
} from '../support/more-servers.ts';
import { postgresUrl, startPostgres } from '../support/postgres-server.ts';
import { atEnd, makeSharedFolder } from './cleanup.ts';

export interface BenchTarget {
  readonly kind: TargetKind;
  /** Starts what it needs. Throws where this machine cannot. */
  start(): Promise<StartedTarget>;
}

export interface StartedTarget {
  /** YAML of one resource after its name, indented by four: many of them lead to the same server. */
  readonly resource: string;
  readonly role: string;
  /** By the name of the file that the catalogue reads each from. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Takes the texts of the guide's steps, where the target is not in order yet. */
  readonly bringIn?: (steps: readonly string[]) => void;
}

const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

export const BENCH_TARGETS: readonly BenchTarget[] = [
  { kind: 'ssh', start: startSsh },
  { kind: 'x509', start: startX509 },
  { kind: 'http', start: startHttp },
  { kind: 'postgres', start: startDatabase },
  { kind: 'mariadb', start: startMoreMariadb },
  { kind: 'redis', start: startMoreRedis },
];

/** No host is asked when a certificate is made. */
async function startSsh(): Promise<StartedTarget> {
  const resource = `    type: ssh
    hosts: [{ name: host, host: 127.0.0.1, port: 1, hostKeys: ["${HOST_KEY}"] }]
    roles: { operator: { login: ops } }`;
  return { resource, role: 'operator', secrets: {} };
}

/** The service that takes a certificate is not asked when one is made. */
async function startX509(): Promise<StartedTarget> {
  const resource = `    type: x509
    url: https://localhost:1/
    roles: { read: {} }`;
  return { resource, role: 'read', secrets: {} };
}

/** Nor is the tool, when a token is made. */
async function startHttp(): Promise<StartedTarget> {
  const resource = `    type: http
    url: https://localhost:1/
    roles: { read: {} }`;
  return { resource, role: 'read', secrets: {} };
}

export async function startDatabase(): Promise<StartedTarget> {
  const server = await startPostgres({ folder: makeSharedFolder('postgres') });
  atEnd(() => server.stop('crash'));
  const password = randomBytes(18).toString('hex');
  const client = new pg.Client({ connectionString: postgresUrl(server, 'postgres') });
  await client.connect();
  await client.query(TARGET_SQL(password));
  await client.end();
  const { port, caFile } = server;
  const resource = `    type: postgres
    maxRoles: 5000
    connection: { host: 127.0.0.1, port: ${port}, database: postgres, sslMode: verify-full, ca: ${JSON.stringify(caFile)} }
    broker: { user: oncall_broker, password: { file: database } }
    quarantineRole: oncall_quarantine
    roles: { read: { template: oncall_tpl_read } }`;
  return { resource, role: 'read', secrets: { database: password } };
}

function startMoreMariadb(): Promise<StartedTarget> {
  return startMore(
    startMariadb,
    (port) => `    connection: { host: 127.0.0.1, port: ${port}, database: orders, sslMode: disable }
    maxAccounts: 5000
    roles: { read: { grant: readers } }`,
  );
}

function startMoreRedis(): Promise<StartedTarget> {
  return startMore(
    startRedis,
    (port) => `    connection: { host: 127.0.0.1, port: ${port}, tls: false }
    maxUsers: 5000
    roles: { read: { rules: ["+@read", "~*"] } }`,
  );
}

async function startMore(
  start: (options: MoreServerOptions) => Promise<MoreServer | undefined>,
  yaml: (port: number) => string,
): Promise<StartedTarget> {
  const password = randomBytes(16).toString('hex');
  const server = await start({ folder: makeSharedFolder('more'), password, atEnd });
  if (server === undefined) throw new Error('its server is not installed');
  const { kind, port, bringIn } = server;
  const resource = `    type: ${kind}
    broker: { user: oncall_broker, password: { file: ${kind} } }
${yaml(port)}`;
  return { resource, role: 'read', secrets: { [kind]: password }, bringIn };
}
