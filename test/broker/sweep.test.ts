// What exists at a target against what the store knows: each difference is set right or said, and nothing is taken for one that is none.
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningBroker } from '../../src/broker/broker.ts';
import type { Issuer, Survey } from '../../src/issuers/issuer.ts';
import type {
  AuditPage,
  CredentialReply,
  GrantView,
  RequestView,
  StatusReply,
} from '../../src/protocol/messages.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { part } from '../support/parts.ts';
import { type OwnServer, ownServer } from '../support/postgres.ts';
import { installWithTarget, material, type Target } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';
import { copyInstallation, startSecond } from './second-broker.ts';

interface Entry {
  event: string;
  subject: Record<string, string>;
  data: { handles?: string[]; count?: number; cause?: string };
}

const MALLORY = `oncall_mallory_${'0'.repeat(18)}`;

describe.skipIf(!part('postgres'))('a sweep', () => {
  let server: OwnServer;
  let target: Target;
  let broker: RunningBroker;
  let store: Store;
  let ana: TestDevice;
  let ben: TestDevice;
  let dora: TestDevice;
  let grant: GrantView;
  let surveys = 0;
  /** Stands between the target's answer and the broker, for one look. */
  let meanwhile: ((answer: Survey) => Promise<Survey>) | undefined;

  const decorate = {
    issuer: (real: Issuer): Issuer => ({
      ...real,
      async survey(resource, signal) {
        surveys += 1;
        const answer = await real.survey(resource, signal);
        const change = meanwhile;
        meanwhile = undefined;
        return change ? change(answer) : answer;
      },
    }),
  };

  beforeAll(async () => {
    server = await ownServer();
    target = await installWithTarget({ database: await server.database() });
    broker = await target.installation.start({ decorate });
    const file = join(target.installation.directory, 'oncall.db');
    store = await openSqliteStore({ file, now: Date.now });
    atEnd(() => store.close());
    ana = await enrolled(target.installation, 'ana');
    ben = await enrolled(target.installation, 'ben');
    dora = await enrolled(target.installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  });

  beforeEach(async () => {
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
    grant = (await ana.post<RequestView>('/v1/requests', body)).result.grants[0]!;
  });

  const issue = async (more: object = {}) =>
    ana.post<CredentialReply>(`/v1/grants/${grant.id}/credentials`, { material: material(), ...more });
  const release = () => ana.post<GrantView>(`/v1/grants/${grant.id}/release`);
  const poll = async () => (await store.read((tx) => tx.polls())).find(({ subject }) => subject === 'logins');
  const due = () =>
    store.write((tx) => tx.insertJob({ id: 'job_now', kind: 'sweep', subject: 'db-replica', dueAt: 0 }));
  const warnings = async (device: TestDevice) =>
    (await device.get<StatusReply>('/v1/status')).result.warnings;
  const metrics = async () => (await fetch(`${target.installation.url}/metrics`)).text();
  const stateOf = async (id: string) => (await store.read((tx) => tx.credential(id)))?.state;

  /** Looks, and resolves when what was found has been dealt with. */
  async function sweep(): Promise<void> {
    const before = (await poll())?.triedAt ?? 0;
    await due();
    await waitFor(async () => ((await poll())?.triedAt ?? 0) > before, { what: 'the sweep' });
  }

  async function entries(event: string): Promise<Entry[]> {
    const { result } = await dora.get<AuditPage>('/v1/audit/entries');
    return result.entries.map(({ entry }) => JSON.parse(entry) as Entry).filter((one) => one.event === event);
  }

  /** As the broker's own role makes them; comments say nothing. */
  async function recreate(...names: string[]): Promise<void> {
    const [{ broker } = { broker: '' }] = await target.database.sql<{ broker: string }>(
      "select rolname as broker from pg_roles where rolname like 'broker\\_%'",
    );
    for (const name of names)
      await target.database.sql(`set role "${broker}"; create role "${name}" login; reset role`);
  }

  it('leaves live logins alone, and finds nothing where all is as it should be', async () => {
    const { credentialId, handle } = (await issue()).result;
    await sweep();
    expect(await stateOf(credentialId)).toBe('live');
    expect(await target.canLogIn(handle)).toBe(true);
    expect(await entries('alarm.raised')).toEqual([]);
    expect(await warnings(dora)).toEqual([]);
    expect(await metrics()).toMatch(/^oncall_sweep_age_seconds\{resource="db-replica"\} \d/m);
    await release();
  });

  it('ends a login that the target has forgotten, so that its device gets another', async () => {
    const { credentialId, handle } = (await issue()).result;
    await target.database.sql(`drop role "${handle}"`);
    await sweep();
    await waitFor(async () => (await stateOf(credentialId)) === 'ended', { what: 'the proven end' });
    const ending = (await entries('credential.ending')).find(({ subject }) => subject.handle === handle);
    expect(ending?.data.cause).toBe('the target has forgotten it');
    const fresh = (await issue({ renews: credentialId })).result;
    expect(fresh.prolonged).toBe(false);
    expect(await target.canLogIn(fresh.handle)).toBe(true);
    await release();
  });

  it('ends again what had ended and is back, and says so to whom it concerns', async () => {
    const { handle } = (await issue()).result;
    await release();
    await recreate(handle);
    await sweep();
    expect(await target.roles()).toEqual([]);
    const raised = (await entries('alarm.raised')).filter(({ data }) => data.handles?.includes(handle));
    expect(raised.map(({ subject }) => subject)).toEqual([{ resource: 'db-replica', user: 'ana' }]);
    expect((await entries('alarm.cleared')).at(-1)?.data.handles).toEqual([handle]);
    expect((await entries('credential.ended')).at(-1)).toMatchObject({
      subject: { handle },
      data: { cause: 'found again' },
    });
    expect(await warnings(ana)).toEqual([]);
  });

  it('goes on saying so where it cannot end it', async () => {
    const { handle } = (await issue()).result;
    await release();
    // By the superuser: the broker's role may not drop it.
    await target.database.sql(`create role "${handle}" login`);
    await sweep();
    for (const device of [ana, dora])
      expect(await warnings(device)).toEqual([expect.stringContaining(`of ana that had ended (${handle})`)]);
    expect(await warnings(ben)).toEqual([]);
    await sweep();
    const raised = (await entries('alarm.raised')).filter(({ data }) => data.handles?.includes(handle));
    expect(raised).toHaveLength(1);
    await target.database.sql(`drop role "${handle}"`);
    await sweep();
    expect(await warnings(ana)).toEqual([]);
  });

  it('says what nobody here has issued, touches it never, and tells of each that comes', async () => {
    await recreate(`${MALLORY}1`);
    await sweep();
    await sweep();
    const ofMallory = async (event: string) =>
      (await entries(event)).filter(({ data }) => data.handles?.includes(`${MALLORY}1`));
    expect((await ofMallory('alarm.raised')).map(({ subject }) => subject)).toEqual([
      { resource: 'db-replica' },
    ]);
    expect(await warnings(dora)).toEqual([expect.stringContaining(`did not make (${MALLORY}1)`)]);
    expect([...(await warnings(ana)), ...(await warnings(ben))]).toEqual([]);
    expect(await metrics()).toMatch(/^oncall_orphans\{resource="db-replica"\} 1$/m);
    await recreate(`${MALLORY}2`);
    await sweep();
    expect((await ofMallory('alarm.raised')).map(({ data }) => data.count)).toEqual([1, 2]);
    const left = await target.database.sql('select rolname from pg_roles where rolname like $1', [
      `${MALLORY}%`,
    ]);
    expect(left).toHaveLength(2);
    await target.database.sql(`drop role "${MALLORY}1", "${MALLORY}2"`);
    await sweep();
    expect(await ofMallory('alarm.cleared')).toHaveLength(1);
    expect(await warnings(dora)).toEqual([]);
    expect(await metrics()).not.toMatch(/^oncall_orphans\{/m);
  });

  it('takes nothing of another installation at the same server for its own', async () => {
    const other = await installWithTarget({ database: await server.database() });
    await other.installation.start();
    const [theirs, theirAdmin] = [
      await enrolled(other.installation, 'ana'),
      await enrolled(other.installation, 'dora'),
    ];
    await theirAdmin.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
    const { result } = await theirs.post<RequestView>('/v1/requests', body);
    const path = `/v1/grants/${result.grants[0]?.id}/credentials`;
    const { handle } = (await theirs.post<CredentialReply>(path, { material: material() })).result;
    await sweep();
    expect(await warnings(dora)).toEqual([]);
    expect(await other.canLogIn(handle)).toBe(true);
  });

  it('finds no orphan in a login that ends while the target answers', async () => {
    const { handle } = (await issue()).result;
    const before = await entries('alarm.raised');
    let listed = false;
    meanwhile = async (answer) => {
      listed = answer.persists && answer.found.some((one) => one.handle === handle);
      await release();
      return answer;
    };
    await sweep();
    expect(listed).toBe(true);
    expect(await entries('alarm.raised')).toEqual(before);
  });

  it('ends nothing for being missing from a list that was cut, and tells of thousands in few words', async () => {
    const { credentialId } = (await issue()).result;
    const count = 5000;
    const found = Array.from({ length: count }, (_, n) => ({
      handle: `oncall_many_${String(n).padStart(19, '0')}`,
      isOurs: false,
      expiresAtMs: undefined,
      note: '',
    }));
    meanwhile = async () => ({ persists: true, found, isComplete: false });
    await sweep();
    expect(await stateOf(credentialId)).toBe('live');
    const raised = (await entries('alarm.raised')).at(-1);
    expect(raised?.data.count).toBe(count);
    expect(raised?.data.handles).toHaveLength(100);
    const [warning, ...rest] = await warnings(dora);
    expect(rest).toEqual([]);
    expect(warning?.length).toBeLessThan(500);
    await sweep();
    expect(await warnings(dora)).toEqual([]);
    await release();
  });

  it('finds nothing at a target that is down: no orphan, no end, and the administrators hear of it', async () => {
    const { credentialId } = (await issue()).result;
    const before = [await entries('alarm.raised'), await entries('credential.ending')];
    const seenAt = (await poll())?.succeededAt;
    await server.stop('crash');
    for (let tries = 0; tries < 3; tries++) await sweep();
    expect(await poll()).toMatchObject({ succeededAt: seenAt, failures: 3 });
    expect(await stateOf(credentialId)).toBe('live');
    expect([await entries('alarm.raised'), await entries('credential.ending')]).toEqual(before);
    expect(await warnings(dora)).toEqual([expect.stringContaining('db-replica has not been searched')]);
    expect(await warnings(ana)).toEqual([]);
    await server.start();
    await sweep();
    expect(await warnings(dora)).toEqual([]);
    expect(await stateOf(credentialId)).toBe('live');
    await release();
  });

  it('forgets what it said of a resource that has left the catalogue', async () => {
    await recreate(`${MALLORY}3`);
    await sweep();
    expect(await store.read((tx) => tx.alarms())).toHaveLength(1);
    const catalogue = target.installation.read('catalogue.yaml');
    target.installation.write('catalogue.yaml', catalogue.replaceAll('db-replica', 'db-other'));
    await broker.reload();
    await due();
    await waitFor(async () => (await store.read((tx) => tx.alarms())).length === 0, {
      what: 'the end of the alarm',
    });
    await target.database.sql(`drop role "${MALLORY}3"`);
    target.installation.write('catalogue.yaml', catalogue);
    await broker.reload();
  });

  it('is one broker’s work where two share a store', async () => {
    await startSecond(await copyInstallation(target.installation), { decorate });
    const before = surveys;
    for (let round = 0; round < 5; round++) await sweep();
    expect(surveys - before).toBe(5);
  });
});
