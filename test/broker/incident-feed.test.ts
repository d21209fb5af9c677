// What an outside system says of one incident, in whatever order and however often it arrives.
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { AuditLog } from '../../src/broker/audit-log.ts';
import { createIncidentFeed, type IncidentFeed } from '../../src/broker/incidents/incident-feed.ts';
import type { Rules } from '../../src/broker/rules.ts';
import type { OutsideIncident } from '../../src/sources/incident.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import { tempDir } from '../support/temp.ts';

let store: Store;
let feed: IncidentFeed;
let count = 0;

const source = { id: 'pagerduty', priorities: {} } as never;
const nobody = async () => undefined;

beforeAll(async () => {
  store = await openSqliteStore({ file: join(tempDir(), 'oncall.db'), now: () => 1_000_000 });
  await store.migrate();
  atEnd(() => store.close());
  const services = new Map([['orders', { id: 'orders', ids: { pagerduty: ['PSVC1'] } }]]);
  const people = new Map([['ana', { id: 'ana', ids: { pagerduty: 'PANA' } }]]);
  const rules = { catalogue: { services, people } } as unknown as Rules;
  const log = { record: nobody } as unknown as AuditLog;
  const consequences = { opened: nobody, reopened: nobody, resolved: nobody, changed: nobody };
  feed = createIncidentFeed(() => rules, log, consequences);
});

const say = (status: 'open' | 'resolved', occurredAtMs: number, more: Partial<OutsideIncident> = {}) => ({
  ...{ aliases: [], occurredAtMs, status, priority: 'P1', outsideService: 'PSVC1', title: 'down' },
  ...{ startedAtMs: 1, outsideDeclarer: '', outsideAssignees: [], url: '', labels: {} },
  ...more,
});
type Word = ReturnType<typeof say>;

/** What is kept after these words, in this order. */
async function after(words: readonly Word[]) {
  const externalId = `Q${++count}`;
  await store.write(async (tx) => {
    for (const word of words) await feed.take(tx, source, { ...word, externalId }, false);
  });
  return store.read(async (tx) => (await tx.incidentByExternalId('pagerduty', externalId))!);
}

const STORY: readonly Word[] = [
  say('open', 100, { outsideDeclarer: 'PANA' }),
  say('open', 200),
  say('open', 300, { priority: 'P3' }),
  say('resolved', 400, { priority: 'P3' }),
  say('open', 500, { priority: 'P2' }),
];

it('ends in the state of the newest word, whatever the order and however often each is said', async () => {
  const told = fc.integer({ min: 1, max: STORY.length }).chain((length) => {
    const story = STORY.slice(0, length);
    const repeats = fc.array(fc.constantFrom(...story), { maxLength: 5 });
    return repeats.chain((more) => {
      const all = [...story, ...more];
      return fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
    });
  });
  const property = fc.asyncProperty(told, async (words) => {
    const newest = words.reduce((a, b) => (b.occurredAtMs > a.occurredAtMs ? b : a));
    const { state, declaredBy, service } = await after(words);
    expect(state).toBe(newest.status);
    expect(declaredBy).toBe('ana');
    expect(service).toBe('orders');
    if (state === 'open') expect((await after(words)).priority).toBe(newest.priority);
  });
  await fc.assert(property, { seed: 20_260_303, numRuns: 150 });
});

it('is over where one word of a time says so and another does not', async () => {
  for (const words of [
    [say('open', 100), say('open', 200), say('resolved', 200)],
    [say('open', 100), say('resolved', 200), say('open', 200)],
    [say('resolved', 200), say('open', 200), say('open', 100)],
  ])
    expect((await after(words)).state).toBe('resolved');
});

it('keeps what it was about when the word of its end does not say', async () => {
  const end = say('resolved', 200, { priority: '', outsideService: '', labels: {} });
  const kept = await after([say('open', 100, { labels: { team: 'dba' } }), end]);
  expect(kept).toMatchObject({
    state: 'resolved',
    service: 'orders',
    priority: 'P1',
    labels: { team: 'dba' },
  });
});

it('remembers who declared it when later words name others, or nobody', async () => {
  const words = [say('open', 100, { outsideDeclarer: 'PANA' }), say('open', 200)];
  expect(await after(words)).toMatchObject({ declaredBy: 'ana', reopenedBy: null });
  const reopened = [...words, say('resolved', 300), say('open', 400, { outsideDeclarer: 'PSTRANGER' })];
  expect(await after(reopened)).toMatchObject({ declaredBy: 'ana', reopenedBy: 'pagerduty/PSTRANGER' });
});
