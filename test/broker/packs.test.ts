// Who gets which pack, what is refused, and what takes one back. Targets are nowhere: what they do with certificates is in
// packs-at-targets.test.ts. Time passes only when a test says so.
import 'reflect-metadata';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { X509Certificate, X509Crl } from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { deviceWebhookKey, openPart } from '../../src/break-glass/pack.ts';
import type { RunningBroker } from '../../src/broker/broker.ts';
import { brokerMigrate } from '../../src/broker/commands.ts';
import { loadBrokerKeys } from '../../src/broker/keys.ts';
import { breakGlassState } from '../../src/broker/taints.ts';
import { parsePublicKey } from '../../src/protocol/keys.ts';
import type { Pack, PackList, StatusReply } from '../../src/protocol/messages.ts';
import { verifySignedKrl } from '../../src/protocol/signed-krl.ts';
import { isSignedByCa, parseCertificate } from '../../src/protocol/ssh-certificate.ts';
import { sshPublicKeyBlob, sshUint64 } from '../../src/protocol/ssh-wire.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { sampleReview } from '../store/sample-rows.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, PEOPLE } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';
import {
  BREAK_GLASS_POLICY,
  breakGlassCatalogue,
  fetchPack,
  guideOf,
  host,
  materialOf,
  type PackHolder,
  planOf,
} from './break-glass-world.ts';

const HOUR = 3_600_000;
const START = Date.parse('2026-05-04T10:00:00.000Z');
/** Ana and Ben take turns of a day, handing over at 09:00 in UTC. */
const HANDOVER = Date.parse('2026-05-04T09:00:00.000Z');

let installation: Installation;
let broker: RunningBroker;
let store: Store;
let nowMs = START;
let days = 0;
const signed = () => ({ createdSeconds: Math.floor(nowMs / 1000) });

const turns = (overrides = '') =>
  PEOPLE.replace(
    /timeZone: Europe\/Berlin\n {4}rotations:\n.*\n/,
    () => `timeZone: UTC
    rotations: [{ level: 1, people: [ana, ben], startsAt: 2026-05-04T09:00, every: 1d }]
${overrides}`,
  );
const WEBHOOK = `breakGlass:
  notify: [dora]
  webhook: { url: "https://hooks.example.com/bg", secret: { file: secrets/hook } }
notify:
  hook: { type: webhook, url: "http://127.0.0.1:1/", secret: { file: secrets/hook }, notices: [break-glass] }
`;
const catalogue = (overrides = '', people = turns(overrides)) =>
  breakGlassCatalogue({ people, more: WEBHOOK });

async function change(text: string): Promise<void> {
  installation.write('catalogue.yaml', text);
  await broker.reload();
}

/** Each at the same time of another day, so that one test's packs are no other's. */
async function anotherDay(): Promise<void> {
  days += 2;
  nowMs = START + days * 24 * HOUR;
  // Nobody has more than ten.
  await store.write(async (tx) => {
    for (const { id } of await tx.activeDevices())
      await tx.updateDevice(id, { state: 'revoked', revokedAt: nowMs });
  });
  await change(catalogue());
}

const enrolledNow = (user: string) => enrolled(installation, user, () => Math.floor(nowMs / 1000));
const rowOf = async (pack: string) => (await store.read((tx) => tx.pack(pack)))!;
const listOf = async (list: string) => (await store.read((tx) => tx.revocations(list))).entries;
const revokedOf = async ({ pack }: PackHolder) => {
  const list = pack.kind === 'ssh' ? 'break-glass-ssh' : 'break-glass-x509';
  const serials = new Set((await listOf(list)).map(({ serial }) => serial));
  return pack.slots.filter(({ serial }) => serials.has(serial)).map(({ number }) => number);
};

beforeAll(async () => {
  installation = await install({ catalogue: catalogue(), policy: BREAK_GLASS_POLICY, now: () => nowMs });
  mkdirSync(join(installation.directory, 'secrets'), { mode: 0o700 });
  writeFileSync(join(installation.directory, 'secrets', 'hook'), 'a-secret-of-the-webhook', { mode: 0o600 });
  broker = await installation.start({ now: () => nowMs });
  store = await openSqliteStore({ file: join(installation.directory, 'oncall.db'), now: () => nowMs });
  atEnd(() => store.close());
});

