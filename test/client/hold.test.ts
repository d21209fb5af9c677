import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeNames } from '../../src/client/completion-names.ts';
import {
  ensureCredential,
  ensureCredentials,
  noteGrant,
  noteRequest,
  releaseLocal,
} from '../../src/client/hold.ts';
import { noteContact, noteUnheard, refreshStatus } from '../../src/client/refresh.ts';
import { grantFolder } from '../../src/client/session-paths.ts';
import { readStatusFile } from '../../src/client/status-file.ts';
import { formatInstant } from '../../src/protocol/time.ts';
import { failureOf, GRANT_ID, testClient, testContext, testGrant } from './fixture.ts';
import { type Asked, Refused, startTestBroker, type TestBroker } from './test-broker.ts';

const OTHER_ID = 'gr_zzzzzzzzzzzzzzzzzzz';
const LIFE_MS = 300_000;

/** A broker that issues postgres credentials and notes what it was asked for. */
async function startIssuer(): Promise<{
  broker: TestBroker;
  issued: { renews: string | undefined }[];
  prolong: { yes: boolean };
}> {
  const broker = await startTestBroker();
  const issued: { renews: string | undefined }[] = [];
  const prolong = { yes: true };
  const issue = (id: string) => (asked: Asked) => {
    const { renews } = asked.body as { renews?: string };
    issued.push({ renews });
    const now = Date.now();
    const isProlonged = prolong.yes && renews !== undefined;
    return {
      credentialId: isProlonged ? renews : `cr_${issued.length}`,
      grant: testGrant({ id }),
      prolonged: isProlonged,
      handle: 'oncall_ana_1',
      publicPart: { kind: 'postgres', user: 'u', host: 'h', port: 5432, database: 'd', sslMode: 'require' },
      issuedAt: formatInstant(now),
      expiresAt: formatInstant(now + LIFE_MS),
    };
  };
  for (const id of [GRANT_ID, OTHER_ID]) broker.routes.set(`POST /v1/grants/${id}/credentials`, issue(id));
  return { broker, issued, prolong };
}

