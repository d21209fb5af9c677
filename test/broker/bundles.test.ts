// Several targets by one name, and by the incident alone.
import { describe, expect, it } from 'vitest';
import type { GrantView } from '../../src/protocol/messages.ts';
import { Evening } from './evening.ts';

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
      more: 'automation:\n  p1: { on: { alert: { service: orders, priority: P1 } }, bundle: wide }\n',
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