describe('the plan', () => {
  it('has a pack for each resource, for whoever is on call, and for whoever is next', async () => {
    const [ana, ben] = [await enrolledNow('ana'), await enrolledNow('ben')];
    const one = { epoch: 1, pack: null };
    const until = (hours: number) => new Date(HANDOVER + hours * HOUR).toISOString();
    expect(await planOf(ana, signed())).toEqual([
      { ...one, resource: 'db-host', role: 'shell', material: 'ssh', startsAt: until(0), endsAt: until(12) },
      {
        ...one,
        resource: 'db-replica',
        role: 'read',
        material: 'x509',
        startsAt: until(0),
        endsAt: until(12),
      },
    ]);
    expect((await planOf(ben, signed())).map(({ startsAt, endsAt }) => [startsAt, endsAt])).toEqual([
      [until(24), until(36)],
      [until(24), until(36)],
    ]);
    expect(await planOf(await enrolledNow('carla'), signed())).toEqual([]);
  });

  it('moves on while the shift does, never beyond its end, and knows what the device has got', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    const { pack } = await fetchPack(ana, 'db-host', signed());
    const mine = async () => (await planOf(ana, signed())).find(({ resource }) => resource === 'db-host')!;
    expect((await mine()).pack).toBe(pack.id);
    nowMs += 2 * HOUR;
    expect(await mine()).toMatchObject({
      pack: null,
      startsAt: new Date(Date.parse(pack.startsAt) + 3 * HOUR).toISOString(),
    });
    nowMs += 18 * HOUR;
    const last = await mine();
    expect(Date.parse(last.endsAt) - Date.parse(pack.startsAt)).toBe(24 * HOUR);
    nowMs -= 20 * HOUR;
  });

  it('has nothing where policy or the catalogue allow none', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    const text = catalogue();
    await change(
      text.replace('breakGlass: { roles: [shell] }', 'breakGlass: { roles: [shell], offline: false }'),
    );
    expect((await planOf(ana, signed())).map(({ resource }) => resource)).toEqual(['db-replica']);
    const forbid =
      '@id("no") forbid (principal, action == Action::"break-glass", resource) when { resource.kind == "ssh" };';
    installation.write('policies/starter.cedar', `${BREAK_GLASS_POLICY}${forbid}`);
    await change(text);
    expect((await planOf(ana, signed())).map(({ resource }) => resource)).toEqual(['db-replica']);
    installation.write('policies/starter.cedar', BREAK_GLASS_POLICY);
    await change(text);
  });
});

