// Every renewal is a fresh decision. One that is refused says why, and what is held ends no later than its own time says.
import { describe, expect, it } from 'vitest';
import type { CredentialReply, GrantView, RequestView, StatusReply } from '../../src/protocol/messages.ts';
import { type Answer, enrolled } from '../support/device.ts';
import { part } from '../support/parts.ts';
import { installWithTarget, material } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';
import { HANDOVER, MINUTE } from './evening.ts';
import { GRACE, inUse } from './in-use.ts';

const DRILL = `
@id("drill")
@because("a drill is on: nothing is renewed")
forbid (principal, action == Action::"renew", resource);
`;

async function hold(credential: string) {
  const target = await installWithTarget({ credential });
  const { installation } = target;
  const broker = await installation.start();
  const [ana, dora] = [await enrolled(installation, 'ana'), await enrolled(installation, 'dora')];
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
  const { result } = await ana.post<RequestView>('/v1/requests', body);
  const grant = result.grants[0]!;
  const issue = (renews?: string): Promise<Answer<CredentialReply>> =>
    ana.post(`/v1/grants/${grant.id}/credentials`, {
      material: material(),
      ...(renews !== undefined && { renews }),
    });
  const login = (await issue()).result;
  const renew = () => issue(login.credentialId);
  const gone = () =>
    waitFor(async () => (await target.roles()).length === 0, {
      what: 'the end of the role',
      timeoutMs: 20_000,
    });
  return { target, installation, broker, ana, dora, grant, login, renew, gone };
}

describe.skipIf(!part('postgres'))('a renewal', () => {
  it('that policy refuses now says so; what is held lasts to its own end, and no longer', async () => {
    const { target, installation, broker, ana, grant, login, renew, gone } = await hold('12s');
    installation.write('policies/starter.cedar', `${installation.read('policies/starter.cedar')}${DRILL}`);
    await broker.reload();
    expect((await renew()).error).toMatchObject({
      code: 'denied',
      hint: 'a drill is on: nothing is renewed',
    });
    expect(await target.canLogIn(login.handle)).toBe(true);
    await waitFor(async () => !(await target.canLogIn(login.handle)), {
      what: 'the end of its own time',
      timeoutMs: 20_000,
    });
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(login.expiresAt));
    await gone();
    const shown = async () => (await ana.get<StatusReply>('/v1/status')).result.grants[0];
    await waitFor(async () => (await shown())?.credentials[0]?.state === 'ended', { what: 'its proven end' });
    expect(await shown()).toMatchObject({ id: grant.id, state: 'active' });
  }, 60_000);

  it('from a device that was revoked is not recognised, and the login has gone', async () => {
    const { target, ana, dora, login, renew, gone } = await hold('10m');
    await dora.post(`/v1/devices/${ana.id}/revoke`);
    const refused = await renew();
    expect({ status: refused.status, code: refused.error?.code }).toEqual({
      status: 401,
      code: 'unauthenticated',
    });
    await gone();
    expect(await target.canLogIn(login.handle)).toBe(false);
  });

  it('on a resource that has left the catalogue is over, and the login has gone', async () => {
    const { target, installation, broker, login, renew, gone } = await hold('10m');
    const catalogue = installation.read('catalogue.yaml');
    installation.write('catalogue.yaml', catalogue.replaceAll('db-replica', 'db-other'));
    await broker.reload();
    expect((await renew()).error).toMatchObject({
      code: 'ended',
      message: expect.stringContaining('has left the catalogue'),
    });
    await gone();
    expect(await target.canLogIn(login.handle)).toBe(false);
  });

  it('that was revoked by an administrator says so', async () => {
    const { dora, grant, renew, gone } = await hold('10m');
    await dora.post<GrantView>('/v1/revoke', { grants: [grant.id], reason: 'a lost laptop' });
    expect((await renew()).error).toMatchObject({
      code: 'ended',
      message: expect.stringContaining('revoked'),
    });
    await gone();
  });
});

describe('a renewal', () => {
  it('after the grace period of an incident that is resolved says which, and the last one reached no further', async () => {
    const { evening, id, credential } = await inUse();
    await evening.page('resolve');
    const graceEndsAt = evening.clock.ms + GRACE;
    await evening.pass(GRACE - MINUTE);
    const last = await evening.issue('ana', id, credential.credentialId);
    expect(Date.parse(last.result.expiresAt)).toBe(graceEndsAt);
    await evening.pass(MINUTE);
    const refused = await evening.issue('ana', id, last.result.credentialId);
    expect(refused.error).toMatchObject({
      code: 'ended',
      message: expect.stringContaining('incident Q1ORDERSDOWN is resolved'),
    });
  });

  it('after the grace period of a shift that is over says so, and the last one reached no further', async () => {
    const { evening, id, credential } = await inUse({ startsAt: HANDOVER - MINUTE });
    await evening.pass(GRACE);
    const last = await evening.issue('ana', id, credential.credentialId);
    expect(Date.parse(last.result.expiresAt)).toBe(HANDOVER + GRACE);
    await evening.pass(MINUTE);
    const refused = await evening.issue('ana', id, last.result.credentialId);
    expect(refused.error).toMatchObject({
      code: 'ended',
      message: expect.stringContaining('the shift is over'),
    });
  });
});
