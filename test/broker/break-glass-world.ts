// A broker with a real sshd and a real PostgreSQL that were brought in by the product's own guide, break-glass included. Of the
// hosts only the paths are moved, into a folder of the test's own; what systemd's timers would do is done when a test asks for it.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { openPart } from '../../src/break-glass/pack.ts';
import type { RunningBroker } from '../../src/broker/broker.ts';
import { brokerTarget } from '../../src/broker/commands.ts';
import type { Pack, PackPlan, PlannedPack } from '../../src/protocol/messages.ts';
import { formatOpenSshPrivateKey } from '../../src/protocol/ssh-key.ts';
import { formatSshPublicKey } from '../../src/protocol/ssh-wire.ts';
import type { CallOptions, TestDevice } from '../support/device.ts';
import { type Installation, install, PEOPLE } from '../support/installation.ts';
import { type OwnServer, ownServer, type TestDatabase } from '../support/postgres.ts';
import { startProcess } from '../support/process.ts';
import { SSH_LOGIN, startSshd, type TestSshd } from '../support/sshd.ts';
import { tempDir } from '../support/temp.ts';

/** Whoever is on call may, and nobody else; security cleans up. */
export const BREAK_GLASS_POLICY = `
@id("break-glass")
permit (principal, action == Action::"break-glass", resource)
when { context.shift.known && context.shift.value.coversResource };
@id("rotates")
permit (principal in Group::"security", action in [Action::"rotate", Action::"review", Action::"manage-device"], resource);
`;

export interface Target {
  host: string;
  port: number;
}

export interface PostgresTarget extends Target {
  database: string;
  caFile: string;
}

const NOWHERE = { host: '127.0.0.1', port: 1 };
const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

/** Ana is on call all week; `more` goes beside the resources. */
export function breakGlassCatalogue(
  options: {
    ssh?: Target & { hostKey: string };
    postgres?: PostgresTarget;
    more?: string;
    people?: string;
  } = {},
): string {
  const { ssh = { ...NOWHERE, hostKey: HOST_KEY }, postgres, more = '', people = PEOPLE } = options;
  const connection = postgres
    ? `{ host: localhost, port: ${postgres.port}, database: ${postgres.database}, ca: ${postgres.caFile} }`
    : '{ host: localhost, port: 1, database: orders, sslMode: require }';
  return `${people}
resources:
  db-host:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    hosts: [{ name: db-host-1, host: ${ssh.host}, port: ${ssh.port}, hostKeys: ["${ssh.hostKey}"] }]
    breakGlass: { roles: [shell] }
    roles: { shell: { login: ${SSH_LOGIN} }, root: { login: root } }
  db-replica:
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    connection: ${connection}
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    breakGlass: { roles: [read] }
    roles: { read: { template: bg_tpl_read }, write: { template: bg_tpl_write } }
${more}`;
}

interface Step {
  title: string;
  where: string;
  text: string;
}

export const host = {
  out: () => undefined,
  err: () => undefined,
  env: {},
  program: ['node', 'oncall'],
  now: Date.now,
  signal: new AbortController().signal,
  onReload: () => undefined,
};

export async function guideOf({ directory }: Installation, resource: string): Promise<Step[]> {
  const { data } = await brokerTarget({ directory, resource, check: false }, host);
  return (data as { steps: Step[] }).steps;
}

export interface BreakGlassWorld {
  installation: Installation;
  broker: RunningBroker;
  sshd: TestSshd;
  server: OwnServer;
  database: TestDatabase;
  /** What the timers of both hosts do, once. */
  pull(): Promise<void>;
}

const FOLDERS = ['/etc/ssh', '/etc/systemd/system', '/usr/local/sbin', '/etc/oncall-break-glass'];

