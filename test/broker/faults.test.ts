// The target fails under a running broker: stopped, frozen, forgetful. What is acknowledged stays true, what is not is undone.
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type {
  AuditPage,
  CredentialReply,
  GrantList,
  GrantView,
  RequestView,
} from '../../src/protocol/messages.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { type Answer, enrolled, type TestDevice } from '../support/device.ts';
import { part } from '../support/parts.ts';
import { type OwnServer, ownServer } from '../support/postgres.ts';
import { installWithTarget, material, type Target } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';

describe.skipIf(!part('postgres'))('a target that fails', () => {
  let server: OwnServer;
  let target: Target;
  let ana: TestDevice;
  let dora: TestDevice;
  let grant: GrantView;

  beforeAll(async () => {
    server = await ownServer();
    target = await installWithTarget({ database: await server.database() });
    await target.installation.start();
    ana = await enrolled(target.installation, 'ana');
    dora = await enrolled(target.installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  });

  beforeEach(async () => {
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
    grant = (await ana.post<RequestView>('/v1/requests', body)).result.grants[0]!;
  });

  afterEach(async () => {
    if (await isActive()) await ana.post(`/v1/grants/${grant.id}/release`);
    await waitFor(async () => (await target.roles()).length === 0, {
      what: 'an empty target',
      timeoutMs: 30_000,
    });
  });

  const issue = (more: object = {}): Promise<Answer<CredentialReply>> =>
    ana.post(`/v1/grants/${grant.id}/credentials`, { material: material(), ...more });

  async function current(): Promise<GrantView> {
    const { result } = await ana.get<GrantList>('/v1/grants');
    return result.grants.find(({ id }) => id === grant.id)!;
  }
  const isActive = async () => (await current()).state === 'active';

  const allEnded = (timeoutMs = 30_000) =>
    waitFor(async () => (await current()).credentials.every(({ state }) => state === 'ended'), {
      what: 'the proven end of every credential',
      timeoutMs,
    });

  async function eventsOf(subject: string): Promise<string[]> {
    const { result } = await dora.get<AuditPage>('/v1/audit/entries');
    const entries = result.entries.map(
      ({ entry }) => JSON.parse(entry) as { event: string; subject: Record<string, string> },
    );
    return entries
      .filter((entry) => Object.values(entry.subject).includes(subject))
      .map(({ event }) => event);
  }

  async function timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
    const startedAt = performance.now();
    return { value: await work, ms: performance.now() - startedAt };
  }

  const metrics = async () => (await fetch(`${target.installation.url}/metrics`)).text();

  it.each([
    ['stopped', () => server.stop('crash'), () => server.start()],
    ['frozen', () => server.pause(), () => server.resume()],
  ])(
    'at issue, %s, is named within the deadline, and keeps nothing when it is back',
    async (_how, fail, heal) => {
      await fail();
      const { value, ms } = await timed(issue());
      expect(value.error?.code).toBe('target_unreachable');
      expect(value.status).toBe(504);
      expect(ms).toBeLessThan(12_000);
      const [credential] = (await current()).credentials;
      expect(credential?.state).toBe('ending');
      expect(await eventsOf(credential!.id)).toEqual(['credential.issuing', 'credential.ending']);
      await heal();
      await allEnded(60_000);
      expect(await target.roles()).toEqual([]);
      expect((await current()).credentials[0]?.proof).toMatch(/^proven/);
      expect((await issue()).status).toBe(200);
    },
    90_000,
  );

  it('at renewal, stopped, leaves the login as it was', async () => {
    const { credentialId, handle } = (await issue()).result;
    await server.stop('fast');
    expect((await issue({ renews: credentialId })).error?.code).toBe('target_unreachable');
    expect((await current()).credentials[0]).toMatchObject({ id: credentialId, state: 'live' });
    await server.start();
    expect(await target.canLogIn(handle)).toBe(true);
    expect((await issue({ renews: credentialId })).result).toMatchObject({ handle, prolonged: true });
  });

  it('at the end, stopped, is answered in bounded time as not proven, and proven when it is back', async () => {
    const { handle } = (await issue()).result;
    await server.stop('fast');
    const { value, ms } = await timed(ana.post<GrantView>(`/v1/grants/${grant.id}/release`));
    expect(value.status).toBe(200);
    expect(ms).toBeLessThan(9_000);
    expect(value.result.state).toBe('ended');
    expect(value.result.credentials[0]?.state).toBe('ending');
    expect(value.result.credentials[0]?.proof).not.toMatch(/^proven/);
    expect((await issue()).error?.code).toBe('ended');
    expect(await metrics()).toMatch(/^oncall_jobs_due\{kind="credential"\} [1-9]/m);
    const retried = () =>
      target.installation.log.some((line) => /"failures":[2-9].*job will be tried again/.test(line));
    await waitFor(retried, { what: 'a second try', timeoutMs: 20_000 });
    await server.start();
    await allEnded();
    expect((await current()).credentials[0]?.proof).toMatch(/^proven/);
    expect(await target.canLogIn(handle)).toBe(false);
    expect(await metrics()).not.toMatch(/^oncall_jobs_due\{kind="credential"\}/m);
  }, 60_000);

  it('at the end of a long evening, for a moment, delays the proof by no more than a first failure does', async () => {
    await issue();
    // As if the credential had been renewed eight times: its timer fired and found a later end.
    const file = join(target.installation.directory, 'oncall.db');
    const store = await openSqliteStore({ file, now: Date.now });
    for (let renewal = 0; renewal < 8; renewal++) {
      await store.write(async (tx) => {
        for (const job of await tx.takeJobs(Date.now() + 5 * 3_600_000, 1, 100))
          await tx.retryJob(job, job.dueAt, '');
      });
    }
    await store.close();
    await server.stop('fast');
    await ana.post(`/v1/grants/${grant.id}/release`);
    await server.start();
    await allEnded(15_000);
  }, 60_000);

  it('that forgot a login says so at renewal, and the next credential works', async () => {
    const { credentialId, handle } = (await issue()).result;
    await target.database.sql(`DROP ROLE "${handle}"`);
    expect((await issue({ renews: credentialId })).error?.code).toBe('ended');
    expect((await current()).credentials.find(({ id }) => id === credentialId)?.state).not.toBe('live');
    const fresh = await issue();
    expect(fresh.status).toBe(200);
    expect(await target.canLogIn(fresh.result.handle)).toBe(true);
  });
});