describe('a credential', () => {
  test('is fetched once, then reused while more than a third of its life remains', async () => {
    const { broker, issued } = await startIssuer();
    let nowMs = Date.now();
    const client = await testClient(broker, testContext({ now: () => nowMs }));
    const first = await ensureCredential(client, testGrant());
    nowMs += LIFE_MS * 0.6;
    expect(await ensureCredential(client, testGrant())).toEqual(first);
    expect(issued).toHaveLength(1);
    nowMs += LIFE_MS * 0.1;
    // The broker's clock is the real one: ours may be ahead of it, within what signatures bear.
    nowMs = Date.now() + LIFE_MS * 0.7;
    const skewed = { ...client, context: { ...client.context, now: () => nowMs } };
    const renewed = await ensureCredential(skewed, testGrant());
    expect(issued).toEqual([{ renews: undefined }, { renews: first.credentialId }]);
    expect(renewed.secret).toEqual(first.secret);
  });

  test('is asked for anew when that is wanted, and takes the new secret where the old was not prolonged', async () => {
    const { broker, issued, prolong } = await startIssuer();
    const client = await testClient(broker);
    const first = await ensureCredential(client, testGrant());
    prolong.yes = false;
    const second = await ensureCredential(client, testGrant(), { renewAfter: 0 });
    expect(issued).toHaveLength(2);
    expect(second.secret).not.toEqual(first.secret);
    expect(await ensureCredential(client, testGrant())).toEqual(second);
  });

  test('that the broker no longer knows is replaced', async () => {
    const { broker, issued } = await startIssuer();
    const client = await testClient(broker);
    await ensureCredential(client, testGrant());
    const route = `POST /v1/grants/${GRANT_ID}/credentials`;
    const issue = broker.routes.get(route)!;
    broker.routes.set(route, (asked) =>
      (asked.body as { renews?: string }).renews ? new Refused({ status: 410, code: 'ended' }) : issue(asked),
    );
    await ensureCredential(client, testGrant(), { renewAfter: 0 });
    expect(issued).toEqual([{ renews: undefined }, { renews: undefined }]);
  });

  test('is replaced when the clock went back, or the cache is damaged', async () => {
    const { broker, issued } = await startIssuer();
    let nowMs = Date.now();
    const client = await testClient(broker, testContext({ now: () => nowMs }));
    await ensureCredential(client, testGrant());
    nowMs -= 1_000;
    await ensureCredential(client, testGrant());
    expect(issued).toHaveLength(2);
    writeFileSync(join(client.context.paths.credentialsDir, `${GRANT_ID}.json`), 'torn');
    await ensureCredential(client, testGrant());
    expect(issued[2]).toEqual({ renews: undefined });
    expect(client.context.warnings).toHaveLength(1);
  });

  test('is issued once for two commands at once', async () => {
    const { broker, issued } = await startIssuer();
    const client = await testClient(broker);
    const [a, b] = await Promise.all([
      ensureCredential(client, testGrant()),
      ensureCredential(client, testGrant()),
    ]);
    expect(a).toEqual(b);
    expect(issued).toHaveLength(1);
  });

  test('of one grant is kept when that of another fails', async () => {
    const { broker } = await startIssuer();
    broker.routes.set(
      `POST /v1/grants/${OTHER_ID}/credentials`,
      () => new Refused({ status: 502, code: 'target_refused' }),
    );
    const client = await testClient(broker);
    const both = ensureCredentials(client, [testGrant(), testGrant({ id: OTHER_ID })]);
    expect(await failureOf(both)).toMatchObject({ code: 'target_refused' });
    const { paths } = client.context;
    expect(readdirSync(paths.credentialsDir)).toEqual([`${GRANT_ID}.json`]);
    expect(existsSync(join(grantFolder(paths, GRANT_ID), 'pgpass'))).toBe(true);
  });

  test('is not asked for under a grant that has ended', async () => {
    const { broker, issued } = await startIssuer();
    const client = await testClient(broker);
    const ended = testGrant({ state: 'ended', endCause: 'revoked' });
    expect(await failureOf(ensureCredential(client, ended))).toMatchObject({ code: 'ended' });
    expect(issued).toEqual([]);
  });

  test('is not kept at rest without a cache key', async () => {
    const { broker, issued } = await startIssuer();
    const client = await testClient(broker);
    const held = await client.device();
    const bare = { ...client, device: async () => ({ ...held, cacheKey: undefined }) };
    await ensureCredential(bare, testGrant());
    await ensureCredential(bare, testGrant());
    expect(issued).toHaveLength(2);
    expect(existsSync(client.context.paths.credentialsDir)).toBe(false);
  });

  test('leaves nothing behind when it is released', async () => {
    const { broker } = await startIssuer();
    const client = await testClient(broker);
    const { paths } = client.context;
    await ensureCredential(client, testGrant());
    expect(readStatusFile(paths)).toMatchObject({ grants: [{ id: GRANT_ID }] });
    await releaseLocal(client.context, client.config, GRANT_ID);
    expect(readStatusFile(paths)).toMatchObject({ grants: [] });
    expect(readdirSync(paths.credentialsDir)).toEqual([]);
    expect(readdirSync(join(paths.runDir, 'grants'))).toEqual([]);
    expect(readFileSync(join(paths.completeDir, 'grants'), 'utf8')).toBe('');
  });
});