/** `now`: the broker's clock. */
export async function startBreakGlassWorld(now: () => number = Date.now): Promise<BreakGlassWorld> {
  const server = await ownServer();
  const database = await server.database('orders');
  const postgres = {
    host: 'localhost',
    port: server.port,
    database: database.database,
    caFile: server.caFile,
  };
  const catalogue = (ssh?: Target & { hostKey: string }) =>
    breakGlassCatalogue({ postgres, ...(ssh && { ssh }) });
  const installation = await install({ catalogue: catalogue(), policy: BREAK_GLASS_POLICY });
  mkdirSync(join(installation.directory, 'secrets'), { mode: 0o700 });
  writeFileSync(join(installation.directory, 'secrets', 'db-replica'), 'CHANGE-ME', { mode: 0o600 });
  const broker = await installation.start({ now });
  const root = tempDir({ mode: 0o755 });
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  mkdirSync(join(root, '/etc/ssh/sshd_config.d'));
  const moved = (text: string) =>
    FOLDERS.reduce((all, folder) => all.replaceAll(folder, join(root, folder)), text).replaceAll(
      'systemctl reload postgresql',
      `kill -HUP ${server.pid}`,
    );
  const shell = async (text: string) => {
    // This machine's own sshd and systemd are not ours to start.
    const lines = moved(text)
      .split('\n')
      .filter((line) => !/^(systemctl|sshd) /.test(line));
    const child = startProcess('sh', ['-eu'], { input: lines.join('\n') });
    expect({ ...(await child.ended), stderr: child.stderr() }).toMatchObject({ code: 0, stderr: '' });
  };

  for (const { where, text } of await guideOf(installation, 'db-host'))
    if (where.startsWith('a root shell') && !text.includes('oncall host')) await shell(text);
  const config = ['oncall-break-glass.conf', 'oncall.conf'].map((file) =>
    readFileSync(join(root, '/etc/ssh/sshd_config.d', file), 'utf8'),
  );
  const sshd = await startSshd({ extraConfig: config.join('') });
  const [type, key] = sshd.hostPublicKey.split(' ');

  await database.sql('create table orders as select n as id from generate_series(1, 42) n');
  for (const { where, text } of await guideOf(installation, 'db-replica')) {
    if (where.includes('psql')) await psql(database, moved(text));
    else if (where.startsWith('a root shell') && !text.includes('oncall host')) await shell(text);
    else if (where.startsWith('pg_')) await prepend(database, /^pg_\w+/.exec(where)![0], text);
  }
  await database.sql('select pg_reload_conf()');
  installation.write(
    'catalogue.yaml',
    catalogue({ host: sshd.host, port: sshd.port, hostKey: `${type} ${key}` }),
  );
  await broker.reload();
  return {
    ...{ installation, broker, sshd, server, database },
    async pull() {
      await shell('/usr/local/sbin/oncall-krl');
      await shell('/usr/local/sbin/oncall-crl-db-replica');
    },
  };
}

async function psql(database: TestDatabase, script: string): Promise<void> {
  const tool = startProcess('psql', ['-X', '-q', database.url], { input: `${script}\n` });
  const { code } = await tool.ended;
  expect({ code, stderr: tool.stderr() }).toEqual({ code: 0, stderr: '' });
}

/** Into a file that the server reads, above what is there. */
async function prepend(database: TestDatabase, name: string, text: string): Promise<void> {
  const setting = name === 'pg_hba' ? 'hba_file' : 'ident_file';
  const [row] = await database.sql<Record<string, string>>(`show ${setting}`);
  const file = row![setting]!;
  writeFileSync(file, `${text}\n${readFileSync(file, 'utf8')}`);
}

/** A device's key for one pack, and what it opens of it. */
export interface PackHolder {
  pack: Pack;
  key: KeyObject;
  certificate(slot: number): Promise<string>;
}

export const signedAt = (nowMs: number): CallOptions => ({ createdSeconds: Math.floor(nowMs / 1000) });

