// The catalogue and the policy change while a request waits.
import { beforeAll, beforeEach, expect, it } from 'vitest';
import {
  CHAINS,
  type ChainWorld,
  catalogueWith,
  MINUTE,
  policyWith,
  startChainWorld,
} from './chain-world.ts';

let world: ChainWorld;

beforeAll(async () => {
  world = await startChainWorld();
});

async function reload(catalogue: string, policy = policyWith()): Promise<void> {
  world.installation.write('catalogue.yaml', catalogue);
  world.installation.write('policies/starter.cedar', policy);
  await world.broker().reload();
  const refused = world.installation.log.filter((line) => line.includes('the old ones stay in force'));
  expect(refused).toEqual([]);
}

beforeEach(async () => {
  await reload(catalogueWith());
  await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'next case' });
});

/** Without the rules that name the chain, which would not load without it. */
function withoutChain(chain: string): [catalogue: string, policy: string] {
  const { [chain]: _gone, ...chains } = CHAINS;
  const policy = policyWith().replaceAll(`@chain("${chain}")`, '@chain("second")');
  return [catalogueWith(chains), policy];
}

it('a chain that is gone opens nothing more, and the request ends with its time', async () => {
  const request = await world.ask('pair');
  await world.approve('ben', request);
  await reload(...withoutChain('pair'));
  expect(await world.show(request.id)).toMatchObject({ state: 'pending', waiting: [] });
  expect((await world.approve('carla', request)).error?.code).toBe('not_found');
  world.pass(60 * MINUTE);
  const { state } = await world.until(request.id, (view) => view.state !== 'pending', 'the expiry');
  expect(state).toBe('expired');
});

it('a chain that is gone ends the request when its timer is up', async () => {
  const request = await world.ask('steps');
  await reload(...withoutChain('steps'));
  world.pass(5 * MINUTE);
  const { state } = await world.until(request.id, (view) => view.state !== 'pending', 'the end');
  expect(state).toBe('denied');
});

it('a stage that is gone is not waited for', async () => {
  const request = await world.ask('steps');
  await reload(
    catalogueWith({ ...CHAINS, steps: '{ stages: [{ approvers: [ben], wait: 5m }], expires: 1h }' }),
  );
  world.pass(5 * MINUTE);
  const { state } = await world.until(request.id, (view) => view.state !== 'pending', 'the end');
  expect(state).toBe('denied');
});

it('whoever was taken off the chain may answer no more, and whoever was added may', async () => {
  const request = await world.ask('steps');
  await reload(
    catalogueWith({
      ...CHAINS,
      steps: '{ stages: [{ approvers: [dora], wait: 5m }, { approvers: [carla], wait: 10m }], expires: 1h }',
    }),
  );
  expect((await world.approve('ben', request)).error?.code).toBe('not_found');
  expect((await world.approve('dora', request)).result.state).toBe('granted');
});

it('the yes of somebody who has left counts no more', async () => {
  const request = await world.ask('pair');
  await world.approve('carla', request);
  const without = catalogueWith({ ...CHAINS, pair: '{ approvers: [ben, dora, eli], need: 2, expires: 1h }' });
  await reload(without);
  expect((await world.approve('ben', request)).result.state).toBe('pending');
  expect((await world.approve('dora', request)).result.state).toBe('granted');
});

it('opens nothing on the yes of a chain that policy does not ask for any more', async () => {
  const request = await world.ask('second');
  const moved = policyWith().replace(
    '@id("second-second") @because("asked on second") @chain("second")',
    '@id("second-second") @because("asked on second") @chain("pair")',
  );
  await reload(catalogueWith(), moved);
  const { result } = await world.approve('carla', request);
  expect(result).toMatchObject({ state: 'denied', grants: [] });
});
