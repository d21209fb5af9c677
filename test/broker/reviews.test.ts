// Reviews of what was opened without a yes: who sees them, who closes them, and what an overdue one takes away.
import { beforeAll, beforeEach, expect, it } from 'vitest';
import type { GrantList, ReviewList, ReviewView, StatusReply } from '../../src/protocol/messages.ts';
import { waitFor } from '../support/temp.ts';
import {
  CHAINS,
  type ChainWorld,
  catalogueWith,
  MINUTE,
  type Person,
  startChainWorld,
} from './chain-world.ts';

const HOUR = 60 * MINUTE;
const REVIEWS = 'reviews: { owners: [group:data], due: 24h }';
const AUTOMATION = `
bundles: { night: { targets: [db] } }
automation: { night: { on: { alert: { service: orders, priority: [P1] } }, bundle: night } }
`;

let world: ChainWorld;
let incidents = 0;

beforeAll(async () => {
  world = await startChainWorld({ catalogue: catalogueWith(CHAINS, REVIEWS + AUTOMATION) });
  // What an alert opens by itself.
  const policy = world.installation.read('policies/starter.cedar');
  const rule = `@id("alert") permit (principal, action == Action::"grant", resource)
    when { resource.rank == 0 && context.incident.known && context.shift.known && context.shift.value.coversResource };`;
  world.installation.write('policies/starter.cedar', `${policy}${rule}`);
  await world.broker().reload();
});

beforeEach(async () => {
  for (const review of await list('carla'))
    if (review.state === 'open') await close('carla', review.id, 'justified');
  await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'next case' });
});

const list = async (by: Person) => (await world.get<ReviewList>(by, '/v1/reviews')).result.reviews;
const close = (by: Person, id: string, outcome: string, note = 'looked at the log') =>
  world.post<ReviewView>(by, `/v1/reviews/${id}/close`, { outcome, note });

/** ana was let in by override. */
async function opened(): Promise<ReviewView> {
  const request = await world.ask('override');
  world.pass(5 * MINUTE);
  await world.until(request.id, ({ state }) => state === 'granted', 'the override');
  const review = (await list('carla')).find(({ requestId }) => requestId === request.id);
  expect(review).toBeDefined();
  return review as ReviewView;
}

it('is seen by its owners, and by the one who is reviewed, and by nobody else', async () => {
  const { id, owners } = await opened();
  expect(owners).toEqual(['carla', 'eli']);
  const sees = async (by: Person) => (await list(by)).some((review) => review.id === id);
  expect([await sees('carla'), await sees('eli'), await sees('ana')]).toEqual([true, true, true]);
  expect([await sees('ben'), await sees('gus')]).toEqual([false, false]);
  const { result } = await world.get<StatusReply>('carla', '/v1/status');
  expect(result.reviews.map((review) => review.id)).toContain(id);
});

it('lists all of them only for whom policy lets', async () => {
  const { id } = await opened();
  expect((await world.get('ben', '/v1/reviews?all=true')).error?.code).toBe('forbidden');
  const { result } = await world.get<ReviewList>('dora', '/v1/reviews?all=true');
  expect(result.reviews.map((review) => review.id)).toContain(id);
});

it('is closed by whom policy lets review, too', async () => {
  const { id } = await opened();
  expect((await close('dora', id, 'justified')).result).toMatchObject({ state: 'closed', closedBy: 'dora' });
});

it('is closed once, by an owner, with an outcome and a note, on the record', async () => {
  const { id } = await opened();
  expect((await close('ana', id, 'justified')).error?.code).toBe('forbidden');
  expect((await close('ben', id, 'justified')).error?.code).toBe('not_found');
  expect((await close('carla', 'rev_nothing', 'justified')).error?.code).toBe('not_found');
  expect((await close('carla', id, 'fine')).error?.code).toBe('invalid_request');
  expect((await close('carla', id, 'justified', '')).error?.code).toBe('invalid_request');
  const { result, audit } = await close('carla', id, 'misuse', 'no incident was open');
  expect(result).toMatchObject({
    state: 'closed',
    outcome: 'misuse',
    note: 'no incident was open',
    closedBy: 'carla',
    overdue: false,
  });
  expect(audit).toBeDefined();
  expect((await close('eli', id, 'justified')).error?.code).toBe('conflict');
  expect((await list('carla')).some((review) => review.id === id)).toBe(false);
  const events = await world.events(id);
  expect(events).toEqual(['review.opened', 'review.closed']);
});

it('that is overdue takes away what opens by itself, and nothing that a person asks for', async () => {
  const { id } = await opened();
  expect((await readyAfterAlert()).length).toBeGreaterThan(0);
  await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'again' });

  world.pass(24 * HOUR + MINUTE);
  expect((await list('carla')).find((review) => review.id === id)?.overdue).toBe(true);
  const warned = async () => (await world.get<StatusReply>('ana', '/v1/status')).result.warnings.join();
  expect(await warned()).toContain('review');
  expect((await world.get<StatusReply>('ben', '/v1/status')).result.warnings).toEqual([]);
  expect(await readyAfterAlert(0)).toEqual([]);
  expect(await world.events('night')).toContain('automation.refused');
  const request = await world.ask('boss');
  expect((await world.approve('carla', request)).result.state).toBe('granted');

  await close('carla', id, 'justified');
  expect(await warned()).toBe('');
  expect((await readyAfterAlert()).length).toBeGreaterThan(0);
});

/** What is ready for ana after a P1 on the service. */
async function readyAfterAlert(atLeast = 1) {
  const id = `P1-${++incidents}`;
  expect((await world.post('dora', '/v1/incidents', { id, service: 'orders', priority: 'P1' })).status).toBe(
    200,
  );
  const ready = async () => {
    const { result } = await world.get<GrantList>('ana', '/v1/grants');
    const found = result.grants.filter((grant) => grant.state === 'ready');
    return found.length >= atLeast && { found };
  };
  return (await waitFor(ready, { what: 'what opens by itself' })).found;
}

it('may be closed by whoever owns reviews when it is closed, as by those who did when it was opened', async () => {
  const onDuty = 'reviews: { owners: ["schedule:backup level 2"], due: 72h }';
  world.installation.write('catalogue.yaml', catalogueWith(CHAINS, onDuty));
  await world.broker().reload();
  const request = await world.ask('override');
  world.pass(5 * MINUTE);
  await world.until(request.id, ({ state }) => state === 'granted', 'the override');
  const review = (await list('ana')).find(({ requestId }) => requestId === request.id);
  const [before] = review!.owners as Person[];
  const after = before === 'ben' ? 'carla' : 'ben';
  expect((await close(after, review!.id, 'justified')).error?.code).toBe('not_found');
  world.pass(24 * HOUR);
  expect((await list(before!)).some(({ id }) => id === review!.id)).toBe(true);
  expect((await close(after, review!.id, 'justified')).result.closedBy).toBe(after);
});
