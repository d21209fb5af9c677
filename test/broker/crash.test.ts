// A real broker process dies by SIGKILL at every point of issuing, renewing and ending; another takes over its folder. What
// was acknowledged is there, every login was recorded before it existed, and what was left behind is ended.
import { expect, it } from 'vitest';
import { verifyCheckpoint } from '../../src/audit/checkpoint.ts';
import { RootBuilder } from '../../src/audit/merkle.ts';
import { rawPublicKey } from '../../src/protocol/keys.ts';
import type { AuditPage, CredentialReply, GrantList, RequestView } from '../../src/protocol/messages.ts';
import { CRASH_POINTS, type CrashPoint } from '../support/crash-points.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { cleanEnvironment, startProcess, type TestProcess } from '../support/process.ts';
import { installWithTarget, material, type Target } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';

interface World {
  target: Target;
  ana: TestDevice;
  dora: TestDevice;
}

async function startWorld(): Promise<World> {
  const target = await installWithTarget({ credential: '20s' });
  const broker = await target.installation.start();
  const ana = await enrolled(target.installation, 'ana');
  const dora = await enrolled(target.installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  await broker.stop();
  return { target, ana, dora };
}

async function spawnBroker(directory: string, fault: object = {}): Promise<TestProcess> {
  const env = { ...cleanEnvironment(), ONCALL_TEST_FAULT: JSON.stringify(fault) };
  const broker = startProcess(process.execPath, ['dist/test/broker.js', directory], { env });
  await broker.waitForOutput('listening');
  return broker;
}

/** One grant's life; stops at the first call that the broker does not survive. What was acknowledged is kept. */
async function live(ana: TestDevice): Promise<{ grant?: string; handle?: string; released?: boolean }> {
  const seen: { grant?: string; handle?: string; released?: boolean } = {};
  try {
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
    const request = await ana.post<RequestView>('/v1/requests', body);
    seen.grant = request.result.grants[0]!.id;
    const issued = await ana.post<CredentialReply>(`/v1/grants/${seen.grant}/credentials`, {
      material: material(),
    });
    seen.handle = issued.result.handle;
    const renews = issued.result.credentialId;
    await ana.post(`/v1/grants/${seen.grant}/credentials`, { material: material(), renews });
    await ana.post(`/v1/grants/${seen.grant}/release`);
    seen.released = true;
  } catch {
    // The broker died in the middle of this call: nothing was acknowledged for it.
  }
  return seen;
}

async function checkInvariants(
  { target, ana, dora }: World,
  seen: Awaited<ReturnType<typeof live>>,
): Promise<void> {
  const { result } = await ana.get<GrantList>('/v1/grants');
  const grants = result.grants;
  if (seen.grant) expect(grants.map(({ id }) => id)).toContain(seen.grant);
  if (seen.released) expect(grants.find(({ id }) => id === seen.grant)?.state).toBe('ended');

  const page = (await dora.get<AuditPage>('/v1/audit/entries')).result;
  const recorded = page.entries.flatMap(
    ({ entry }) => (JSON.parse(entry) as { subject: { handle?: string } }).subject.handle ?? [],
  );
  for (const role of await target.roles()) expect(recorded).toContain(role);
  if (seen.handle) expect(recorded).toContain(seen.handle);

  const identity = (await (await fetch(`${target.installation.url}/v1/identity`)).json()) as {
    logKey: string;
    origin: string;
  };
  const { result: checkpoint } = await dora.get<{ checkpoint: string }>('/v1/audit/checkpoint');
  const { size, rootHash } = verifyCheckpoint(checkpoint.checkpoint, {
    origin: identity.origin,
    publicKey: rawPublicKey(identity.logKey),
  });
  const root = new RootBuilder();
  for (const { leafHash } of page.entries.slice(0, size)) root.append(Buffer.from(leafHash, 'base64url'));
  expect(Buffer.from(root.root()).toString('hex')).toBe(Buffer.from(rootHash).toString('hex'));

  // What is still held is given back; then nothing may be left at the target.
  for (const { id, state } of grants) if (state === 'active') await ana.post(`/v1/grants/${id}/release`);
  await waitFor(async () => (await target.roles()).length === 0, {
    what: 'the end of every login',
    timeoutMs: 40_000,
  });
}

it('survives SIGKILL between every two steps', async () => {
  const world = await startWorld();
  const { directory } = world.target.installation;
  const notReached: CrashPoint[] = [];
  for (const point of CRASH_POINTS) {
    const broker = await spawnBroker(directory, { point });
    const seen = await live(world.ana);
    await waitFor(() => !broker.running, { what: `death at ${point}`, timeoutMs: 5000 }).catch(() =>
      notReached.push(point),
    );
    await broker.stop();
    const next = await spawnBroker(directory);
    await checkInvariants(world, seen).catch((error: Error) => {
      throw new Error(`after death at '${point}': ${error.message}`, { cause: error });
    });
    await next.stop();
  }
  expect(notReached).toEqual([]);
}, 300_000);

it('makes no login when it was paused past its lease and then resumed', async () => {
  const world = await startWorld();
  const { directory } = world.target.installation;
  const broker = await spawnBroker(directory, { point: 'before target issue', pause: true });
  const call = live(world.ana);
  await broker.waitForOutput('fault');
  const other = await spawnBroker(directory).catch((error: Error) => error);
  // The other broker of the same folder cannot listen on the same port; the row is ended by whoever comes after the lease.
  expect(other).toBeInstanceOf(Error);
  await new Promise((resolve) => setTimeout(resolve, 16_000));
  broker.resume();
  await call;
  await waitFor(async () => (await world.target.roles()).length === 0, {
    what: 'no login',
    timeoutMs: 40_000,
  });
  await broker.stop();
}, 120_000);
