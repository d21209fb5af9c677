// Nothing opened for an incident outlives it, and its window is as long as it needs.
import { describe, expect, it } from 'vitest';
import type { CredentialReply, RequestView } from '../../src/protocol/messages.ts';
import { enrolled } from '../support/device.ts';
import { part } from '../support/parts.ts';
import { installWithTarget, material } from '../support/target.ts';
import { waitFor } from '../support/temp.ts';
import { Evening, HOUR, MINUTE } from './evening.ts';
import { ROOT_AT_P1 } from './evening-catalogue.ts';
import { env, GRACE, inUse, people, WIDE } from './in-use.ts';

describe('a resolved incident', () => {
  it('ends what is ready at once, and what is used after a grace period that is announced and renewed in', async () => {
    const { evening, id, credential } = await inUse();
    await evening.pass(MINUTE);
    await evening.page('resolve');
    expect(await evening.names('ana')).toEqual(['db-host:shell active']);
    const graceEndsAt = evening.clock.ms + GRACE;
    const [view] = await evening.views('ana').then((all) => all.filter((one) => one.id === id));
    expect(view).toMatchObject({ state: 'active', graceCause: 'incident Q1ORDERSDOWN is resolved' });
    expect(Date.parse(view?.graceEndsAt ?? '')).toBe(graceEndsAt);
    expect(await evening.notices(id)).toEqual([`ending/${id}/${new Date(graceEndsAt).toISOString()}@hook`]);
    await evening.pass(7 * MINUTE);
    const renewed = await evening.issue('ana', id, credential.credentialId);
    expect(Date.parse(renewed.result.expiresAt)).toBe(graceEndsAt);
    expect((await evening.post('ana', `/v1/grants/${id}/extend`)).error?.code).toBe('denied');
    await evening.pass(3 * MINUTE);
    expect(await evening.grant(id)).toMatchObject({
      state: 'ended',
      endCause: 'incident Q1ORDERSDOWN is resolved',
      endedAt: graceEndsAt,
    });
    expect((await evening.issue('ana', id)).error?.code).toBe('ended');
  });

  it('that reopens within the grace period goes on, and after it is offered anew', async () => {
    const { evening, id } = await inUse();
    await evening.pass(MINUTE);
    await evening.page('resolve');
    await evening.pass(9 * MINUTE);
    await evening.page('reopen', { declarer: 'PCARLA' });
    await evening.pass(5 * MINUTE);
    expect(await evening.grant(id)).toMatchObject({ state: 'active', graceEndsAt: null });
    expect(await evening.names('ana')).toEqual(['db-host:shell active', 'db-web:shell ready']);
    await evening.page('resolve');
    await evening.pass(11 * MINUTE);
    expect(await evening.names('ana')).toEqual([]);
    await evening.page('reopen', { declarer: 'PCARLA' });
    expect(await evening.names('ana')).toEqual(['db-host:shell ready', 'db-web:shell ready']);
  });

  it('that its holder reopens gives them no more time', async () => {
    const { evening, id } = await inUse();
    await evening.pass(MINUTE);
    await evening.page('resolve');
    const { graceEndsAt } = await evening.grant(id);
    await evening.pass(MINUTE);
    await evening.page('reopen', { declarer: 'PANA' });
    expect(await evening.grant(id)).toMatchObject({ state: 'active', graceEndsAt });
    await evening.pass(9 * MINUTE);
    expect(await evening.names('ana')).toEqual([]);
  });

  it('that is one of several ends nothing: the last one does', async () => {
    const { evening, id } = await inUse();
    await evening.page('fire', { id: 'Q2', number: 2 });
    await evening.post('dora', '/v1/incidents', { id: 'P3-3', service: 'orders', priority: 'P3' });
    const again = await evening.ask('ana', { targets: [{ resource: 'db-host' }], incident: 'P3-3' });
    expect(again.result.grants).toMatchObject([
      { id, held: true, incidents: expect.arrayContaining(['P3-3']) },
    ]);
    await evening.pass(MINUTE);
    await evening.page('resolve');
    await evening.page('resolve', { id: 'Q2', number: 2 });
    expect((await evening.grant(id)).graceEndsAt).toBe(null);
    await evening.post('dora', '/v1/incidents/P3-3/resolve');
    expect((await evening.grant(id)).graceEndsAt).toBe(evening.clock.ms + GRACE);
  });

  it('lets go on in its grace period what is asked for again with another', async () => {
    const { evening, id } = await inUse();
    await evening.pass(MINUTE);
    await evening.page('resolve');
    await evening.post('dora', '/v1/incidents', { id: 'P2-2', service: 'orders', priority: 'P2' });
    const again = await evening.ask('ana', { targets: [{ resource: 'db-host' }], incident: 'P2-2' });
    expect(again.result.grants).toMatchObject([{ id, held: true }]);
    await evening.pass(11 * MINUTE);
    expect((await evening.grant(id)).state).toBe('active');
  });

  it('does not come back to life by a request just after its grace period', async () => {
    const { evening, id } = await inUse();
    await evening.pass(MINUTE);
    await evening.page('resolve');
    await evening.post('dora', '/v1/incidents', { id: 'P2-2', service: 'orders', priority: 'P2' });
    await evening.stop();
    evening.clock.ms += GRACE;
    await evening.restart();
    const { result } = await evening.ask('ana', { targets: [{ resource: 'db-host' }], incident: 'P2-2' });
    expect(result.grants[0]?.id).not.toBe(id);
    await evening.settle();
    expect((await evening.grant(id)).state).toBe('ended');
  });

  it.skipIf(!part('postgres'))('takes the login away at the target', async () => {
    const clock = { ms: Date.now() };
    const now = () => clock.ms;
    const target = await installWithTarget({ now });
    await target.installation.start({ now });
    const nowSeconds = () => Math.floor(now() / 1000);
    const ana = await enrolled(target.installation, 'ana', nowSeconds);
    const dora = await enrolled(target.installation, 'dora', nowSeconds);
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
    const { result } = await ana.post<RequestView>('/v1/requests', body);
    const path = `/v1/grants/${result.grants[0]?.id}/credentials`;
    const login = (await ana.post<CredentialReply>(path, { material: material() })).result;
    await dora.post('/v1/incidents/P1-1/resolve');
    clock.ms += 6 * MINUTE;
    const renewal = { material: material(), renews: login.credentialId };
    expect((await ana.post<CredentialReply>(path, renewal)).result.prolonged).toBe(true);
    expect(await target.canLogIn(login.handle)).toBe(true);
    clock.ms += 4 * MINUTE;
    await waitFor(async () => (await target.roles()).length === 0, { what: 'the end of the role' });
    expect(await target.canLogIn(login.handle)).toBe(false);
  });
});