describe('a pack', () => {
  it('covers its time by certificates of an hour, one of which always has half an hour left', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    const keys = await loadBrokerKeys(join(installation.directory, 'keys'));
    const holder = await fetchPack(ana, 'db-host', signed());
    const { pack } = holder;
    expect(pack.slots).toHaveLength(24);
    const first = parseCertificate(await holder.certificate(0));
    for (const { number, notBefore, notAfter, serial } of pack.slots) {
      const certificate = parseCertificate(await holder.certificate(number));
      expect(certificate).toMatchObject({
        principals: ['breakglass-db-host-shell'],
        keyId: `bg/ana/${pack.id}/${number}`,
        serial: first.serial + BigInt(number),
        validAfterSeconds: Date.parse(pack.startsAt) / 1000 + number * 1800,
        extensions: ['permit-pty'],
      });
      expect(certificate.validBeforeSeconds - certificate.validAfterSeconds).toBe(3600);
      expect([Date.parse(notBefore) / 1000, Date.parse(notAfter) / 1000, serial]).toEqual([
        certificate.validAfterSeconds,
        certificate.validBeforeSeconds,
        String(certificate.serial),
      ]);
      expect(isSignedByCa(certificate, sshPublicKeyBlob(keys.breakGlass.ssh.privateKey))).toBe(true);
      expect(isSignedByCa(certificate, sshPublicKeyBlob(keys.sshCa.privateKey))).toBe(false);
    }
  });

  it('has X.509 by the break-glass CA where that is what logs in', async () => {
    await anotherDay();
    const holder = await fetchPack(await enrolledNow('ana'), 'db-replica', signed());
    const certificate = new X509Certificate(await holder.certificate(3));
    expect(certificate.subject).toBe(`CN=breakglass-db-replica-read, OU=bg/ana/${holder.pack.id}/3`);
    expect(certificate.issuer).toMatch(/^CN=oncall break-glass CA [0-9a-f]{16}$/);
    expect(certificate.notAfter.getTime() - certificate.notBefore.getTime()).toBe(HOUR);
    expect(holder.pack.place).toMatchObject({ kind: 'postgres', user: 'breakglass-db-replica-read' });
  });

  it('opens for its device alone, and its parts for nothing but what they are', async () => {
    await anotherDay();
    const [ana, other] = [await enrolledNow('ana'), await enrolledNow('ana')];
    const { pack } = await fetchPack(ana, 'db-host', signed());
    const second = await fetchPack(ana, 'db-replica', signed());
    const open = (device: TestDevice, id: string, slot: number | 'webhook', sealed: string) =>
      openPart(device.sealing.privateKey, id, slot, sealed).then(
        () => 'open',
        (error: { code: string }) => error.code,
      );
    const { sealed } = pack.slots[0]!;
    expect(await open(ana, pack.id, 0, sealed)).toBe('open');
    expect(await open(other, pack.id, 0, sealed)).toBe('corrupt_file');
    expect(await open(ana, pack.id, 1, sealed)).toBe('corrupt_file');
    expect(await open(ana, second.pack.id, 0, sealed)).toBe('corrupt_file');
    expect(pack.webhook?.url).toBe('https://hooks.example.com/bg');
    const key = await openPart(ana.sealing.privateKey, pack.id, 'webhook', pack.webhook!.sealed);
    expect(Buffer.from(key)).toEqual(Buffer.from(deviceWebhookKey('a-secret-of-the-webhook', ana.id)));
  });

  it('is for whoever the plan has one for, of the window that it has now', async () => {
    await anotherDay();
    const [ana, carla] = [await enrolledNow('ana'), await enrolledNow('carla')];
    const [planned] = await planOf(ana, signed());
    const { material } = materialOf('ssh');
    const body = { resource: 'db-host', role: 'shell', startsAt: planned!.startsAt, material };
    const ask = async (device: TestDevice, more: object = {}) =>
      (await device.post<Pack>('/v1/break-glass/packs', { ...body, ...more }, signed())).error?.code;
    expect(await ask(carla)).toBe('denied');
    expect(await ask(ana, { role: 'root' })).toBe('denied');
    expect(await ask(ana, { resource: 'nothing' })).toBe('denied');
    const later = new Date(Date.parse(planned!.startsAt) + 1000).toISOString();
    expect(await ask(ana, { startsAt: later })).toBe('conflict');
    expect(await ask(ana, { startsAt: 'soon' })).toBe('invalid_request');
    expect(await ask(ana, { endsAt: later })).toBe('invalid_request');
    expect(await store.read((tx) => tx.packs({ deviceId: ana.id, limit: 9 }))).toEqual([]);
    expect(await ask(ana)).toBeUndefined();
  });

  it('is made over no key that is none, of the wrong kind, or too large', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    const [planned] = await planOf(ana, signed());
    const good = materialOf('ssh').material;
    for (const material of [
      materialOf('x509').material,
      { kind: 'ssh', publicKey: 'ssh-ed25519 AAAA' },
      { kind: 'ssh', publicKey: `${good.publicKey}\nssh-ed25519 AAAA` },
      { kind: 'ssh', publicKey: 'x'.repeat(2000) },
      { kind: 'postgres', verifier: 'x' },
    ]) {
      const body = { resource: 'db-host', role: 'shell', startsAt: planned!.startsAt, material };
      const answer = await ana.post('/v1/break-glass/packs', body, signed());
      expect(answer.error?.code).toBe('invalid_request');
    }
    expect(await store.read((tx) => tx.packs({ deviceId: ana.id, limit: 9 }))).toEqual([]);
  });

  it('is made once, however often its reply is lost, and edited on the way not at all', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    const [planned] = await planOf(ana, signed());
    const { material } = materialOf('ssh');
    const body = { resource: 'db-host', role: 'shell', startsAt: planned!.startsAt, material };
    const again = { ...signed(), idempotencyKey: 'the-same-key-twice' };
    const first = await ana.post<Pack>('/v1/break-glass/packs', body, again);
    const second = await ana.post<Pack>('/v1/break-glass/packs', body, again);
    expect(second.result.id).toBe(first.result.id);
    expect(second.result.slots.map(({ serial }) => serial)).toEqual(
      first.result.slots.map(({ serial }) => serial),
    );
    const edited = await ana.post('/v1/break-glass/packs', body, {
      ...signed(),
      tamper: (sent) => {
        sent.body = sent.body!.replace('shell', 'root!');
      },
    });
    expect(edited.error?.code).toBe('unauthenticated');
    expect(await store.read((tx) => tx.packs({ deviceId: ana.id, limit: 9 }))).toHaveLength(1);
    // Nothing more is signed of what has been taken back.
    const dora = await enrolledNow('dora');
    await dora.post('/v1/break-glass/rotate', { resource: 'db-host' }, signed());
    expect((await ana.post('/v1/break-glass/packs', body, again)).error?.code).toBe('ended');
  });

  it('is not given out without end', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    const [planned] = await planOf(ana, signed());
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < 11; i++) {
      const { material } = materialOf('ssh');
      const body = { resource: 'db-host', role: 'shell', startsAt: planned!.startsAt, material };
      codes.push((await ana.post('/v1/break-glass/packs', body, signed())).error?.code);
    }
    expect(codes).toEqual([...Array(10).fill(undefined), 'rate_limited']);
  });

  it('is confirmed by its own device, and seen by its owner and by those who look after devices', async () => {
    await anotherDay();
    const [ana, other, dora] = [
      await enrolledNow('ana'),
      await enrolledNow('ana'),
      await enrolledNow('dora'),
    ];
    const [planned] = await planOf(ana, signed());
    const { material } = materialOf('ssh');
    const body = { resource: 'db-host', role: 'shell', startsAt: planned!.startsAt, material };
    const { id } = (await ana.post<Pack>('/v1/break-glass/packs', body, signed())).result;
    const confirm = (device: TestDevice) => device.post(`/v1/break-glass/packs/${id}/confirm`, {}, signed());
    expect((await planOf(ana, signed()))[0]?.pack).toBeNull();
    expect((await confirm(other)).error?.code).toBe('not_found');
    expect((await confirm(dora)).error?.code).toBe('not_found');
    expect(await confirm(ana)).toMatchObject({ status: 200, result: { id, state: 'active' } });
    const at = (await rowOf(id)).confirmedAt;
    nowMs += 1000;
    expect(await confirm(ana)).toMatchObject({ status: 200 });
    expect((await rowOf(id)).confirmedAt).toBe(at);
    const listed = async (device: TestDevice, query = '') =>
      (await device.get<PackList>(`/v1/break-glass/packs${query}`, signed())).result.packs?.map(
        (pack) => pack.id,
      );
    expect(await listed(other)).toContain(id);
    expect(await listed(dora)).toEqual([]);
    expect(await listed(dora, '?all=true')).toContain(id);
    expect((await ana.get('/v1/break-glass/packs?all=true', signed())).error?.code).toBe('forbidden');
  });

  it('leaves in the log who got what, and no secret', async () => {
    await anotherDay();
    const { pack } = await fetchPack(await enrolledNow('ana'), 'db-host', signed());
    const entries = await store.read((tx) => tx.auditSearch({ subject: pack.id, limit: 9 }));
    expect(entries.map(({ event }) => event)).toEqual(['pack.confirmed', 'pack.issued']);
    expect(entries.at(-1)?.entry).toContain('"breakglass-db-host-shell"');
    for (const { entry } of entries)
      for (const { sealed } of pack.slots) expect(entry).not.toContain(sealed.slice(0, 40));
  });
});

