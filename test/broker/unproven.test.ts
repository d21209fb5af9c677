// An end that cannot be proven: said within a minute or so, once, to those it concerns, and said again when it is over.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findUnproven } from '../../src/broker/unproven.ts';
import type {
  AuditPage,
  CredentialReply,
  GrantView,
  RequestView,
  StatusReply,
} from '../../src/protocol/messages.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { ReadTx, Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { part } from '../support/parts.ts';
import { ownServer } from '../support/postgres.ts';
import { startWebhookReceiver } from '../support/receivers.ts';
import { installWithTarget, material } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';
import { sshMaterial, withSsh } from './ssh-catalogue.ts';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

interface World {
  installation: Installation;
  store: Store;
  ana: TestDevice;
  ben: TestDevice;
  dora: TestDevice;
  /** Moves the broker's clock, and the devices'. */
  pass(ms: number): void;
  restartAfter(ms: number): Promise<void>;
}

async function startWorld(installation: Installation, env: Record<string, string> = {}): Promise<World> {
  let offset = 0;
  const now = () => Date.now() + offset;
  let broker = await installation.start({ now, env });
  const store = await openSqliteStore({ file: join(installation.directory, 'oncall.db'), now });
  atEnd(() => store.close());
  const enrol = (user: string) => enrolled(installation, user, () => Math.floor(now() / 1000));
  const [ana, ben, dora] = [await enrol('ana'), await enrol('ben'), await enrol('dora')];
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  const pass = (ms: number) => {
    offset += ms;
  };
  const restartAfter = async (ms: number) => {
    await broker.stop();
    pass(ms);
    broker = await installation.start({ now, env });
  };
  return { installation, store, ana, ben, dora, pass, restartAfter };
}

async function hold(
  { ana }: World,
  resource: string,
  kind: object,
): Promise<CredentialReply & { grant: GrantView }> {
  const { result } = await ana.post<RequestView>('/v1/requests', {
    targets: [{ resource }],
    incident: 'P1-1',
  });
  const path = `/v1/grants/${result.grants[0]?.id}/credentials`;
  return (await ana.post<CredentialReply>(path, { material: kind })).result;
}

const warnings = async (device: TestDevice) => (await device.get<StatusReply>('/v1/status')).result.warnings;

async function events(dora: TestDevice, name: string): Promise<{ subject: object; data: object }[]> {
  const { result } = await dora.get<AuditPage>('/v1/audit/entries');
  return result.entries.map(({ entry }) => JSON.parse(entry)).filter(({ event }) => event === name);
}

async function metric({ installation }: World, name: string): Promise<number> {
  const text = await (await fetch(`${installation.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** Lets the watch look once more, and waits until it has. */
async function look({ store, pass }: World): Promise<void> {
  pass(16_000);
  const nowMs = await store.now();
  await waitFor(async () => ((await store.read((tx) => tx.nextJobAt(0, ['unproven']))) ?? 0) > nowMs, {
    what: 'the watch',
  });
}

describe('the end of a login that cannot be proven', () => {
  it.skipIf(!part('postgres'))(
    'is told once within a minute and a quarter, and once more when it is proven',
    async () => {
      const server = await ownServer();
      const target = await installWithTarget({ database: await server.database(), credential: '10m' });
      const hook = await startWebhookReceiver({ secret: SECRET, now: Date.now });
      atEnd(hook.close);
      const catalogue = target.installation.read('catalogue.yaml');
      target.installation.write(
        'catalogue.yaml',
        `${catalogue}
notify:
  hook: { type: webhook, url: "${hook.url}", secret: { env: HOOK }, notices: [alarm] }
reviews: { owners: ["group:security"] }
`,
      );
      const world = await startWorld(target.installation, { HOOK: SECRET });
      const { ana, ben, dora } = world;
      const { handle, grant } = await hold(world, 'db-replica', material());
      await server.stop('crash');
      await ana.post(`/v1/grants/${grant.id}/release`);
      world.pass(25_000);
      await look(world);
      expect([await warnings(ana), await warnings(dora), await warnings(ben)]).toEqual([[], [], []]);
      expect(await metric(world, 'oncall_endings_unproven')).toBe(0);
      expect(await metric(world, 'oncall_ending_unproven_seconds')).toBe(0);

      world.pass(15_000);
      await look(world);
      const line = expect.stringContaining(`db-replica: the end of 1 login of ana is not proven (${handle})`);
      expect([await warnings(ana), await warnings(dora), await warnings(ben)]).toEqual([[line], [line], []]);
      expect(await metric(world, 'oncall_endings_unproven')).toBe(1);
      expect(await metric(world, 'oncall_ending_unproven_seconds')).toBeGreaterThan(60);
      await look(world);
      await look(world);
      expect(await events(dora, 'alarm.raised')).toMatchObject([
        {
          subject: { resource: 'db-replica', user: 'ana' },
          data: { kind: 'unproven', handles: [handle], count: 1 },
        },
      ]);

      await server.start();
      await waitFor(
        async () => {
          await look(world);
          return (await events(dora, 'alarm.cleared')).length > 0;
        },
        { what: 'the end of the alarm', timeoutMs: 25_000 },
      );
      expect([await warnings(ana), await warnings(dora)]).toEqual([[], []]);
      expect(await metric(world, 'oncall_endings_unproven')).toBe(0);
      const notices = await waitFor(
        () => {
          world.pass(1000);
          const told = hook.accepted.map(({ body }) => JSON.parse(body));
          return told.length > 1 && told;
        },
        { what: 'both notices' },
      );
      expect(notices).toMatchObject([
        { kind: 'alarm', who: 'ana', what: handle, to: [{ user: 'ana' }, { user: 'dora' }] },
        { kind: 'alarm', who: 'ana', title: expect.stringMatching(/^over: /) },
      ]);
    },
    60_000,
  );

  it('is no alarm while the target refuses the login by itself from a time on', async () => {
    const world = await startWorld(await install({ catalogue: withSsh() }));
    const { ana, dora, store } = world;
    const { grant, credentialId } = await hold(world, 'db-host', sshMaterial());
    await ana.post(`/v1/grants/${grant.id}/release`);
    const proof = async () => (await store.read((tx) => tx.credential(credentialId)))?.proof;
    await waitFor(proof, { what: 'the first try' });
    expect(await proof()).toMatchObject({ proof: { state: 'expires' } });
    world.pass(120_000);
    await look(world);
    expect(await warnings(dora)).toEqual([]);
    // What ended while no broker ran is no news.
    await world.restartAfter(300_000);
    await waitFor(async () => (await store.read((tx) => tx.credential(credentialId)))?.state === 'ended', {
      what: 'its own end',
    });
    await look(world);
    expect(await events(dora, 'alarm.raised')).toEqual([]);
  });

  it('is one where that time has come and gone, where nobody answered, and where the target says no', async () => {
    const nowMs = 1_000_000;
    const proofs = {
      'not yet': { state: 'expires', expiresAtMs: nowMs + 1 },
      'a moment ago': { state: 'expires', expiresAtMs: nowMs - 59_000 },
      'a minute ago': { state: 'expires', expiresAtMs: nowMs - 61_000 },
      'there still': { state: 'unproven', reason: 'the role exists (open)' },
      'no answer': undefined,
    };
    const rows = Object.entries(proofs).map(([id, proof]) => ({ id, proof: proof ? { proof } : null }));
    const tx = { credentials: async () => rows } as unknown as ReadTx;
    const found = await findUnproven(tx, nowMs);
    expect(found.map(({ id }) => id)).toEqual(['a minute ago', 'there still', 'no answer']);
  });
});
