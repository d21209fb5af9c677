// What opens by itself when a shift starts or an alert fires, and for whom it does not.
import { describe, expect, it } from 'vitest';
import type { GrantView } from '../../src/protocol/messages.ts';
import { Evening, HANDOVER, HOUR, MINUTE, NIGHT, ROOT_AT_P1 } from './evening.ts';

const ALERT = 'orders: { on: { alert: { service: orders, priority: [P1, P2] } }, maxLevel: 2, bundle: wide }';
const rules = (...lines: string[]) => `automation:\n${lines.map((line) => `  ${line}\n`).join('')}`;
const READY = ['db-host:shell ready', 'db-web:shell ready'];

describe('an alert that a rule matches', () => {
  it('makes the bundle ready for each person on call at the level, bound to the incident and the shift', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire');
    for (const user of ['ana', 'carla']) expect(await evening.names(user)).toEqual(READY);
    expect(await evening.names('ben')).toEqual([]);
    const [view] = await evening.views('ana');
    expect(view).toMatchObject({
      via: 'alert',
      rule: 'orders',
      incidents: ['Q1ORDERSDOWN'],
      credentials: [],
    });
    expect(Date.parse(view?.endsAt ?? '')).toBe(HANDOVER);
    const [grant] = await evening.open('ana');
    expect(grant).toMatchObject({ shiftSchedule: 'orders-primary', shiftLevel: 1, shiftEndsAt: HANDOVER });
    expect(await evening.notices()).toEqual([]);
  });

  it('opens nothing for a level, a priority, a label or a service that the rule does not name', async () => {
    const evening = await Evening.start({
      more: rules(
        'first: { on: { alert: { service: orders } }, bundle: small }',
        'labelled: { on: { alert: { service: orders, labels: { team: dba } } }, bundle: wide }',
        'urgent: { on: { alert: { service: orders, priority: P1 } }, bundle: wide }',
      ),
    });
    await evening.alert('fire', { id: 'other', service: 'nobodys', priority: 'P1' });
    expect(await evening.names('ana')).toEqual([]);
    await evening.alert('fire', { id: 'plain', priority: 'P3', labels: { team: 'web' } });
    expect(await evening.names('ana')).toEqual(['db-host:shell ready']);
    expect(await evening.names('carla')).toEqual([]);
    await evening.alert('fire', { id: 'labelled', priority: 'P3', labels: { team: 'dba' } });
    expect(await evening.names('ana')).toEqual(READY);
  });

  it('opens what a higher priority opens once it is raised, and nothing twice', async () => {
    const evening = await Evening.start({
      more: rules(
        'low: { on: { alert: { service: orders } }, bundle: small }',
        'high: { on: { alert: { service: orders, priority: P1 } }, bundle: wide }',
      ),
    });
    await evening.page('fire', { priority: 'P3' });
    const [first] = await evening.open('ana');
    await evening.page('change-priority', { priority: 'P1' }, evening.clock.ms + 1);
    const open = await evening.open('ana');
    expect(open.map(({ resource }) => resource)).toEqual(['db-host', 'db-web']);
    expect(open[0]?.id).toBe(first?.id);
  });

  it('reaches a person without a device, who uses it with their first', async () => {
    const evening = await Evening.start({ more: rules(ALERT), people: ['dora'] });
    await evening.page('fire');
    const [grant] = await evening.open('ana');
    await evening.enrol('ana');
    expect((await evening.issue('ana', grant!.id)).status).toBe(200);
  });

  it('opens nothing wider than the narrowest role where its source is not trusted', async () => {
    const deep = 'deep: { on: { alert: { service: orders } }, bundle: deep }';
    const evening = await Evening.start({ more: rules(ALERT, deep), policy: ROOT_AT_P1 });
    await evening.alert('fire', {}, 'guest');
    expect(await evening.names('ana')).toEqual(READY);
    await evening.alert('fire', { id: 'trusted' });
    expect(await evening.names('ana')).toEqual([
      'db-host:shell ready',
      'db-web:root ready',
      'db-web:shell ready',
    ]);
  });
});

describe('a shift that starts', () => {
  const SHIFT = 'morning: { on: { shift: orders-primary }, bundle: wide }';
  const policy = `
@id("on-call-reads") @because("you are on call")
permit (principal, action == Action::"grant", resource)
when { context.shift.known && context.shift.value.coversResource && resource.rank == 0 };`;

  it('makes its bundle ready until it ends, for whoever it is, and the next one for the next', async () => {
    const evening = await Evening.start({ more: rules(SHIFT), policy });
    expect(await evening.names('ana')).toEqual(READY);
    expect(await evening.open('ana')).toMatchObject([
      { via: 'shift', rule: 'morning', endsAt: HANDOVER, shiftEndsAt: HANDOVER },
      { via: 'shift' },
    ]);
    expect(await evening.names('carla')).toEqual([]);
    await evening.pass(HANDOVER - NIGHT);
    expect(await evening.names('ana')).toEqual([]);
    expect(await evening.names('ben')).toEqual(READY);
  });

  it('lasts as long as a long shift does, though nobody uses it', async () => {
    const carla = SHIFT.replace('bundle', 'maxLevel: 2, bundle');
    const evening = await Evening.start({ more: rules(carla), policy });
    await evening.pass(50 * HOUR);
    expect(await evening.names('carla')).toEqual(READY);
  });

  it('keeps what it opened when an incident that was added to it is over', async () => {
    const evening = await Evening.start({ more: rules(SHIFT, ALERT), policy });
    await evening.page('fire');
    expect(await evening.open('ana')).toMatchObject([{ via: 'shift' }, { via: 'shift' }]);
    await evening.pass(MINUTE);
    await evening.page('resolve');
    await evening.pass(HOUR);
    expect(await evening.names('ana')).toEqual(READY);
    expect(await evening.names('carla')).toEqual([]);
  });
});

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

