// One engineer's evening, for tests that kill the broker in its middle: what it did, what was acknowledged, and what must
// hold afterwards whatever happened.
import { expect } from 'vitest';
import { verifyCheckpoint } from '../../src/audit/checkpoint.ts';
import { RootBuilder } from '../../src/audit/merkle.ts';
import { rawPublicKey } from '../../src/protocol/keys.ts';
import type { AuditPage, CredentialReply, GrantList, RequestView } from '../../src/protocol/messages.ts';
import { enrolled, type TestDevice } from './device.ts';
import { cleanEnvironment, startProcess, type TestProcess } from './process.ts';
import { installWithTarget, material, type Target } from './target.ts';
import { waitFor } from './temp.ts';

export interface World {
  target: Target;
  ana: TestDevice;
  dora: TestDevice;
  /** Read so far. What follows must extend it, whatever died in between; and reading only that keeps a long run linear. */
  log: AuditPage['entries'];
}

/** What the broker acknowledged before it died. */
export interface Acknowledged {
  grant?: string;
  handle?: string;
  released?: boolean;
}

export async function startWorld(): Promise<World> {
  const target = await installWithTarget({ credential: '20s' });
  const broker = await target.installation.start();
  const ana = await enrolled(target.installation, 'ana');
  const dora = await enrolled(target.installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  await broker.stop();
  return { target, ana, dora, log: [] };
}

export async function spawnBroker(directory: string, fault: object = {}): Promise<TestProcess> {
  const env = { ...cleanEnvironment(), ONCALL_TEST_FAULT: JSON.stringify(fault) };
  const broker = startProcess(process.execPath, ['dist/test/broker.js', directory], { env });
  await broker.waitForOutput('listening', { timeoutMs: 30_000 });
  return broker;
}

/** Request, credential, renewal, release; ends at the first call that the broker does not survive. */
export async function liveOnce(ana: TestDevice): Promise<Acknowledged> {
  const seen: Acknowledged = {};
  try {
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
    const request = await ana.post<RequestView>('/v1/requests', body);
    seen.grant = request.result.grants[0]!.id;
    const path = `/v1/grants/${seen.grant}/credentials`;
    const issued = await ana.post<CredentialReply>(path, { material: material() });
    seen.handle = issued.result.handle;
    await ana.post(path, { material: material(), renews: issued.result.credentialId });
    const released = await ana.post(`/v1/grants/${seen.grant}/release`);
    seen.released = released.status === 200;
  } catch {
    // The broker died under this call: nothing was acknowledged for it.
  }
  return seen;
}

/** Nothing acknowledged is lost, every login was recorded before it existed, and the log is whole. */
export async function expectNothingLost(
  { target, ana, dora, log }: World,
  seen: Acknowledged,
): Promise<void> {
  const { result } = await ana.get<GrantList>('/v1/grants');
  if (seen.grant) expect(result.grants.map(({ id }) => id)).toContain(seen.grant);
  if (seen.released) expect(result.grants.find(({ id }) => id === seen.grant)?.state).toBe('ended');

  log.push(...(await readLog(dora, log.length)));
  const recorded = log.flatMap(
    ({ entry }) => (JSON.parse(entry) as { subject: { handle?: string } }).subject.handle ?? [],
  );
  for (const role of await target.roles()) expect(recorded).toContain(role);
  if (seen.handle) expect(recorded).toContain(seen.handle);
  await expectWholeLog(target.installation.url, dora, log);
}

/** Gives back what is still held, and waits until nothing is left at the target. */
export async function expectAllEnds({ target, ana }: World): Promise<void> {
  const { result } = await ana.get<GrantList>('/v1/grants');
  for (const { id, state } of result.grants)
    if (state === 'active') await ana.post(`/v1/grants/${id}/release`);
  const gone = async () => (await target.roles()).length === 0;
  await waitFor(gone, { what: 'the end of every login', timeoutMs: 60_000 });
}

export async function readLog(dora: TestDevice, from = 0): Promise<AuditPage['entries']> {
  const entries: AuditPage['entries'] = [];
  for (;;) {
    const next = from + entries.length;
    const { result } = await dora.get<AuditPage>(`/v1/audit/entries?from=${next}`);
    entries.push(...result.entries);
    if (result.entries.length === 0 || from + entries.length >= result.size) return entries;
  }
}

export async function expectWholeLog(
  url: string,
  dora: TestDevice,
  entries: AuditPage['entries'],
): Promise<void> {
  const identity = (await (await fetch(`${url}/v1/identity`)).json()) as { logKey: string; origin: string };
  const { result } = await dora.get<{ checkpoint: string }>('/v1/audit/checkpoint');
  const trusted = { origin: identity.origin, publicKey: rawPublicKey(identity.logKey) };
  const { size, rootHash } = verifyCheckpoint(result.checkpoint, trusted);
  const root = new RootBuilder();
  const newer = entries.length < size ? await readLog(dora, entries.length) : [];
  const covered = [...entries, ...newer].slice(0, size);
  for (const { leafHash } of covered) root.append(Buffer.from(leafHash, 'base64url'));
  expect(Buffer.from(root.root()).toString('hex')).toBe(Buffer.from(rootHash).toString('hex'));
}
