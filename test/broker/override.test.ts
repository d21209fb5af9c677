// When nobody answers, and the catalogue says that it opens then: only where policy permits it, for whoever is on call.
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RequestView, ReviewList } from '../../src/protocol/messages.ts';
import { type ChainWorld, catalogueWith, MINUTE, policyWith, startChainWorld } from './chain-world.ts';

let world: ChainWorld;
const isSettled = ({ state }: RequestView) => state !== 'pending';

beforeAll(async () => {
  world = await startChainWorld();
});

beforeEach(async () => {
  world.installation.write('catalogue.yaml', catalogueWith());
  world.installation.write('policies/starter.cedar', policyWith());
  await world.broker().reload();
  await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'next case' });
});

const reviewsOf = async (id: string) =>
  (await world.get<ReviewList>('ana', '/v1/reviews')).result.reviews.filter(
    ({ requestId }) => requestId === id,
  );

describe('nobody has answered in time', () => {
  it('opens what policy lets be opened so, and a review of it by somebody else', async () => {
    const request = await world.ask('override');
    expect(request.waiting[0]?.next?.what).toBe('auto-override');
    world.pass(5 * MINUTE);
    const settled = await world.until(request.id, isSettled, 'the override');
    expect(settled).toMatchObject({ state: 'granted', grants: [{ via: 'override', state: 'active' }] });
    const [review, ...others] = await reviewsOf(request.id);
    expect(others).toEqual([]);
    expect(review).toMatchObject({ kind: 'override', user: 'ana', owners: ['carla'], state: 'open' });
    expect(Date.parse(review!.dueAt)).toBeGreaterThan(world.now());
    const events = await world.events(request.id);
    expect(events.filter((event) => event === 'request.overridden')).toHaveLength(1);
    expect(events.filter((event) => event === 'review.opened')).toHaveLength(1);
  });

  it.each([
    ['policy does not permit it', 'forbidden', 'ana'],
    ['whoever asked is not on call', 'override', 'gus'],
  ] as const)('opens nothing when %s', async (_why, role, by) => {
    const request = await world.ask(role, by);
    world.pass(5 * MINUTE);
    const settled = await world.until(request.id, isSettled, 'the refusal', by);
    expect(settled).toMatchObject({ state: 'denied', grants: [] });
    expect(await world.events(request.id)).not.toContain('review.opened');
  });

  it('opens nothing for a person whose yes came from a human in time', async () => {
    const request = await world.ask('override');
    world.pass(4 * MINUTE);
    const { result } = await world.approve('ben', request);
    expect(result).toMatchObject({ state: 'granted', grants: [{ via: 'approval' }] });
    world.pass(2 * MINUTE);
    await world.post('dora', '/v1/revoke', { user: 'nobody', reason: 'wake up' });
    expect(await reviewsOf(request.id)).toEqual([]);
  });

  it('stands for its own chain alone: another one still needs its yes', async () => {
    const request = await world.ask('mixed');
    world.pass(5 * MINUTE);
    const overridden = async () => (await world.events(request.id)).includes('request.overridden');
    await expect.poll(overridden, { timeout: 5000 }).toBe(true);
    expect(await world.show(request.id)).toMatchObject({ state: 'pending' });
    const { result } = await world.approve('carla', request);
    expect(result).toMatchObject({ state: 'granted', grants: [{ via: 'override' }] });
    expect(await reviewsOf(request.id)).toHaveLength(1);
  });

  it('counts a late yes of the chain that was overridden as the yes it is', async () => {
    const request = await world.ask('mixed');
    world.pass(5 * MINUTE);
    const overridden = async () => (await world.events(request.id)).includes('request.overridden');
    await expect.poll(overridden, { timeout: 5000 }).toBe(true);
    expect((await world.approve('ben', request)).result.state).toBe('pending');
    const { result } = await world.approve('carla', request);
    expect(result).toMatchObject({ state: 'granted', grants: [{ via: 'approval' }] });
    expect(await reviewsOf(request.id)).toEqual([]);
  });

  it('opens nothing when policy has stopped to permit it before the other chain said yes', async () => {
    const request = await world.ask('mixed');
    world.pass(5 * MINUTE);
    const overridden = async () => (await world.events(request.id)).includes('request.overridden');
    await expect.poll(overridden, { timeout: 5000 }).toBe(true);
    world.installation.write('policies/starter.cedar', policyWith([]));
    await world.broker().reload();
    const { result } = await world.approve('carla', request);
    expect(result).toMatchObject({ state: 'denied', grants: [] });
  });

  it('opens nothing when the request has expired while no broker ran', async () => {
    const request = await world.ask('override');
    await world.restart(() => world.pass(61 * MINUTE));
    const settled = await world.until(request.id, isSettled, 'the end');
    expect(settled).toMatchObject({ state: 'expired', grants: [] });
    expect(await reviewsOf(request.id)).toEqual([]);
  });

  it('opens nothing of a role that has left the catalogue, and ends', async () => {
    const request = await world.ask('override');
    const catalogue = world.installation.read('catalogue.yaml');
    const without = catalogue.replace('      override: { template: oncall_tpl_override }\n', '');
    expect(without).not.toBe(catalogue);
    world.installation.write('catalogue.yaml', without);
    const policy = policyWith().replaceAll('resource.name == "override"', 'resource.name like "over*"');
    world.installation.write('policies/starter.cedar', policy);
    await world.broker().reload();
    world.pass(5 * MINUTE);
    const settled = await world.until(request.id, isSettled, 'the end');
    expect(settled).toMatchObject({ state: 'denied', grants: [] });
  });
});