describe('nobody gets it twice', () => {
  it('from one delivery sent again, a second one about the same, or the watch', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire');
    await evening.page('fire', {}, evening.clock.ms + 1);
    for (let look = 0; look < 3; look++) await evening.pass(MINUTE);
    await evening.restart();
    await evening.settle();
    const made = await evening.store.read((tx) => tx.grants({ user: 'ana', limit: 100 }));
    expect(made).toHaveLength(2);
    expect(await evening.entries('grant.ready')).toHaveLength(4);
  });
});

describe('what policy does not grant', () => {
  it('is not opened, by no half of a bundle, and recorded once however often it is looked at', async () => {
    const deep = 'deep: { on: { alert: { service: orders } }, bundle: mixed }';
    const more = `  mixed: { targets: ["db-host:shell", "db-host:root"] }\n${rules(deep)}`;
    const evening = await Evening.start({ more });
    await evening.page('fire');
    for (let look = 0; look < 3; look++) await evening.pass(MINUTE);
    await evening.restart();
    await evening.pass(MINUTE);
    expect(await evening.names('ana')).toEqual([]);
    expect(await evening.entries('automation.refused')).toMatchObject([
      { subject: { rule: 'deep', user: 'ana' } },
    ]);
  });
});

describe('an incident that its beneficiary declared', () => {
  it('gives nothing by itself to the person whom its source names', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('fire', { declarer: 'PANA' });
    // The words that follow name somebody else, or nobody.
    await evening.page('acknowledge', { assignees: ['PCARLA'] }, evening.clock.ms + 1);
    await evening.page('change-priority', { priority: 'P2' }, evening.clock.ms + 2);
    expect(await evening.names('ana')).toEqual([]);
    expect(await evening.names('carla')).toEqual(READY);
  });

  it('gives nothing to anybody who may be the stranger that declared it', async () => {
    const evening = await Evening.start({ more: rules(ALERT), startsAt: HANDOVER + HOUR });
    await evening.page('fire', { declarer: 'PSTRANGER', startedAtMs: HANDOVER });
    // Ben is not mapped at this source: he may be PSTRANGER. Carla is somebody else.
    expect(await evening.names('ben')).toEqual([]);
    expect(await evening.names('carla')).toEqual(READY);
  });

  it('takes back what was ready once its declarer is known', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.page('acknowledge', {}, evening.clock.ms);
    expect(await evening.names('ana')).toEqual(READY);
    await evening.page('fire', { declarer: 'PANA' }, evening.clock.ms - MINUTE);
    expect(await evening.names('ana')).toEqual([]);
    expect(await evening.names('carla')).toEqual(READY);
  });

  it('gives nothing for one declared by hand, and the others theirs', async () => {
    const evening = await Evening.start({ more: rules(ALERT) });
    await evening.post('ana', '/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    await evening.settle();
    expect(await evening.names('ana')).toEqual([]);
    expect(await evening.names('carla')).toEqual(READY);
  });
});

describe('a request for a bundle', () => {
  const grantsOf = (grants: readonly GrantView[]) =>
    grants.map(({ target }) => `${target.resource}:${target.role}`);

  it('opens all of its parts by one decision', async () => {
    const evening = await Evening.start();
    await evening.page('fire');
    const { result } = await evening.ask('ana', {
      targets: [{ resource: 'wide' }],
      incident: 'Q1ORDERSDOWN',
    });
    expect(result).toMatchObject({ state: 'granted', bundle: 'wide' });
    expect(grantsOf(result.grants)).toEqual(['db-host:shell', 'db-web:shell']);
  });

  it('opens nothing where one part is denied', async () => {
    const policy = `
@id("not-the-web") @because("the web hosts are closed tonight")
forbid (principal, action, resource) when { resource has resourceName && resource.resourceName == "db-web" };`;
    const evening = await Evening.start({ policy });
    await evening.page('fire');
    const { result } = await evening.ask('ana', {
      targets: [{ resource: 'wide' }],
      incident: 'Q1ORDERSDOWN',
    });
    expect(result.state).toBe('denied');
    expect(await evening.names('ana')).toEqual([]);
  });

  it('is made by naming the incident alone: the bundles of the rules that match it, else its service’s', async () => {
    const evening = await Evening.start({
      more: rules('p1: { on: { alert: { service: orders, priority: P1 } }, bundle: wide }'),
    });
    await evening.page('fire', { declarer: 'PCARLA' });
    const matched = await evening.ask('carla', { incident: '#4711' });
    expect(matched.result.targets.map(({ target }) => target.resource)).toEqual(['db-host', 'db-web']);
    await evening.page('fire', { id: 'Q2', number: 12, priority: 'P4' });
    const own = await evening.ask('ana', { incident: '12' });
    expect(own.result).toMatchObject({ state: 'granted', bundle: 'small' });
    await evening.page('fire', { id: 'Q3', number: 13, service: 'PNOBODYS' });
    expect((await evening.ask('ana', { incident: '13' })).error?.code).toBe('not_found');
    expect((await evening.ask('ana', {})).error?.code).toBe('usage');
  });
});