describe('a priority that is lowered', () => {
  it('ends what it alone allowed, and leaves the rest', async () => {
    const more = `automation:
  low: { on: { alert: { service: orders } }, bundle: small }
  high: { on: { alert: { service: orders, priority: P1 } }, bundle: deep }
  urgent: { on: { alert: { service: orders, priority: P1 } }, bundle: wide }
`;
    const evening = await Evening.start({ more, people, policy: ROOT_AT_P1 });
    await evening.page('fire');
    expect(await evening.names('ana')).toEqual([
      'db-host:shell ready',
      'db-web:root ready',
      'db-web:shell ready',
    ]);
    for (const { id, resource, role } of await evening.open('ana'))
      if (resource === 'db-host' || role === 'root') await evening.issue('ana', id);
    await evening.page('change-priority', { priority: 'P3' }, evening.clock.ms + 1);
    expect(await evening.names('ana')).toEqual(['db-host:shell active']);
    expect((await evening.entries('grant.ended')).map(({ data }) => data.cause)).toEqual([
      'incident Q1ORDERSDOWN is P3 now',
      'incident Q1ORDERSDOWN is P3 now',
    ]);
  });
});

describe('a window that is about to end', () => {
  it('is made longer while the incident is open and its holder on call, up to its hard end', async () => {
    const { evening, id } = await inUse();
    const startsAt = evening.clock.ms;
    await evening.pass(45 * MINUTE);
    expect(await evening.grant(id)).toMatchObject({ endsAt: startsAt + 2 * HOUR, extensions: 1 });
    await evening.pass(55 * MINUTE);
    expect(await evening.grant(id)).toMatchObject({ endsAt: startsAt + 3 * HOUR, extensions: 2 });
    await evening.pass(65 * MINUTE);
    expect(await evening.notices(id)).toHaveLength(1);
    await evening.pass(15 * MINUTE);
    expect(await evening.grant(id)).toMatchObject({ state: 'ended', endedAt: startsAt + 3 * HOUR });
  });

  it('is not for an incident that its holder declared: they are warned', async () => {
    const evening = await Evening.start({ more: WIDE, env, people: ['ana', 'carla', 'dora'] });
    await evening.post('ana', '/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    const asked = await evening.ask('ana', { targets: [{ resource: 'db-host' }], incident: 'P1-1' });
    expect(asked.result.state).toBe('pending');
    const { id: request, digest } = asked.result;
    await evening.post('carla', `/v1/requests/${request}/approve`, { digest });
    const [grant] = await evening.open('ana');
    await evening.pass(46 * MINUTE);
    expect(await evening.grant(grant!.id)).toMatchObject({ extensions: 0 });
    expect(await evening.notices(grant!.id)).toHaveLength(1);
    await evening.pass(15 * MINUTE);
    expect(await evening.grant(grant!.id)).toMatchObject({ state: 'ended', endCause: 'window ended' });
  });
});
