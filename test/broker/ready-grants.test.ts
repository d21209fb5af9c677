// What an alert has made ready, and whoever it was made ready for.
import { describe, expect, it } from 'vitest';
import { Evening, HOUR, MINUTE, NIGHT } from './evening.ts';

const ALERT = 'orders: { on: { alert: { service: orders, priority: [P1, P2] } }, maxLevel: 2, bundle: wide }';
const rules = (...lines: string[]) => `automation:\n${lines.map((line) => `  ${line}\n`).join('')}`;

describe('what is ready', () => {
  it('is free until it is used, and its window begins with the first credential', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire');
    await evening.pass(HOUR);
    const [grant] = await evening.open('ana');
    const answer = await evening.issue('ana', grant!.id);
    expect(answer.status).toBe(200);
    expect(answer.result.grant).toMatchObject({ state: 'active', via: 'alert' });
    const after = await evening.grant(grant!.id);
    expect(after.startsAt).toBe(evening.clock.ms);
    expect(after.endsAt - after.startsAt).toBe(HOUR);
    expect(after.hardEndsAt - after.startsAt).toBe(3 * HOUR);
  });

  it('is decided in full when a device asks: a refusal says why, is recorded, and leaves it to another', async () => {
    const policy = `
@id("seasoned-devices") @because("a device must be a day old")
forbid (principal, action == Action::"grant", resource)
when { !context.device.known || context.device.value.enrolledSeconds < 86400 };`;
    const evening = await Evening.start({ more: rules(ALERT), policy, startsAt: NIGHT - 48 * HOUR });
    await evening.pass(48 * HOUR);
    const seasoned = evening.devices.get('ana')!;
    await evening.page('fire');
    const [grant] = await evening.open('ana');
    await evening.enrol('ana');
    const { status, error } = await evening.issue('ana', grant!.id);
    expect(status).toBe(403);
    expect(error).toMatchObject({ code: 'denied', hint: 'a device must be a day old' });
    expect(await evening.entries('credential.refused')).toHaveLength(1);
    expect((await evening.grant(grant!.id)).state).toBe('ready');
    evening.devices.set('ana', seasoned);
    expect((await evening.issue('ana', grant!.id)).status).toBe(200);
  });

  it('is nothing to a device that was revoked', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire');
    const [grant] = await evening.open('ana');
    await evening.post('dora', `/v1/devices/${evening.devices.get('ana')?.id}/revoke`);
    expect((await evening.issue('ana', grant!.id)).status).toBe(401);
    expect((await evening.grant(grant!.id)).state).toBe('ready');
  });

  it('is used by a request for it, not made a second time', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire');
    const before = await evening.open('ana');
    const { result } = await evening.ask('ana', { targets: [{ resource: 'wide' }], incident: '#4711' });
    expect(result.state).toBe('granted');
    expect(result.grants.map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort());
    expect(result.grants.every(({ state, held }) => state === 'active' && held)).toBe(true);
  });

  it('stays given back for the event that opened it', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire');
    for (const { id } of await evening.open('ana')) await evening.post('ana', `/v1/grants/${id}/release`);
    await evening.page('acknowledge', {}, evening.clock.ms + 1);
    await evening.page('change-priority', { priority: 'P2' }, evening.clock.ms + 2);
    for (let look = 0; look < 3; look++) await evening.pass(MINUTE);
    expect(await evening.names('ana')).toEqual([]);
  });

  it('of a person under an overdue review is withheld', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire');
    const [grant] = await evening.open('ana');
    const now = evening.clock.ms;
    await evening.store.write((tx) =>
      tx.insertReview({
        ...{ id: 'rev_1', kind: 'override', user: 'ana', requestId: null, grantId: null, owners: ['dora'] },
        ...{ resource: null, about: null },
        ...{ openedAt: now - HOUR, dueAt: now - 1, state: 'open', outcome: null, note: null },
        ...{ closedBy: null, closedAt: null },
      }),
    );
    expect((await evening.issue('ana', grant!.id)).error?.code).toBe('denied');
    await evening.page('fire', { id: 'Q2', number: 2 });
    expect((await evening.entries('automation.refused')).map(({ data }) => data.why)).toEqual([
      'a review is overdue',
    ]);
  });
});