describe('a pack is taken back', () => {
  it('when its epoch is rotated, which needs the right to', async () => {
    await anotherDay();
    const [ana, dora] = [await enrolledNow('ana'), await enrolledNow('dora')];
    const [held, kept] = [
      await fetchPack(ana, 'db-replica', signed()),
      await fetchPack(ana, 'db-host', signed()),
    ];
    const rotate = (device: TestDevice, resource = 'db-replica') =>
      device.post<{ epoch: number }>('/v1/break-glass/rotate', { resource }, signed());
    expect((await rotate(ana)).error?.code).toBe('forbidden');
    expect((await rotate(dora, 'nothing')).error?.code).toBe('not_found');
    const { epoch } = (await rotate(dora)).result;
    expect(epoch).toBe(held.pack.epoch + 1);
    expect(await rowOf(held.pack.id)).toMatchObject({ state: 'revoked' });
    expect(await revokedOf(held)).toHaveLength(held.pack.slots.length);
    expect(await revokedOf(kept)).toEqual([]);
    const confirm = await ana.post(`/v1/break-glass/packs/${held.pack.id}/confirm`, {}, signed());
    expect(confirm.error?.code).toBe('ended');
    const plan = await planOf(ana, signed());
    expect(plan.find(({ resource }) => resource === 'db-replica')).toMatchObject({ epoch, pack: null });
  });

  it('and the taint goes with the epoch, unless a review is open', async () => {
    await anotherDay();
    const dora = await enrolledNow('dora');
    const taint = (taintedAt: number) =>
      store.write(async (tx) =>
        tx.putBreakGlassEpoch({ ...(await tx.breakGlassEpoch('db-host')), taintedAt }),
      );
    const state = () => store.read(async (tx) => breakGlassState(tx, await tx.breakGlassEpoch('db-host')));
    await taint(nowMs);
    nowMs += 1000;
    const rotate = async () =>
      (await dora.post('/v1/break-glass/rotate', { resource: 'db-host' }, signed())).result;
    expect(await rotate()).toMatchObject({ taintedAt: null, rotatedAt: new Date(nowMs).toISOString() });

    const review = sampleReview({ kind: 'break-glass', resource: 'db-host' });
    await store.write((tx) => tx.insertReview(review));
    nowMs += 1000;
    const tainted = nowMs;
    await taint(tainted);
    nowMs += 1000;
    const left = { taintedAt: new Date(tainted).toISOString(), reviews: [review.id] };
    expect(await rotate()).toMatchObject(left);
    await store.write(async (tx) => {
      const closing = { outcome: 'justified', note: '', closedBy: 'dora', closedAt: nowMs } as const;
      await tx.closeReview(review.id, closing);
    });
    expect(await state()).toMatchObject({ taintedAt: null, reviews: [] });
    // A new use after the epoch was rotated taints it anew.
    await taint(nowMs + 1);
    expect(await state()).not.toMatchObject({ taintedAt: null });
  });

  it('with its device, and every slot that could still be used is on the list as one range', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    nowMs += 3 * HOUR;
    const held = await fetchPack(ana, 'db-host', signed(), ({ startsAt }) => Date.parse(startsAt) <= nowMs);
    nowMs += 2 * HOUR;
    await ana.post(`/v1/devices/${ana.id}/revoke`, {}, signed());
    const usable = held.pack.slots.filter(({ notAfter }) => Date.parse(notAfter) + 60_000 > nowMs);
    expect(usable.length).toBeLessThan(held.pack.slots.length);
    expect(await revokedOf(held)).toEqual(usable.map(({ number }) => number));
    const { identityKey } = (await (await fetch(`${installation.url}/v1/identity`)).json()) as {
      identityKey: string;
    };
    const krl = Buffer.from(await (await fetch(`${installation.url}/v1/krl/ssh`)).arrayBuffer());
    const signature = await (await fetch(`${installation.url}/v1/krl/ssh.sig`)).text();
    verifySignedKrl({ krl, signature }, parsePublicKey(identityKey), 0);
    const [first, last] = [usable[0]!, usable.at(-1)!].map(({ serial }) => sshUint64(BigInt(serial)));
    expect(krl.includes(Buffer.concat([first!, last!]))).toBe(true);
  });

  it('by an override that is in force at once, wholly; by one that comes later, from then on', async () => {
    await anotherDay();
    const ana = await enrolledNow('ana');
    const [held, later] = [
      await fetchPack(ana, 'db-host', signed()),
      await fetchPack(ana, 'db-replica', signed()),
    ];
    const at = (hours: number) => new Date(nowMs + hours * HOUR).toISOString().slice(0, 16);
    const override = (from: string, to: string) =>
      `    overrides: [{ level: 1, user: carla, startsAt: ${from}, endsAt: ${to} }]\n`;
    await change(catalogue(override(at(4), at(8))));
    const untilMs = nowMs + 4 * HOUR;
    await waitFor(async () => (await rowOf(later.pack.id)).endsAt === untilMs, { what: 'the shorter pack' });
    expect(await rowOf(later.pack.id)).toMatchObject({ state: 'active' });
    expect(await revokedOf(later)).toEqual(
      later.pack.slots
        .filter(({ notBefore }) => Date.parse(notBefore) >= untilMs)
        .map(({ number }) => number),
    );
    expect((await planOf(ana, signed())).find(({ resource }) => resource === 'db-replica')).toMatchObject({
      pack: later.pack.id,
      endsAt: new Date(untilMs).toISOString(),
    });

    await change(catalogue(override(at(-1), at(8))));
    await waitFor(async () => (await rowOf(held.pack.id)).state === 'revoked', { what: 'the revocation' });
    expect(await planOf(ana, signed())).toMatchObject([
      { startsAt: new Date(nowMs + 8 * HOUR).toISOString() },
      {},
    ]);
    const carla = await enrolledNow('carla');
    expect(await planOf(carla, signed())).toHaveLength(2);
  });

  it('when its person, its resource or its permission is gone', async () => {
    const text = () => catalogue();
    for (const gone of [
      () =>
        text()
          .replace(/ {2}ana: .*\n/, '')
          .replace('people: [ana, ben]', 'people: [ben]')
          .replace('people: [ana]', 'people: [ben]'),
      () => text().replace('breakGlass: { roles: [shell] }', 'breakGlass: { roles: [root] }'),
      () =>
        text().replace('breakGlass: { roles: [shell] }', 'breakGlass: { roles: [shell], offline: false }'),
    ]) {
      await anotherDay();
      const held = await fetchPack(await enrolledNow('ana'), 'db-host', signed());
      await change(gone());
      await waitFor(async () => (await rowOf(held.pack.id)).state === 'revoked', { what: 'the revocation' });
      expect(await revokedOf(held)).toHaveLength(held.pack.slots.length - pastSlots(held));
    }
    await anotherDay();
    const held = await fetchPack(await enrolledNow('ana'), 'db-host', signed());
    installation.write(
      'policies/starter.cedar',
      BREAK_GLASS_POLICY.replace('"break-glass", resource', '"extend", resource'),
    );
    await change(text());
    await waitFor(async () => (await rowOf(held.pack.id)).state === 'revoked', { what: 'the revocation' });
    installation.write('policies/starter.cedar', BREAK_GLASS_POLICY);
    await change(text());
  });

  it('and the list of the break-glass CA says so, good for a month at any time', async () => {
    await anotherDay();
    const [ana, dora] = [await enrolledNow('ana'), await enrolledNow('dora')];
    const held = await fetchPack(ana, 'db-replica', signed());
    await dora.post('/v1/break-glass/rotate', { resource: 'db-replica' }, signed());
    const crl = new X509Crl(await (await fetch(`${installation.url}/v1/crl/break-glass`)).arrayBuffer());
    const { text } = (await guideOf(installation, 'db-replica')).find(({ text }) =>
      text.includes('BEGIN CERT'),
    )!;
    const ca = new X509Certificate(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----/.exec(text)![0]);
    expect(await crl.verify({ publicKey: ca })).toBe(true);
    expect(crl.nextUpdate!.getTime() - nowMs).toBeGreaterThan(30 * 24 * HOUR);
    const { serial } = held.pack.slots.at(-1)!;
    expect(crl.findRevoked(serial)).not.toBeNull();
    const usual = new X509Crl(await (await fetch(`${installation.url}/v1/crl/x509`)).arrayBuffer());
    expect(usual.findRevoked(serial)).toBeNull();
  });
});

