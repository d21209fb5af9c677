// Two broker processes, one store: whichever of them a request reaches, it is one installation.
import { beforeAll, describe, expect, it } from 'vitest';
import type { CredentialReply, GrantList, RequestView } from '../../src/protocol/messages.ts';
import { enrolled, send, type TestDevice } from '../support/device.ts';
import { expectWholeLog, readLog, spawnBroker } from '../support/one-life.ts';
import { part } from '../support/parts.ts';
import { installWithTarget, material, type Target } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';
import { callAt, copyInstallation, migrateStore, POSTGRES_STORE } from './second-broker.ts';

describe.skipIf(!part('postgres')).each(['postgres', 'sqlite'])('two brokers on one %s store', (kind) => {
  let target: Target;
  /** Where each of the two listens. */
  let urls: [string, string];
  let ana: TestDevice;
  let carla: TestDevice;
  let dora: TestDevice;

  beforeAll(async () => {
    target = await installWithTarget({
      credential: '5s',
      ...(kind === 'postgres' && { store: POSTGRES_STORE }),
    });
    const { installation } = target;
    if (kind === 'postgres') await migrateStore(installation);
    const second = await copyInstallation(installation);
    await spawnBroker(installation.directory);
    await spawnBroker(second.directory);
    urls = [installation.url, second.url];
    ana = await enrolled(installation, 'ana');
    carla = await enrolled(installation, 'carla');
    dora = await enrolled(installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  });

  /** `count` calls at once, to the two in turn. */
  const alternately = <T>(count: number, call: (url: string) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: count }, (_, at) => call(urls[at % 2] ?? '')));

  const READ = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
  const WRITE = { targets: [{ resource: 'db-replica', role: 'write' }], incident: 'P1-1' };
  const ask = async (url: string, body: object) =>
    (await callAt<RequestView>(url, ana, 'POST', '/v1/requests', body)).result;

  async function releaseAll(): Promise<void> {
    const { result } = await ana.get<GrantList>('/v1/grants');
    for (const { id, state } of result.grants)
      if (state === 'active') await ana.post(`/v1/grants/${id}/release`);
  }

  /** Kinds of the entries about one id, oldest first. */
  async function eventsOf(subject: string): Promise<string[]> {
    const entries = (await readLog(dora)).map(
      ({ entry }) => JSON.parse(entry) as { event: string; subject: Record<string, string> },
    );
    return entries
      .filter((entry) => Object.values(entry.subject).includes(subject))
      .map(({ event }) => event);
  }

  it('make one grant of concurrent requests for one thing', async () => {
    await releaseAll();
    const requests = await alternately(12, (url) => ask(url, READ));
    expect(requests.map(({ state }) => state)).toEqual(Array(12).fill('granted'));
    expect(new Set(requests.map(({ grants }) => grants[0]?.id)).size).toBe(1);
  });

  it('do once what came under one idempotency key', async () => {
    const body = { id: 'P1-twice', service: 'orders', priority: 'P1' };
    const options = { idempotencyKey: 'two-brokers-0001' };
    const answers = await alternately(8, (url) => callAt(url, dora, 'POST', '/v1/incidents', body, options));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(new Set(answers.map(({ audit }) => audit?.receipt.index)).size).toBe(1);
  });

  it('refuse at one what was used at the other, in sequence and at once', async () => {
    const sent = await ana.prepare('GET', '/v1/me', undefined);
    expect((await send(sent)).status).toBe(200);
    expect((await send({ ...sent, url: new URL('/v1/me', urls[1]) })).status).toBe(401);
    const raced = await ana.prepare('GET', '/v1/me', undefined);
    const race = await alternately(8, (url) => send({ ...raced, url: new URL('/v1/me', url) }));
    expect(race.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('refuse at one the device that was revoked at the other, though both know its key', async () => {
    const lost = await enrolled(target.installation, 'ana');
    const statuses = async () =>
      (await alternately(2, (url) => callAt(url, lost, 'GET', '/v1/me', undefined))).map(
        ({ status }) => status,
      );
    expect(await statuses()).toEqual([200, 200]);
    expect((await ana.post(`/v1/devices/${lost.id}/revoke`)).status).toBe(200);
    expect(await statuses()).toEqual([401, 401]);
    const asked = await callAt(urls[1], lost, 'POST', '/v1/requests', READ);
    expect(asked.error?.code).toBe('unauthenticated');
  });

  it('count the use of an invitation once', async () => {
    const invitation = await target.installation.invite('ben');
    const secret = new URL(invitation).hash.slice(1).split('-')[0];
    const race = await alternately(6, async (url) => {
      const device = new (ana.constructor as typeof TestDevice)(target.installation.url);
      const { signingKey, sealingKey } = device;
      const body = { secret, deviceName: 'race', signingKey, sealingKey, keystore: 'file' };
      return callAt(url, device, 'POST', '/v1/enroll', body, { tag: 'oncall-enroll' });
    });
    expect(race.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('answer at one what was asked at the other, and tell who waits there', async () => {
    await releaseAll();
    const { id, digest, state } = await ask(urls[0], WRITE);
    expect(state).toBe('pending');
    const waiting = callAt<RequestView>(urls[0], ana, 'GET', `/v1/requests/${id}?waitSeconds=20`);
    const startedAt = performance.now();
    await callAt(urls[1], carla, 'POST', `/v1/requests/${id}/approve`, { digest });
    expect((await waiting).result.state).toBe('granted');
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('let a request end one way only when it is approved, refused and cancelled at once', async () => {
    for (let round = 0; round < 8; round++) {
      await releaseAll();
      const { id, digest } = await ask(urls[round % 2] ?? '', WRITE);
      const ben = await benOf();
      const answers = await Promise.all([
        callAt(urls[0], carla, 'POST', `/v1/requests/${id}/approve`, { digest }),
        callAt(urls[1], ben, 'POST', `/v1/requests/${id}/deny`, { digest, reason: 'no' }),
        callAt(urls[round % 2] ?? '', ana, 'POST', `/v1/requests/${id}/cancel`),
      ]);
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      const { result } = await ana.get<RequestView>(`/v1/requests/${id}`);
      const { result: held } = await ana.get<GrantList>('/v1/grants');
      const opened = held.grants.filter((grant) => grant.requestId === id);
      expect(opened).toHaveLength(result.state === 'granted' ? 1 : 0);
    }
  });

  let ben: TestDevice | undefined;
  async function benOf(): Promise<TestDevice> {
    ben ??= await enrolled(target.installation, 'ben');
    return ben;
  }

  it('end what is due once, whichever of them takes it', async () => {
    await releaseAll();
    const [request] = await alternately(1, (url) => ask(url, READ));
    const path = `/v1/grants/${request?.grants[0]?.id}/credentials`;
    const issued = await callAt<CredentialReply>(urls[1], ana, 'POST', path, { material: material() });
    const { credentialId, handle } = issued.result;
    expect(await target.canLogIn(handle)).toBe(true);
    const ended = async () => (await eventsOf(credentialId)).includes('credential.ended');
    await waitFor(ended, { what: 'the end of the credential', timeoutMs: 30_000 });
    expect(await target.roles()).toEqual([]);
    const events = await eventsOf(credentialId);
    expect(events.filter((event) => event === 'credential.ending')).toHaveLength(1);
    expect(events.filter((event) => event === 'credential.ended')).toHaveLength(1);
  }, 60_000);

  it('write one log without gaps, whose checkpoints verify at both', async () => {
    const entries = await readLog(dora);
    expect(entries.map(({ index }) => index)).toEqual(entries.map((_, at) => at));
    await expectWholeLog(target.installation.url, dora, entries);
    const [first, second] = await alternately(2, (url) =>
      callAt<{ checkpoint: string }>(url, dora, 'GET', '/v1/audit/checkpoint'),
    );
    expect(first?.result.checkpoint.split('\n').slice(0, 3)).toEqual(
      second?.result.checkpoint.split('\n').slice(0, 3),
    );
  });
});
