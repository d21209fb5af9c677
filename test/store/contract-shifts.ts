import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/protocol/canonical-json.ts';
import type { PollRow, ShiftSnapshotRow } from '../../src/store/rows.ts';
import type { Store } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { T0, unique } from './sample-rows.ts';

const DAY_MS = 24 * 60 * 60_000;

const shift = (outsideUser: string) => ({ outsideUser, level: 1, startsAtMs: T0, endsAtMs: null });

/** What a feed answered at `at`. */
const answer = (feed: string, at: number, shifts: Json = [shift('U1')]): ShiftSnapshotRow => ({
  source: 'pagerduty',
  feed,
  takenAt: at,
  fetchedAt: at,
  shifts,
});

export function shiftContract(context: StoreContext): void {
  const put = (store: Store, row: ShiftSnapshotRow) => store.write((tx) => tx.putShiftSnapshot(row));
  const version = (store: Store) => store.read((tx) => tx.shiftSnapshotVersion());
  const newest = async (store: Store, feed: string) =>
    (await store.read((tx) => tx.shiftSnapshots())).filter((row) => row.feed === feed);

  describe('snapshots of shifts', () => {
    it('are the newest of each feed, by source and feed', async () => {
      const { store } = await context.fresh();
      expect(await store.read((tx) => tx.shiftSnapshots())).toEqual([]);
      const rows = [
        answer('b', T0 + 1),
        { ...answer('a', T0 + 2, [shift('"U2" \u202e'), shift('')]), source: 'ical' },
        answer('a', T0 + 3, []),
      ];
      for (const row of rows) await put(store, row);
      expect(await store.read((tx) => tx.shiftSnapshots())).toEqual([rows[1], rows[2], rows[0]]);
    });

    it('begin anew where a feed says something else, and are confirmed where it says the same', async () => {
      const { store } = context;
      const feed = unique('feed');
      await put(store, answer(feed, T0));
      const { outsideUser, ...rest } = shift('U1');
      await put(store, answer(feed, T0 + 1, [{ ...rest, outsideUser }]));
      expect(await newest(store, feed)).toEqual([{ ...answer(feed, T0), fetchedAt: T0 + 1 }]);
      await put(store, answer(feed, T0 + 2, [shift('U2')]));
      expect(await newest(store, feed)).toEqual([answer(feed, T0 + 2, [shift('U2')])]);
      await put(store, answer(feed, T0 + 3));
      expect(await newest(store, feed)).toEqual([answer(feed, T0 + 3)]);
    });

    it('are not changed by an answer that was fetched before them', async () => {
      const { store } = context;
      const feed = unique('feed');
      await put(store, answer(feed, T0 + 5));
      await put(store, answer(feed, T0 + 4, [shift('U2')]));
      await put(store, answer(feed, T0 + 4));
      expect(await newest(store, feed)).toEqual([answer(feed, T0 + 5)]);
      await put(store, answer(feed, T0 + 5, [shift('U3')]));
      expect(await newest(store, feed)).toEqual([answer(feed, T0 + 5, [shift('U3')])]);
    });

    it('have a version that grows with all that shows, and not with what came to nothing', async () => {
      const { store } = await context.fresh();
      const seen = [await version(store)];
      for (const row of [
        answer('a', T0),
        answer('a', T0 + 1),
        answer('a', T0 + 2, [shift('U2')]),
        answer('b', T0),
      ]) {
        await put(store, row);
        seen.push(await version(store));
      }
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
      await store.write((tx) => tx.putPoll(samplePoll()));
      const failed = store.write(async (tx) => {
        await tx.putShiftSnapshot(answer('a', T0 + 9));
        throw new Error('no');
      });
      await expect(failed).rejects.toThrow('no');
      expect(await version(store)).toBe(seen.at(-1));
    });

    it('of one feed that several brokers read at once are written one after the other', async () => {
      const { store, other } = await context.fresh();
      const stores = [store, await other.open()];
      const answers = Array.from({ length: 30 }, (_, n) => answer('a', T0 + n, [shift(`U${n >> 1}`)]));
      await Promise.all(answers.map((row, n) => put(stores[n % 2]!, row)));
      const [last] = await newest(store, 'a');
      expect(last).toMatchObject({ fetchedAt: T0 + 29, shifts: [shift('U14')] });
    });

    it('stay as long as their feed says them, and go when it has said nothing for long', async () => {
      const { store } = await context.fresh();
      const feeds = async () => (await store.read((tx) => tx.shiftSnapshots())).map(({ feed }) => feed);
      await put(store, answer('gone', T0));
      await put(store, answer('steady', T0));
      const late = T0 + 90 * DAY_MS;
      for (let n = 0; n < 50; n++) await put(store, answer('steady', late));
      expect(await feeds()).toEqual(['gone', 'steady']);
      for (let n = 1; (await feeds()).length === 2 && n < 500; n++)
        await put(store, answer('steady', late + n));
      expect(await feeds()).toEqual(['steady']);
      expect(await newest(store, 'steady')).toMatchObject([{ takenAt: T0 }]);
    });
  });

  describe('polls', () => {
    it('are kept as last told, by source and subject', async () => {
      const { store } = await context.fresh();
      const first = samplePoll({ subject: 'shifts:b' });
      const second = samplePoll({
        subject: 'incidents',
        succeededAt: null,
        failures: 3,
        lastError: 'a "5xx"',
      });
      const third = samplePoll({ source: 'ical', subject: 'shifts:z', emptySince: T0 });
      await store.write(async (tx) => {
        for (const row of [first, second, third]) await tx.putPoll(row);
      });
      expect(await store.read((tx) => tx.polls())).toEqual([third, second, first]);
      const again = { ...first, triedAt: T0 + 9, failures: 1, lastError: 'timeout', validators: {} };
      await store.write((tx) => tx.putPoll(again));
      expect(await store.read((tx) => tx.polls())).toEqual([third, second, again]);
    });
  });
}

const samplePoll = (change: Partial<PollRow> = {}): PollRow => ({
  source: 'pagerduty',
  subject: 'shifts:a',
  succeededAt: T0,
  triedAt: T0,
  failures: 0,
  lastError: null,
  validators: { etag: 'W/"1"' },
  emptySince: null,
  ...change,
});