describe('the status file', () => {
  test('shows what is held, with the end of the credential of this device', async () => {
    const { broker } = await startIssuer();
    const client = await testClient(broker);
    const credential = await ensureCredential(client, testGrant());
    const status = readStatusFile(client.context.paths);
    expect(status).toMatchObject({
      schema: 'oncall.status/v1',
      profile: 'default',
      user: 'ana',
      grants: [{ id: GRANT_ID, credentialExpiresAt: credential.expiresAt, incidents: ['P1-123'] }],
    });
    expect(JSON.stringify(status)).not.toContain('password');
    const { endsAt } = testGrant();
    const row = (list: string) =>
      readFileSync(join(client.context.paths.completeDir, list), 'utf8').split('\t');
    expect(row('grants')).toEqual([GRANT_ID, 'db-replica:read', expect.stringMatching(/^\d{10}\n$/)]);
    expect(row('held').slice(0, 2)).toEqual(['db-replica:read', 'P1-123']);
    expect(Math.abs(Number(row('held')[2]) - Date.parse(endsAt) / 1000)).toBeLessThan(60);
  });

  test('follows a request from pending to granted, and a grant to its end', async () => {
    const { broker } = await startIssuer();
    const { context, config } = await testClient(broker);
    const request = {
      id: 'req_0123456789abcdefghj',
      user: 'ana',
      state: 'pending' as const,
      bundle: null,
      incident: 'P1-123',
      reason: null,
      durationSeconds: 60,
      digest: 'x',
      createdAt: formatInstant(0),
      expiresAt: formatInstant(1),
      outcome: null,
      targets: [],
      grants: [],
      answers: [],
      waiting: [],
    };
    expect(await noteRequest(context, config, request)).toMatchObject({
      pending: [{ id: request.id }],
      grants: [],
    });
    const granted = { ...request, state: 'granted' as const, grants: [testGrant()] };
    expect(await noteRequest(context, config, granted)).toMatchObject({
      pending: [],
      grants: [{ id: GRANT_ID }],
    });
    await noteGrant(context, config, testGrant({ state: 'ended', endCause: 'expired' }));
    expect(readStatusFile(context.paths)).toMatchObject({ grants: [] });
  });

  test('is made anew from the broker, and what has ended is wiped', async () => {
    const { broker } = await startIssuer();
    const client = await testClient(broker);
    const { paths } = client.context;
    await ensureCredentials(client, [testGrant(), testGrant({ id: OTHER_ID })]);
    const incident = { id: 'P1-123', priority: 'P1', service: 'orders', title: 't' };
    broker.routes.set('GET /v1/resources', () => ({
      resources: [
        { name: 'db-replica', description: 'a\nb', service: 'orders', roles: ['read', '`x`'] },
        { name: '$(evil)', description: null, service: '$(evil)', roles: [] },
      ],
    }));
    broker.routes.set('GET /v1/status', () => ({
      me: { shifts: [] },
      grants: [testGrant()],
      pending: [],
      incidents: [incident],
      approvals: [],
    }));
    expect(await refreshStatus(client)).toMatchObject({ grants: [{ id: GRANT_ID }], incidents: [incident] });
    expect(readdirSync(paths.credentialsDir)).toEqual([`${GRANT_ID}.json`]);
    expect(readdirSync(join(paths.runDir, 'grants'))).toEqual([GRANT_ID]);
    const names = (list: string) => readFileSync(join(paths.completeDir, list), 'utf8');
    expect(names('resources')).toBe('db-replica\ta b\n');
    expect(names('roles')).toBe('db-replica:read\ta b\n');
    expect(names('services')).toBe('orders\n');
    expect(names('incidents')).toBe('P1-123\tP1 orders: t\n');
    expect(names('approvals')).toBe('');
  });

  test('that is damaged says how to get it back, and is', async () => {
    const { broker } = await startIssuer();
    const client = await testClient(broker);
    await ensureCredential(client, testGrant());
    writeFileSync(client.context.paths.statusFile, '{"schema"');
    const error = await failureOf(() => readStatusFile(client.context.paths));
    expect(error).toMatchObject({ code: 'corrupt_file', hint: 'oncall status --refresh' });
    await ensureCredential(client, testGrant());
    expect(readStatusFile(client.context.paths)).toMatchObject({ grants: [{ id: GRANT_ID }] });
  });

  test('keeps what is ready, whose first credential makes it active, and names bundles for completion', async () => {
    const { broker } = await startIssuer();
    const client = await testClient(broker);
    const { paths } = client.context;
    const ready = testGrant({ state: 'ready', via: 'shift', rule: 'orders-shift' });
    broker.routes.set('GET /v1/resources', () => ({
      resources: [],
      bundles: [{ name: 'orders-incident', description: null, targets: [{ resource: 'db', role: 'read' }] }],
    }));
    broker.routes.set('GET /v1/status', () => ({
      ...{ me: { shifts: [] }, grants: [ready], pending: [], incidents: [], approvals: [], reviews: [] },
      warnings: ['slack is dead'],
    }));
    expect(await refreshStatus(client)).toMatchObject({
      grants: [{ id: GRANT_ID, state: 'ready', via: 'shift', rule: 'orders-shift' }],
      warnings: ['slack is dead'],
    });
    expect(readFileSync(join(paths.completeDir, 'bundles'), 'utf8')).toBe('orders-incident\tdb:read\n');
    await ensureCredential(client, ready);
    expect(readStatusFile(paths)).toMatchObject({ grants: [{ id: GRANT_ID, state: 'active' }] });
  });

  test('of an older version is read, and is the same text when nothing has changed', async () => {
    const { broker } = await startIssuer();
    const client = await testClient(broker);
    const { paths } = client.context;
    await ensureCredential(client, testGrant());
    const { revocationsUnheardSince: _, reviews: _r, warnings: _w, ...rest } = readStatusFile(paths)!;
    const { state: _s, via: _v, rule: _u, graceEndsAt: _g, graceCause: _c, ...grant } = rest.grants[0]!;
    writeFileSync(paths.statusFile, JSON.stringify({ ...rest, grants: [grant] }));
    expect(readStatusFile(paths)).toMatchObject({
      ...{ revocationsUnheardSince: null, reviews: [], warnings: [] },
      breakGlass: { packs: [], open: [], unreported: 0, broken: null },
      grants: [{ id: GRANT_ID, state: 'active', graceEndsAt: null }],
    });
    await noteContact(client);
    const before = readFileSync(paths.statusFile, 'utf8').replace(/"brokerContactAt":"[^"]+"/, '');
    await noteContact(client);
    expect(readFileSync(paths.statusFile, 'utf8').replace(/"brokerContactAt":"[^"]+"/, '')).toBe(before);
  });

  test('says since when nothing was heard, which is no contact, until something is', async () => {
    const { broker } = await startIssuer();
    const client = await testClient(broker);
    await ensureCredential(client, testGrant());
    const { brokerContactAt } = readStatusFile(client.context.paths)!;
    const sinceMs = Date.parse(brokerContactAt) - 60_000;
    expect(await noteUnheard(client, sinceMs)).toMatchObject({
      brokerContactAt,
      revocationsUnheardSince: formatInstant(sinceMs),
    });
    expect(await noteContact(client)).toMatchObject({ revocationsUnheardSince: null });
  });

  test('never gives completion a name that a shell would run', async () => {
    const { paths } = testContext();
    const incidents = ['P1-2', 'P1-1', 'P1-1', '`id`', 'a b', '../x', '-rf', 'a\nb', ''];
    await writeNames(paths, { incidents: incidents.map((name) => ({ name })) });
    expect(readFileSync(join(paths.completeDir, 'incidents'), 'utf8')).toBe('P1-1\nP1-2\n');
  });

  test('gives completion descriptions of one short line that steers no terminal', async () => {
    const { paths } = testContext();
    const rows = [
      { name: 'a', description: ' $(touch x)\n\t`y` \x1b[2J\u202e ' },
      { name: 'b', description: 'ä'.repeat(200), endsAt: '2026-01-05T02:14:00Z' },
      { name: 'c', description: '', endsAt: 'soon' },
      { name: 'd', endsAt: '2026-01-05T02:14:00Z' },
    ];
    await writeNames(paths, { held: rows });
    expect(readFileSync(join(paths.completeDir, 'held'), 'utf8').split('\n')).toEqual([
      'a\t$(touch x) `y` \\u001b[2J\\u202e',
      `b\t${'ä'.repeat(57)}...\t1767579240`,
      'c',
      'd\t\t1767579240',
      '',
    ]);
  });

  test('never gives completion more than can be read again', async () => {
    const { paths } = testContext();
    const many = Array.from({ length: 20_000 }, (_, n) => ({
      name: `${n}-${'x'.repeat(120)}`,
      description: '語'.repeat(100),
    }));
    await writeNames(paths, { resources: many });
    await writeNames(paths, { resources: [] });
    expect(readFileSync(join(paths.completeDir, 'resources'), 'utf8')).toBe('');
  });
});