const pastSlots = ({ pack }: PackHolder) =>
  pack.slots.filter(({ notAfter }) => Date.parse(notAfter) + 60_000 <= nowMs).length;

describe('whoever comes on call without a pack', () => {
  const notices = async () =>
    (await store.read((tx) => tx.notices({ limit: 500 }))).filter(({ id }) =>
      id.startsWith('pack-missing/ben/'),
    );

  it('hears of it eight hours before, once, and so does their lead', async () => {
    await anotherDay();
    const [ben, dora] = [await enrolledNow('ben'), await enrolledNow('dora')];
    const before = (await notices()).length;
    // Ben's shift begins in 23 hours; he is told 8 hours before.
    nowMs += 14 * HOUR;
    await broker.reload();
    const status = async () => (await ben.get<StatusReply>('/v1/status', signed())).result.warnings;
    expect((await status()).filter((words) => words.includes('break-glass'))).toEqual([]);
    expect(await notices()).toHaveLength(before);
    nowMs += 1.5 * HOUR;
    await broker.reload();
    await waitFor(async () => (await notices()).length === before + 1, { what: 'the warning' });
    const [newest] = (await notices()).slice(-1);
    expect((newest!.notice as { to: { user: string }[] }).to.map(({ user }) => user)).toEqual([
      'ben',
      'carla',
    ]);
    expect((await status()).filter((words) => words.includes('break-glass'))).toHaveLength(2);
    const [host, database] = [
      await fetchPack(ben, 'db-host', signed()),
      await fetchPack(ben, 'db-replica', signed()),
    ];
    expect(Date.parse(host.pack.startsAt)).toBeGreaterThan(nowMs);
    expect(database.pack.slots[0]!.notBefore).toBe(host.pack.startsAt);
    expect((await status()).filter((words) => words.includes('break-glass'))).toEqual([]);
    // However often it looks.
    const looks = async () =>
      (await store.read((tx) => tx.auditSearch({ event: 'rules.reloaded', limit: 999 }))).length;
    const [count] = [await looks()];
    for (let i = 0; i < 3; i++) await broker.reload();
    expect(await looks()).toBe(count + 3);
    expect(await notices()).toHaveLength(before + 1);
    expect((await dora.get<StatusReply>('/v1/status', signed())).result.warnings.join()).not.toContain(
      'break-glass pack',
    );
  });

  it('is not warned who has one', async () => {
    await anotherDay();
    const ben = await enrolledNow('ben');
    await fetchPack(ben, 'db-host', signed(), ({ startsAt }) => Date.parse(startsAt) > nowMs);
    await fetchPack(ben, 'db-replica', signed(), ({ startsAt }) => Date.parse(startsAt) > nowMs);
    const before = (await notices()).length;
    nowMs += 16 * HOUR;
    const jobs = async () => (await store.read((tx) => tx.nextJobAt(nowMs, ['packs'])))!;
    await broker.reload();
    await waitFor(async () => (await jobs()) > nowMs, { what: 'the look' });
    expect(await notices()).toHaveLength(before);
  });
});

