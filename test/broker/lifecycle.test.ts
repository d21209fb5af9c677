import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CredentialReply, GrantView, RequestView } from '../../src/protocol/messages.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { installWithTarget, material, PASSWORD, type Target } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';

let target: Target;
let ana: TestDevice;
let dora: TestDevice;

beforeAll(async () => {
  target = await installWithTarget({ credential: '10s' });
  await target.installation.start();
  ana = await enrolled(target.installation, 'ana');
  dora = await enrolled(target.installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
});

async function grantFor(device: TestDevice): Promise<GrantView> {
  const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
  const { result } = await device.post<RequestView>('/v1/requests', body);
  return result.grants[0]!;
}

const issue = (device: TestDevice, grant: string, more: object = {}) =>
  device.post<CredentialReply>(`/v1/grants/${grant}/credentials`, { material: material(), ...more });

describe('a credential', () => {
  it('logs in until it is released; then it is refused, its session is cut, and its absence is proven', async () => {
    const grant = await grantFor(ana);
    const { result } = await issue(ana, grant.id);
    expect(await target.canLogIn(result.handle)).toBe(true);
    const session = new pg.Client({ connectionString: target.database.urlFor(result.handle, PASSWORD) });
    await session.connect();
    const cut = new Promise((resolve) => session.on('error', resolve));
    const released = await ana.post<GrantView>(`/v1/grants/${grant.id}/release`);
    expect(released.result.state).toBe('ended');
    expect(released.result.credentials[0]).toMatchObject({
      state: 'ended',
      proof: expect.stringMatching(/^proven/),
    });
    await cut;
    expect(await target.canLogIn(result.handle)).toBe(false);
    expect(await target.roles()).toEqual([]);
  });

  it('is prolonged by a renewal: the same login, a later end', async () => {
    const grant = await grantFor(ana);
    const first = (await issue(ana, grant.id)).result;
    const second = (await issue(ana, grant.id, { renews: first.credentialId })).result;
    expect(second).toMatchObject({ credentialId: first.credentialId, handle: first.handle, prolonged: true });
    expect(Date.parse(second.expiresAt)).toBeGreaterThanOrEqual(Date.parse(first.expiresAt));
    expect(Date.parse(second.issuedAt)).toBeGreaterThan(Date.parse(first.issuedAt));
    expect(Date.parse(second.expiresAt) - Date.parse(second.issuedAt)).toBeLessThanOrEqual(10_000);
    expect(await target.canLogIn(first.handle)).toBe(true);
    const metrics = await (await fetch(`${target.installation.url}/metrics`)).text();
    expect(metrics).toMatch(/^oncall_renewals_total\{kind="postgres",outcome="prolonged"\} 1$/m);
    expect(metrics).toMatch(/^oncall_grants\{state="active",via="policy"\} 1$/m);
    await ana.post(`/v1/grants/${grant.id}/release`);
  });

  it('of one device is not another one of the same person', async () => {
    const other = await enrolled(target.installation, 'ana');
    const grant = await grantFor(ana);
    const mine = (await issue(ana, grant.id)).result;
    const theirs = (await issue(other, grant.id, { renews: mine.credentialId })).result;
    expect(theirs.handle).not.toBe(mine.handle);
    await ana.post(`/v1/devices/${other.id}/revoke`);
    await waitFor(async () => !(await target.canLogIn(theirs.handle)), {
      what: 'the end of the other device',
    });
    expect(await target.canLogIn(mine.handle)).toBe(true);
    await ana.post(`/v1/grants/${grant.id}/release`);
  });

  it('is refused with a verifier of any other form, and nothing is made', async () => {
    const grant = await grantFor(ana);
    for (const verifier of [
      'plain',
      'md5abc',
      `${material().verifier} `,
      "SCRAM-SHA-256$4096:'; DROP ROLE x$a:b",
    ]) {
      const answer = await ana.post(`/v1/grants/${grant.id}/credentials`, {
        material: { kind: 'postgres', verifier },
      });
      expect(answer.status).toBeGreaterThanOrEqual(400);
    }
    expect(await target.roles()).toEqual([]);
    await ana.post(`/v1/grants/${grant.id}/release`);
  });

  it('replaces what the device had under the grant when it is asked for anew', async () => {
    const grant = await grantFor(ana);
    const lost = (await issue(ana, grant.id)).result;
    const fresh = (await issue(ana, grant.id)).result;
    expect(fresh.handle).not.toBe(lost.handle);
    await waitFor(async () => !(await target.canLogIn(lost.handle)), { what: 'the end of the lost login' });
    expect(await target.canLogIn(fresh.handle)).toBe(true);
    await ana.post(`/v1/grants/${grant.id}/release`);
  });

  it('is not given once the grant was released', async () => {
    const grant = await grantFor(ana);
    await ana.post(`/v1/grants/${grant.id}/release`);
    expect((await issue(ana, grant.id)).error?.code).toBe('ended');
  });

  it('ends by itself at its time', async () => {
    const grant = await grantFor(ana);
    const { result } = await issue(ana, grant.id);
    await waitFor(async () => (await target.roles()).length === 0, {
      what: 'the end of its time',
      timeoutMs: 45_000,
    });
    expect(await target.canLogIn(result.handle)).toBe(false);
    await ana.post(`/v1/grants/${grant.id}/release`);
  }, 60_000);

  it('is recorded before it exists, and the log verifies', async () => {
    const { result } = await dora.get<{ entries: { entry: string }[] }>('/v1/audit/entries');
    const events = result.entries.map(
      ({ entry }) => JSON.parse(entry) as { event: string; subject: { handle?: string } },
    );
    for (const handle of new Set(events.flatMap(({ subject }) => subject.handle ?? []))) {
      const mine = events.filter(({ subject }) => subject.handle === handle).map(({ event }) => event);
      expect(mine[0]).toBe('credential.issuing');
    }
  });
});
