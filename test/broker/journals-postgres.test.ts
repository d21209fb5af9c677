// Reconciling with two brokers on one PostgreSQL store: what reaches both at once is one journal.
import { beforeAll, describe, expect, it } from 'vitest';
import type { JournalReply } from '../../src/protocol/messages.ts';
import { part } from '../support/parts.ts';
import { JournalWorld } from './journal-world.ts';
import { callAt, copyInstallation, startSecond } from './second-broker.ts';

describe.skipIf(!part('postgres'))('on a PostgreSQL store with two brokers', () => {
  let world: JournalWorld;
  let second: string;

  beforeAll(async () => {
    world = await JournalWorld.start({ postgres: true });
    const copy = await copyInstallation(world.installation);
    await startSecond(copy, { env: { HOOK: 'whsec_c2VjcmV0LW9mLXRoZS1ob29r' } });
    second = copy.url;
  });

  it('a page that comes to both at once is taken once, and two openings open two reviews', async () => {
    const journal = world.journal();
    const [one, other] = [await world.pack(), await world.pack()];
    const reason = 'a\u0000b';
    await journal.breakGlass({ pack: one.id, slot: world.slotNow, reason });
    await journal.breakGlass({ pack: other.id, slot: world.slotNow });
    const { lines } = journal;
    const at = [world.installation.url, second, world.installation.url, second];
    const replies = await Promise.all(
      at.map((url) => callAt<JournalReply>(url, world.ana, 'POST', '/v1/break-glass/journal', { lines })),
    );
    for (const { status, result } of replies) {
      expect(status).toBe(200);
      expect(result).toMatchObject({ ...journal.head, broken: null });
      expect(result.reviews).toHaveLength(2);
    }
    for (const [type, count] of Object.entries({ begin: 2, outage: 2, open: 2, use: 2, close: 2 }))
      expect(await world.entries(`journal.${type}`)).toHaveLength(count);
    const uses = (await world.reviews()).map(({ use }) => use);
    expect(uses.map((use) => use?.pack).sort()).toEqual([one.id, other.id].sort());
    expect(uses.find((use) => use?.pack === one.id)).toMatchObject({ reason: 'a b', tools: ['psql'] });
    expect((await world.asWritten(world.ana, journal.head.seq)).status).toBe(200);
  });

  it('a journal that breaks at one is broken at the other, until somebody has decided', async () => {
    const journal = world.journal(world.ben);
    await journal.write({ type: 'use', pack: 'bg_none', slot: 0, tool: 'psql' });
    expect((await world.upload(journal)).result.broken).toMatch(/not opened/);
    const seen = () => callAt<JournalReply>(second, world.ben, 'GET', '/v1/break-glass/journal', undefined);
    expect((await seen()).result).toMatchObject({ seq: 1, broken: expect.any(String) });
    expect(await world.alarms()).toHaveLength(1);
    const review = (await world.reviews()).find(({ journal: found }) => found?.device === world.ben.id);
    await world.carla.post(`/v1/reviews/${review?.id}/close`, { outcome: 'justified', note: 'a test' });
    expect((await seen()).result.broken).toBeNull();
    expect(await world.alarms()).toEqual([]);
    expect((await world.exported()).lines.length).toBeGreaterThan(15);
  });

  it('a resource is tainted, and not any more', async () => {
    const since = async () => {
      const { result } = await callAt<{ resources: { resource: string; taintedAt: string | null }[] }>(
        second,
        world.carla,
        'GET',
        '/v1/break-glass/resources',
        undefined,
      );
      return result.resources.find(({ resource }) => resource === 'db-replica')?.taintedAt;
    };
    expect(await since()).not.toBeNull();
    for (const { id } of await world.reviews())
      await world.carla.post(`/v1/reviews/${id}/close`, { outcome: 'justified', note: 'a test' });
    expect(await since()).not.toBeNull();
    await world.rotate('db-replica', await world.store.now());
    expect(await since()).toBeNull();
  });
});
