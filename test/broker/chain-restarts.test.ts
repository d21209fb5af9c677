// Timers of chains over stops, deaths and several brokers: each stage begins once, each timer acts once, each notice arrives.
import { describe, expect, it } from 'vitest';
import type { RequestView, ReviewList } from '../../src/protocol/messages.ts';
import { readLog, spawnBroker } from '../support/one-life.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { type QuickWorld, quickAsk, showRequest, startQuickWorld } from './chain-processes.ts';
import { MINUTE, startChainWorld } from './chain-world.ts';
import { callAt, copyInstallation } from './second-broker.ts';

async function eventsOf({ dora }: Pick<QuickWorld, 'dora'>, id: string): Promise<string[]> {
  const entries = (await readLog(dora)).map(
    ({ entry }) => JSON.parse(entry) as { event: string; subject: Record<string, string> },
  );
  return entries.filter(({ subject }) => subject.request === id).map(({ event }) => event);
}

it('a timer that was due while no broker ran acts once, as soon as there is one again', async () => {
  const world = await startChainWorld();
  const request = await world.ask('steps');
  await world.restart(() => world.pass(6 * MINUTE));
  const second = await world.until(request.id, ({ waiting }) => waiting[0]?.stage === 2, 'the second stage');
  // Its time runs from when it was asked.
  expect(Date.parse(second.waiting[0]!.next!.at) - world.now()).toBe(10 * MINUTE);
  await world.restart();
  const events = await world.events(request.id);
  expect(events.filter((event) => event === 'request.asked')).toHaveLength(2);
  expect((await world.show(request.id)).waiting[0]?.stage).toBe(2);
});

const kinds = ['sqlite', 'postgres'] as const;
describe.skipIf(!part('postgres')).each(kinds)('two brokers on one %s store', (kind) => {
  it('ask each stage once, tell everybody once, and end each request once', async () => {
    const world = await startQuickWorld(kind);
    const { installation, ana } = world;
    const second = await copyInstallation(installation);
    const first = await spawnBroker(installation.directory);
    const other = await spawnBroker(second.directory);
    const asked = await Promise.all(
      Array.from({ length: 8 }, (_, at) => {
        const body = quickAsk('steps', `number ${at}`);
        const url = at % 2 === 0 ? installation.url : second.url;
        return callAt<RequestView>(url, ana, 'POST', '/v1/requests', body);
      }),
    );
    for (const { result } of asked) {
      const ended = async () => (await showRequest(ana, result.id)).state === 'denied';
      await waitFor(ended, { what: 'the end of its chain', timeoutMs: 20_000 });
      await waitFor(() => world.told(result.id).includes(`settled/${result.id}`), { what: 'what is told' });
    }
    await other.stop();
    for (const { result } of asked) {
      const events = await eventsOf(world, result.id);
      expect(events).toEqual(['request.pending', 'request.asked', 'request.asked', 'request.denied']);
      // Whose turn was over before they could be told is not woken.
      const told = world.told(result.id);
      const all = [0, 1].map((stage) => `approval/${result.id}/steps/${stage}`);
      all.push(`settled/${result.id}`);
      expect(all).toEqual(expect.arrayContaining(told));
      expect(new Set(told).size).toBe(told.length);
    }
    await first.stop();
  }, 60_000);
});

describe.concurrent('a broker that dies', () => {
  it.each([
    'before commit request.asked',
    'after commit request.asked',
    // One transaction: what is granted, and its review.
    'before commit request.overridden',
    'after commit review.opened',
  ])(
    '%s loses nothing, and what it had not told is told by the next',
    async (point) => {
      const world = await startQuickWorld('sqlite');
      const { installation, ana } = world;
      const broker = await spawnBroker(installation.directory, { point });
      // Whoever got no answer sends the same again.
      const options = { idempotencyKey: 'chain-restarts-0001' };
      const ask = () => ana.post<RequestView>('/v1/requests', quickAsk('override', 'fix the index'), options);
      await ask().catch(() => undefined);
      await waitFor(() => !broker.running, { what: `death ${point}` });
      const next = await spawnBroker(installation.directory);
      const { id } = (await ask()).result;
      const granted = async () => (await showRequest(ana, id)).state === 'granted';
      await waitFor(granted, { what: 'the override', timeoutMs: 60_000 });
      const { reviews } = (await ana.get<ReviewList>('/v1/reviews')).result;
      expect(reviews.map(({ requestId }) => requestId)).toEqual([id]);
      // Who was to be asked is not woken for what is settled.
      const needed = [`override/${id}`, `settled/${id}`];
      await waitFor(() => needed.every((one) => world.told(id).includes(one)), { what: 'what is told' });
      await waitFor(() => told(world, reviews[0]!.id), { what: 'the review' });
      const events = await eventsOf(world, id);
      for (const event of ['request.asked', 'request.overridden', 'grant.created', 'review.opened'])
        expect(events.filter((one) => one === event)).toHaveLength(1);
      await next.stop();
    },
    120_000,
  );
});

const told = ({ hook }: QuickWorld, reviewId: string) =>
  hook.accepted.some(({ body }) => body.includes(`"review/${reviewId}"`));
