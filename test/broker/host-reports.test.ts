// What hosts report: who may, what a login rests on, which sessions are over, and what raises an alarm.

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { beforeAll, describe, expect, it } from 'vitest';
import { signingKey } from '../../src/broker/keys.ts';
import { breakGlassKeyId } from '../../src/protocol/break-glass-names.ts';
import { createId } from '../../src/protocol/ids.ts';
import type {
  AuditPage,
  AuditWho,
  CredentialReply,
  GrantView,
  HostReply,
  HostReport,
  LoginRecord,
  RequestView,
} from '../../src/protocol/messages.ts';
import { parseCertificate } from '../../src/protocol/ssh-certificate.ts';
import { sshFingerprint, sshPublicKeyBlob } from '../../src/protocol/ssh-wire.ts';
import { type Answer, enrolled, send, TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';
import { operator } from './operator.ts';
import { sshMaterial, withSsh } from './ssh-catalogue.ts';

let installation: Installation;
let ana: TestDevice;
let dora: TestDevice;
/** The host that the catalogue calls db-host-1. It signs as a device does, and is none. */
let host: TestDevice;
let authority = '';
let aheadMs = 0;

const now = () => Date.now() + aheadMs;

beforeAll(async () => {
  installation = await install({ catalogue: withSsh() });
  await installation.start({ now });
  const seconds = () => Math.floor(now() / 1000);
  ana = await enrolled(installation, 'ana', seconds);
  dora = await enrolled(installation, 'dora', seconds);
  host = new TestDevice(installation.url, seconds);
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  await operator(installation).hostAdd('db-host', 'db-host-1', host.signingKey);
  const ca = signingKey(createPrivateKey(readFileSync(join(installation.directory, 'keys/ssh-ca.key'))));
  authority = sshFingerprint(sshPublicKeyBlob(ca.privateKey));
});

function report(body: Partial<HostReport>, by = host): Promise<Answer<HostReply>> {
  return by.post<HostReply>(
    '/v1/hosts/logins',
    { logins: [], open: [], lost: 0, ...body },
    { tag: 'oncall-host' },
  );
}

let port = 50_000;
function login(change: Partial<LoginRecord> = {}): LoginRecord {
  port += 1;
  return {
    kind: 'ssh',
    account: 'ops',
    identity: 'ana/gr_x/-',
    serial: '7',
    authority,
    address: `192.0.2.7:${port}`,
    at: new Date(now()).toISOString(),
    ...change,
  };
}

async function access(
  device = ana,
): Promise<{ grant: string; identity: string; serial: string; handle: string }> {
  const body = { targets: [{ resource: 'db-host' }], incident: 'P1-1' };
  const { result } = await device.post<RequestView>('/v1/requests', body);
  const grant = result.grants[0]!.id;
  const issued = await device.post<CredentialReply>(`/v1/grants/${grant}/credentials`, {
    material: sshMaterial(),
  });
  const part = issued.result.publicPart;
  if (part.kind !== 'ssh') throw new Error('not ssh');
  const certificate = parseCertificate(part.certificate);
  return {
    grant,
    identity: certificate.keyId,
    serial: certificate.serial.toString(),
    handle: issued.result.handle,
  };
}

async function entries(event: string): Promise<{ subject: Record<string, string>; data: never }[]> {
  const { result } = await dora.get<AuditPage>('/v1/audit/entries?from=0');
  return result.entries
    .map(({ entry }) => JSON.parse(entry) as { event: string; subject: Record<string, string>; data: never })
    .filter((entry) => entry.event === event);
}

function rows<Row>(sql: string, ...params: unknown[]): Row[] {
  const db = new Database(join(installation.directory, 'oncall.db'));
  try {
    return db.prepare(sql).all(...params) as Row[];
  } finally {
    db.close();
  }
}

function change(sql: string, ...params: unknown[]): void {
  const db = new Database(join(installation.directory, 'oncall.db'));
  try {
    db.prepare(sql).run(...params);
  } finally {
    db.close();
  }
}

describe('a report', () => {
  it('is taken of a host that was added, and of nobody else', async () => {
    expect((await report({})).status).toBe(200);
    expect((await report({}, new TestDevice(installation.url, host.nowSeconds))).error?.code).toBe(
      'unauthenticated',
    );
    // A device is no host, a host no device, and a signature made for the one is nothing to the other.
    expect((await report({}, ana)).error?.code).toBe('unauthenticated');
    expect((await host.get('/v1/me')).error?.code).toBe('unauthenticated');
    const body = { logins: [], open: [], lost: 0 };
    expect((await host.post('/v1/hosts/logins', body)).error?.code).toBe('unauthenticated');
  });

  it('is refused when replayed, altered or stale', async () => {
    const prepared = await host.prepare(
      'POST',
      '/v1/hosts/logins',
      { logins: [login()], open: [], lost: 0 },
      { tag: 'oncall-host' },
    );
    expect((await send(prepared)).status).toBe(200);
    expect((await send(prepared)).error?.code).toBe('unauthenticated');
    const body = JSON.stringify({ logins: [], open: [], lost: 1 });
    const altered = await host.prepare('POST', '/v1/hosts/logins', body, {
      tag: 'oncall-host',
      tamper: (sent) => {
        sent.body = body.replace('1', '2');
      },
    });
    expect((await send(altered)).error?.code).toBe('unauthenticated');
    const stale = await host.prepare('POST', '/v1/hosts/logins', body, {
      tag: 'oncall-host',
      createdSeconds: host.nowSeconds() - 90,
    });
    expect((await send(stale)).error?.code).toBe('unauthenticated');
  });

  it('is refused when oversized or of another form, and then it counts as used', async () => {
    const many = Array.from({ length: 51 }, () => login());
    expect((await report({ logins: many })).error?.code).toBe('invalid_request');
    for (const wrong of [
      { identity: 'ana\u001b[2J' },
      { identity: 'ana\nAccepted' },
      { serial: '01' },
      { serial: '-1' },
      { at: 'yesterday' },
      { account: 'x'.repeat(129) },
      { more: 1 },
    ])
      expect((await report({ logins: [login(wrong as never)] })).error?.code).toBe('invalid_request');
    const big = { logins: [], open: [], lost: 0, padding: 'x'.repeat(70_000) };
    expect((await host.post('/v1/hosts/logins', big, { tag: 'oncall-host' })).error?.code).toBe('too_large');
    const twice = await host.prepare('POST', '/v1/hosts/logins', { lost: -1 }, { tag: 'oncall-host' });
    expect((await send(twice)).error?.code).toBe('invalid_request');
    expect((await send(twice)).error?.code).toBe('unauthenticated');
  });

  it('is refused once its host was removed', async () => {
    const other = new TestDevice(installation.url, host.nowSeconds);
    await operator(installation).hostAdd('db-host', 'db-host-2', other.signingKey);
    expect((await report({}, other)).status).toBe(200);
    await operator(installation).hostRemove('db-host', 'db-host-2');
    expect((await report({}, other)).error?.code).toBe('unauthenticated');
    const again = new TestDevice(installation.url, host.nowSeconds);
    await operator(installation).hostAdd('db-host', 'db-host-2', again.signingKey);
    expect((await report({}, again)).status).toBe(200);
    expect((await entries('host.added')).map(({ subject }) => subject.host)).toContain('db-host/db-host-2');
    expect(await entries('host.removed')).toHaveLength(1);
  });

  it('of what nobody will hear of is in the log', async () => {
    await report({ lost: 12 });
    expect((await entries('login.lost')).map(({ data }) => data)).toEqual([{ count: 12 }]);
  });
});

describe('a login', () => {
  it('is written down once with its grant, however often and in whatever order it is told', async () => {
    const { grant, identity, serial, handle } = await access();
    const first = login({ identity, serial });
    const second = login({ identity, serial });
    await report({ logins: [second, first, second] });
    await report({ logins: [first] });
    const found = rows<{ matched: string; address: string }>(
      'select * from logins where serial = ? order by address',
      serial,
    );
    expect(found.map(({ matched, address }) => [matched, address])).toEqual([
      [grant, first.address],
      [grant, second.address],
    ]);
    const seen = (await entries('login.seen')).filter(({ subject }) => subject.handle === handle);
    expect(seen).toHaveLength(1);
    const { result } = await dora.get<AuditWho>(`/v1/audit/who?name=${handle}`);
    expect(result.traces[0]!.logins[0]!.seen).toMatchObject([
      { host: 'db-host/db-host-1', account: 'ops', address: second.address },
    ]);
    await ana.post(`/v1/grants/${grant}/release`);
  });

  it('by a CA that is not ours, or of a database user that is not ours, is none of our business', async () => {
    const count = () => rows('select id from logins').length;
    const before = count();
    await report({ logins: [login({ authority: 'SHA256:other' })] });
    await report({
      logins: [login({ kind: 'postgres', account: 'app', identity: 'app', serial: '', authority: 'md5' })],
    });
    expect(count()).toBe(before);
  });

  it('by a certificate of ours that was never issued, or for another resource, raises an alarm', async () => {
    const alarm = () =>
      rows<{ count: number; handles: string }>("select * from alarms where id = 'login/db-host/'")[0];
    await report({ logins: [login({ identity: 'mallory/gr_none/-', serial: '4711' })] });
    await waitFor(() => alarm()?.handles.includes('mallory'), { what: 'the alarm' });
    // The serial is ours, the rest of the certificate is not.
    const { grant, serial } = await access();
    await report({ logins: [login({ identity: 'dora/gr_other/-', serial })] });
    await waitFor(() => alarm()?.handles.includes('dora/'), { what: 'the alarm' });
    // A host that says it of a resource which is not its own.
    const elsewhere = new TestDevice(installation.url, host.nowSeconds);
    change(
      "insert into hosts values ('billing/x', 'billing', ?, 'active', 'root', 1, null)",
      elsewhere.signingKey,
    );
    await report({ logins: [login({ identity: `ana/${grant}/P1-1`, serial })] }, elsewhere);
    await waitFor(() => rows("select id from alarms where id = 'login/billing/'").length === 1, {
      what: 'the alarm of the other host',
    });
    expect(rows('select id from logins where matched = ?', grant)).toHaveLength(0);
    await ana.post(`/v1/grants/${grant}/release`);
  });
});

describe('a session', () => {
  it('is over when its grant is, long after its certificate ran out, and not before', async () => {
    const { grant, identity, serial } = await access();
    const open = [{ identity, serial }];
    expect((await report({ open })).result.over).toEqual([]);
    // Five minutes is all that a certificate lives: it runs out, is revoked, and the session goes on.
    aheadMs += 400_000;
    await waitFor(() => rows('select serial from revocations where serial = ?', serial).length === 1, {
      what: 'the expired certificate on the list',
    });
    expect((await report({ open })).result.over).toEqual([]);
    const { result } = await ana.post<GrantView>(`/v1/grants/${grant}/release`);
    expect(result.state).toBe('ended');
    expect((await report({ open })).result.over).toEqual(open);
    expect((await report({ open: [{ identity: 'x/gr_none/-', serial: '99' }] })).result.over).toEqual([]);
  });

  it('is over when the device that it came from was revoked, though the grant goes on for others', async () => {
    const second = await enrolled(installation, 'ana', host.nowSeconds);
    const { identity, serial } = await access(second);
    const open = [{ identity, serial }];
    expect((await report({ open })).result.over).toEqual([]);
    await ana.post(`/v1/devices/${second.id}/revoke`);
    expect((await report({ open })).result.over).toEqual(open);
  });
});

describe('a break-glass login', () => {
  function pack(device = ana): { id: string; keyId: string } {
    const id = createId('bg', now());
    const slots = JSON.stringify([
      { number: 0, notBefore: now(), notAfter: now() + 3_600_000, serial: '55' },
    ]);
    change(
      `insert into packs values (?, ?, ?, 'db-host', 'shell', 'ssh', 1, ?, ?, ?, ?, null, 'active', null)`,
      ...[id, device.user, device.id, slots, now(), now(), now() + 3_600_000],
    );
    return { id, keyId: breakGlassKeyId({ user: device.user, pack: id, slot: 0 }) };
  }
  const use = (id: string, device = ana) =>
    change(
      `insert into pack_uses values (?, 0, ?, ?, 'db-host', 'shell', 'because', null, 0, 3, ?, ?, null)`,
      ...[id, device.id, device.user, now(), now()],
    );
  const alarm = () =>
    rows<{ handles: string }>("select * from alarms where id = 'break-glass/db-host/ana'")[0];
  const matchedOf = (keyId: string) =>
    rows<{ matched: string | null }>('select matched from logins where identity = ?', keyId)[0]?.matched;

  it('rests on the slot that the journal says was opened', async () => {
    const { id, keyId } = pack();
    use(id);
    await report({ logins: [login({ identity: keyId, serial: '55', authority: 'SHA256:break-glass' })] });
    expect(matchedOf(keyId)).toBe(`${id}/0`);
    expect(alarm()).toBeUndefined();
  });

  it('without an entry alarms at once if the device was here since, and is cleared by the entry', async () => {
    const { id, keyId } = pack();
    const at = new Date(now() - 120_000).toISOString();
    // Any change: the broker notes when it has last served a device.
    change('update devices set last_seen_at = ? where id = ?', now(), ana.id);
    await report({ logins: [login({ identity: keyId, serial: '55', at })] });
    await waitFor(() => alarm()?.handles.includes(keyId), { what: 'the alarm' });
    use(id);
    await waitFor(
      () => {
        aheadMs += 5_000;
        return alarm() === undefined;
      },
      { what: 'the end of the alarm' },
    );
    expect(matchedOf(keyId)).toBe(`${id}/0`);
  });

  it('of a device that was not here since alarms after ten minutes, and not before', async () => {
    const { keyId } = pack();
    change('update devices set last_seen_at = ? where id = ?', now() - 3_600_000, ana.id);
    await report({ logins: [login({ identity: keyId, serial: '55' })] });
    expect(matchedOf(keyId)).toBeNull();
    const jobs = () =>
      rows<{ due_at: number }>("select due_at from jobs where kind = 'logins' and subject = 'watch'");
    await waitFor(() => (jobs()[0]?.due_at ?? 0) > now(), { what: 'the first look' });
    expect(alarm()).toBeUndefined();
    aheadMs += 601_000;
    await waitFor(() => alarm()?.handles.includes(keyId), { what: 'the alarm' });
  });

  it('by a pack that is unknown, or with another serial than the slot has, is by no certificate of ours', async () => {
    const unknown = breakGlassKeyId({ user: 'ana', pack: createId('bg', now()), slot: 0 });
    const { id, keyId } = pack();
    use(id);
    await report({
      logins: [login({ identity: unknown, serial: '55' }), login({ identity: keyId, serial: '56' })],
    });
    expect([matchedOf(unknown), matchedOf(keyId)]).toEqual([null, null]);
    const handles = () =>
      rows<{ handles: string }>("select * from alarms where id = 'login/db-host/'")[0]?.handles ?? '';
    await waitFor(() => handles().includes(unknown), { what: 'the alarm' });
    // The look that raised it has left both as they are.
    expect([matchedOf(unknown), matchedOf(keyId)]).toEqual([null, null]);
  });

  it('of a database is known by the unit in the subject of its certificate', async () => {
    const { id, keyId } = pack();
    use(id);
    const record = login({
      ...{ kind: 'postgres', serial: '', authority: 'cert', account: 'oncall_breakglass_read' },
      identity: `OU=${keyId},CN=breakglass-db-host-shell`,
    });
    await report({ logins: [record] });
    expect(matchedOf(keyId)).toBe(`${id}/0`);
  });

  it('leaves a session that is over when its pack is', async () => {
    const { id, keyId } = pack();
    const open = [{ identity: keyId, serial: '55' }];
    expect((await report({ open })).result.over).toEqual([]);
    change("update packs set state = 'revoked' where id = ?", id);
    expect((await report({ open })).result.over).toEqual(open);
  });
});

it('says in the metrics how long ago each host was heard of', async () => {
  await report({});
  const text = await (await fetch(`${installation.url}/metrics`)).text();
  expect(text).toMatch(/oncall_host_age_seconds\{host="db-host\/db-host-1",resource="db-host"\} [\d.]+/);
});
