// `oncall host` at a real PostgreSQL: who logged in, out of its JSON log, through a rotation; and over TLS to the broker that is pinned.

import { createPrivateKey } from 'node:crypto';
import { appendFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { signingKey } from '../../src/broker/keys.ts';
import type { HostConfig } from '../../src/host/config.ts';
import { ensureHostKey } from '../../src/host/key.ts';
import { readTold } from '../../src/host/memory.ts';
import { runHost } from '../../src/host/run.ts';
import { breakGlassKeyId } from '../../src/protocol/break-glass-names.ts';
import { createId } from '../../src/protocol/ids.ts';
import type { CredentialReply, RequestView } from '../../src/protocol/messages.ts';
import { operator } from '../broker/operator.ts';
import { atEnd } from '../support/at-end.ts';
import { makeCa, makeClientCertificate } from '../support/client-certificate.ts';
import { enrolled } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { part } from '../support/parts.ts';
import { ownServer } from '../support/postgres.ts';
import { installWithTarget, material, PASSWORD } from '../support/target.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { ask, type LoginColumns } from './host-world.ts';

/** Runs in this process until the end of the file, or until it is stopped. */
function start(config: HostConfig) {
  const events: string[] = [];
  const stop = new AbortController();
  const ended = runHost({
    ...{ config, env: {}, now: Date.now, random: () => 0.5, signal: stop.signal },
    log: (event, more) => events.push(`${event} ${JSON.stringify(more)}`),
  });
  ended.catch(() => {});
  const end = async () => {
    stop.abort();
    await ended;
  };
  atEnd(() => end().catch(() => {}));
  return { events, end };
}

function configFor(installation: Installation, more: Partial<HostConfig>): HostConfig {
  const pem = readFileSync(join(installation.directory, 'keys/identity.key'));
  const { publicKey } = signingKey(createPrivateKey(pem));
  const config = { broker: installation.url, identityKey: publicKey, ca: 'system', state: tempDir() };
  return { ...config, ...more };
}

describe.skipIf(!part('postgres'))('oncall host, at a PostgreSQL', () => {
  it('tells of logins by the grant that they rest on, also of those in a file that was rotated away', async () => {
    const server = await ownServer();
    // Of the server's own account, which is not root.
    const logs = join(tempDir({ mode: 0o755 }), 'logs');
    mkdirSync(logs);
    chmodSync(logs, 0o777);
    const admin = await server.database('orders');
    for (const [name, value] of Object.entries({
      ...{ log_connections: 'on', logging_collector: 'on', log_destination: 'stderr,jsonlog' },
      ...{ log_directory: logs, log_filename: 'oncall-%H%M%S.log', log_file_mode: '0644' },
    }))
      await admin.sql(`alter system set ${name} = '${value}'`);
    await server.stop();
    await server.start();
    const { installation } = await installWithTarget({ database: await server.database('target') });
    await installation.start();
    const ana = await enrolled(installation, 'ana');
    const dora = await enrolled(installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    const config = configFor(installation, { postgres: { log: join(logs, 'oncall-*.json') } });
    const { publicKey } = await ensureHostKey(config.state);
    await operator(installation).hostAdd('db-replica', 'db1', publicKey);
    const first = start(config);

    const { result } = await ana.post<RequestView>('/v1/requests', {
      ...{ targets: [{ resource: 'db-replica' }], incident: 'P1-1' },
    });
    const grant = result.grants[0]!.id;
    const path = `/v1/grants/${grant}/credentials`;
    const issued = await ana.post<CredentialReply>(path, { material: material() });
    const { handle } = issued.result;
    const logIn = async () => {
      const client = new pg.Client({
        ...{ host: server.host, port: server.port, user: handle, password: PASSWORD },
        database: 'postgres',
        // Logs what it is called, in the very line of the login.
        application_name: 'x connection authorized: user=oncall_mallory_00000000000000000000',
      });
      await client.connect();
      await client.end();
    };
    const logins = () =>
      ask<LoginColumns>(installation, 'select * from logins').filter(({ account }) => account === handle);
    await logIn();
    await waitFor(() => logins().length === 1, {
      what: `the login: ${first.events.join('\n')}`,
      timeoutMs: 20_000,
    });
    expect(logins()[0]).toMatchObject({ kind: 'postgres', identity: handle, serial: '', matched: grant });
    await first.end();
    await logIn();
    // A name has the time to the second, and the file of a second is not begun twice.
    const files = () => readdirSync(logs).filter((name) => name.endsWith('.json')).length;
    const before = files();
    const rotated = async () => {
      await admin.sql('select pg_rotate_logfile()');
      return files() > before;
    };
    await waitFor(rotated, { what: 'a new file' });
    await logIn();
    const second = start(config);
    await waitFor(() => logins().length === 3, {
      what: `all: ${second.events.join('\n')}`,
      timeoutMs: 20_000,
    });
    expect(ask<LoginColumns>(installation, 'select * from logins').map(({ account }) => account)).toEqual(
      Array(3).fill(handle),
    );
    expect(ask(installation, 'select * from alarms')).toEqual([]);

    // By certificate: a pack that this broker has never made, told by the key id in the subject.
    const ca = await makeCa('CN=break-glass');
    const [caFile, hbaFile, identFile] = [
      join(logs, '../ca.pem'),
      await setting('hba_file'),
      await setting('ident_file'),
    ];
    writeFileSync(caFile, ca.pem, { mode: 0o644 });
    const rule = 'hostssl all standing all cert map=breakglass\n';
    writeFileSync(hbaFile, rule + readFileSync(hbaFile, 'utf8'));
    appendFileSync(identFile, 'breakglass breakglass-db-replica-read standing\n');
    await admin.sql('create role standing login');
    await admin.sql(`alter system set ssl_ca_file = '${caFile}'`);
    await admin.sql('select pg_reload_conf()');
    const keyId = breakGlassKeyId({ user: 'ana+x', pack: createId('bg', Date.now()), slot: 3 });
    const subject = `CN=breakglass-db-replica-read, OU=${keyId.replace('+', '\\+')}`;
    const { certificate: cert, key } = await makeClientCertificate(ca, { subject });
    const glass = new pg.Client({
      ...{ host: server.host, port: server.port, user: 'standing', database: 'postgres' },
      ssl: { rejectUnauthorized: false, cert, key },
    });
    await waitFor(() => glass.connect().then(() => true), { what: 'a login by certificate' });
    await glass.end();
    const alarm = () => ask<{ id: string; handles: string }>(installation, 'select id, handles from alarms');
    await waitFor(() => alarm().length === 1, {
      what: `the alarm: ${second.events.join('\n')}`,
      timeoutMs: 20_000,
    });
    expect(alarm()).toEqual([{ id: 'login/db-replica/', handles: JSON.stringify([keyId]) }]);

    async function setting(name: string): Promise<string> {
      const [row] = await admin.sql<{ setting: string }>('select setting from pg_settings where name = $1', [
        name,
      ]);
      return row!.setting;
    }
  }, 60_000);
});

describe('oncall host, over TLS', () => {
  it('reports to the broker whose identity it knows, and to no other', async () => {
    const installation = await install({ tls: true });
    await installation.start();
    const identityCertificate = readFileSync(join(installation.directory, 'keys/identity.crt'), 'utf8');
    const log = join(tempDir(), 'auth.log');
    const ssh = { folder: tempDir(), log };
    const pinned = configFor(installation, { ca: 'pinned', identityCertificate, ssh });
    const told = (config: HostConfig) => readTold(config.state);

    await ensureHostKey(pinned.state);
    const unknown = start(pinned);
    await waitFor(() => told(pinned)?.failing.report, { what: 'a refusal of who was not added' });
    expect(told(pinned)).toMatchObject({ reportedAt: null, list: expect.any(Number) });
    await unknown.end();

    const other = await install({ tls: true });
    const foreign = { ...pinned, state: tempDir(), identityCertificate: other.read('keys/identity.crt') };
    await ensureHostKey(foreign.state);
    const wrong = start(foreign);
    await waitFor(() => told(foreign)?.failing.list, { what: 'another broker to be refused' });
    expect(told(foreign)).toMatchObject({ reportedAt: null, list: null });
    await wrong.end();
  }, 30_000);

  it('needs a key of its own', async () => {
    const config = configFor(await install(), { ssh: { folder: tempDir(), log: '/nowhere' } });
    const run = { config, env: {}, now: Date.now, random: Math.random, log: () => {} };
    const running = runHost({ ...run, signal: AbortSignal.timeout(5_000) });
    await expect(running).rejects.toMatchObject({ code: 'not_enrolled' });
  });
});