describe('an installation from before', () => {
  it('gets the keys by migrate, once, and does not serve without them', async () => {
    const old = await install({ catalogue: breakGlassCatalogue() });
    const file = (name: string) => join(old.directory, 'keys', name);
    for (const name of ['break-glass-ssh.key', 'break-glass-x509.key']) rmSync(file(name));
    await expect(old.start()).rejects.toMatchObject({
      code: 'config_invalid',
      hint: expect.stringContaining('oncall broker migrate'),
    });
    const { data } = await brokerMigrate({ directory: old.directory }, host);
    expect(data).toMatchObject({ keys: [file('break-glass-ssh.key'), file('break-glass-x509.key')] });
    const keys = await loadBrokerKeys(join(old.directory, 'keys'));
    expect(
      new Set(
        [keys.sshCa, keys.x509Ca, keys.log, keys.identity, keys.breakGlass.ssh].map(
          ({ publicKey }) => publicKey,
        ),
      ).size,
    ).toBe(5);
    expect(keys.breakGlass.x509.asymmetricKeyType).toBe('ec');
    expect((await brokerMigrate({ directory: old.directory }, host)).data).toMatchObject({ keys: [] });
    expect((await loadBrokerKeys(join(old.directory, 'keys'))).breakGlass.ssh.publicKey).toBe(
      keys.breakGlass.ssh.publicKey,
    );
    await (await old.start()).stop();
  });

  it('does not take one key for another', async () => {
    const mixed = await install({ catalogue: breakGlassCatalogue() });
    const file = (name: string) => join(mixed.directory, 'keys', name);
    writeFileSync(file('break-glass-x509.key'), mixed.read('keys/x509-ca.key'), { mode: 0o600 });
    await expect(mixed.start()).rejects.toMatchObject({ code: 'config_invalid' });
  });
});