export function materialOf(kind: 'ssh' | 'x509'): { key: KeyObject; material: Pack['material'] } {
  if (kind === 'ssh') {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    return { key: privateKey, material: { kind, publicKey: formatSshPublicKey(publicKey) } };
  }
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return { key: privateKey, material: { kind, publicKey: spki } };
}

export async function planOf(device: TestDevice, options?: CallOptions): Promise<PlannedPack[]> {
  return (await device.get<PackPlan>('/v1/break-glass/plan', options)).result.packs;
}

/** The pack that the plan has for a resource, as the agent would fetch it: asked for, and confirmed. */
export async function fetchPack(
  device: TestDevice,
  resource: string,
  options?: CallOptions,
  which: (one: PlannedPack) => boolean = () => true,
): Promise<PackHolder> {
  const planned = (await planOf(device, options)).find((one) => one.resource === resource && which(one));
  expect(planned).toBeDefined();
  const { role, startsAt, material: kind } = planned!;
  const { key, material } = materialOf(kind);
  const body = { resource, role, startsAt, material };
  const answer = await device.post<Pack>('/v1/break-glass/packs', body, options);
  expect(answer).toMatchObject({ status: 200 });
  const pack = answer.result;
  const confirmed = await device.post(`/v1/break-glass/packs/${pack.id}/confirm`, {}, options);
  expect(confirmed).toMatchObject({ status: 200, result: { confirmedAt: expect.any(String) } });
  return {
    ...{ pack, key },
    certificate: async (slot) =>
      Buffer.from(
        await openPart(device.sealing.privateKey, pack.id, slot, pack.slots[slot]!.sealed),
      ).toString(),
  };
}

/** The slot that is good at this time. */
export function slotAt({ slots }: Pack, nowMs: number): number {
  return slots.findLast(({ notBefore }) => Date.parse(notBefore) <= nowMs)!.number;
}

/** Runs a command at the pack's first host; `login` instead of the pack's own. */
export async function runSsh(
  { pack, key, certificate }: PackHolder,
  slot: number,
  login?: string,
): Promise<{ code: number | null; stdout: string }> {
  const { place } = pack;
  if (place.kind !== 'ssh') throw new Error('not an ssh pack');
  const dir = tempDir();
  const [target] = place.hosts;
  writeFileSync(join(dir, 'id'), formatOpenSshPrivateKey(key), { mode: 0o600 });
  writeFileSync(join(dir, 'id-cert.pub'), `${await certificate(slot)}\n`);
  writeFileSync(join(dir, 'known_hosts'), `${place.knownHosts.join('\n')}\n`);
  chmodSync(join(dir, 'id'), 0o600);
  const options = ['StrictHostKeyChecking=yes', 'BatchMode=yes', 'IdentitiesOnly=yes', 'IdentityAgent=none'];
  options.push(`UserKnownHostsFile=${join(dir, 'known_hosts')}`, 'GlobalKnownHostsFile=/dev/null');
  const ssh = startProcess(
    'ssh',
    [
      ...['-F', '/dev/null', '-i', join(dir, 'id'), '-p', String(target!.port), '-l', login ?? place.login],
      ...options.flatMap((option) => ['-o', option]),
      ...[target!.host, 'id -un'],
    ],
    { input: '' },
  );
  const { code } = await ssh.ended;
  return { code, stdout: ssh.stdout().trim() };
}

/** Counts the orders by the pack's certificate; the error's SQLSTATE or words where it is not let in. */
export async function countOrders(
  { pack, key, certificate }: PackHolder,
  slot: number,
  user?: string,
): Promise<number | string> {
  const { place } = pack;
  if (place.kind !== 'postgres') throw new Error('not a postgres pack');
  const client = new pg.Client({
    ...{ host: place.host, port: place.port, database: place.database, user: user ?? place.user },
    ssl: {
      ca: place.caPem!,
      cert: await certificate(slot),
      key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    },
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ n: number }>('select count(*)::int as n from public.orders');
    await client.end();
    return rows[0]!.n;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
