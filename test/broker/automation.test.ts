// What opens by itself when a shift starts or an alert fires, and for whom it does not.
import { describe, expect, it } from 'vitest';
import { Evening, HANDOVER, HOUR, MINUTE, NIGHT } from './evening.ts';
import { ROOT_AT_P1 } from './evening-catalogue.ts';

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
