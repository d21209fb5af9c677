import { describe, expect, it } from 'vitest';
import type { Tx } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { sampleRequest, sampleReview, sampleStage, T0, unique } from './sample-rows.ts';

export function reviewContract(context: StoreContext): void {
  describe('stages of approval chains', () => {
    it('are reached once, in the order in which they began', async () => {
      const { store } = context;
      const request = sampleRequest();
      const stage = (change: Parameters<typeof sampleStage>[0]) =>
        sampleStage({ requestId: request.id, ...change });
      const first = stage({ chain: 'b' });
      const beside = stage({ chain: 'a', endsAt: null, asked: [] });
      const later = stage({ chain: 'a', stage: 1, startedAt: T0 + 1 });
      const results = await store.write(async (tx) => {
        await tx.insertRequest(request);
        return [
          await tx.insertStage(later),
          await tx.insertStage(first),
          await tx.insertStage(beside),
          await tx.insertStage({ ...first, startedAt: T0 + 9, asked: ['mallory'] }),
        ];
      });
      expect(results).toEqual([true, true, true, false]);
      expect(await store.read((tx) => tx.stages(request.id))).toEqual([beside, first, later]);
      expect(await store.read((tx) => tx.stages('req_none'))).toEqual([]);
    });

    it('are closed once', async () => {
      const { store } = context;
      const request = sampleRequest();
      const stage = sampleStage({ requestId: request.id });
      await store.write(async (tx) => {
        await tx.insertRequest(request);
        await tx.insertStage(stage);
        await tx.insertStage({ ...stage, stage: 1 });
      });
      const close = (number: number, outcome: string) =>
        store.write((tx) => tx.closeStage(request.id, stage.chain, number, outcome));
      expect(await close(0, 'next')).toBe(true);
      expect(await close(0, 'deny')).toBe(false);
      expect(await close(2, 'deny')).toBe(false);
      expect(await store.read((tx) => tx.stages(request.id))).toEqual([
        { ...stage, outcome: 'next' },
        { ...stage, stage: 1 },
      ]);
    });

    it('need the request that they are of', async () => {
      const insert = context.store.write((tx) => tx.insertStage(sampleStage({ requestId: 'req_none' })));
      await expect(insert).rejects.toMatchObject({ code: 'internal' });
    });
  });

  describe('reviews', () => {
    it('are closed once, with what was found', async () => {
      const { store } = context;
      const review = sampleReview({ kind: 'break-glass', requestId: null, grantId: 'gr_1' });
      await store.write((tx) => tx.insertReview(review));
      expect(await store.read((tx) => tx.review(review.id))).toEqual(review);
      const closing = {
        outcome: 'justified',
        note: 'a "note"',
        closedBy: 'grace',
        closedAt: T0 + 1,
      } as const;
      const close = (change: Parameters<Tx['closeReview']>[1]) =>
        store.write((tx) => tx.closeReview(review.id, change));
      expect(await close(closing)).toBe(true);
      expect(await close({ ...closing, outcome: 'misuse', closedBy: 'linus' })).toBe(false);
      const closed = { ...review, ...closing, state: 'closed' };
      expect(await store.read((tx) => tx.review(review.id))).toEqual(closed);
      expect(await store.write((tx) => tx.closeReview('rv_none', closing))).toBe(false);
      expect(await store.read((tx) => tx.review('rv_none'))).toBeUndefined();
    });

    it('are opened once under one id', async () => {
      const { store } = context;
      const review = sampleReview();
      await store.write((tx) => tx.insertReview(review));
      const again = store.write((tx) => tx.insertReview({ ...review, user: 'linus' }));
      await expect(again).rejects.toMatchObject({ code: 'conflict' });
    });

    it('are found by each filter, the newest first, overdue ones only while open', async () => {
      const { store } = await context.fresh();
      const user = unique('ada');
      const rows = [0, 1, 2].map((n) => sampleReview({ user, openedAt: T0 + n, dueAt: T0 + 10 + n }));
      const other = sampleReview({ openedAt: T0 + 3, dueAt: T0 + 10 });
      const [first, second, third] = rows;
      const closing = { outcome: 'drill', note: '', closedBy: 'grace', closedAt: T0 + 9 } as const;
      await store.write(async (tx) => {
        for (const row of [...rows, other]) await tx.insertReview(row);
        await tx.closeReview(second!.id, closing);
      });
      const ids = async (filter: Omit<Parameters<Tx['reviews']>[0], 'limit'>, limit = 9) =>
        (await store.read((tx) => tx.reviews({ ...filter, limit }))).map(({ id }) => id);
      expect(await ids({})).toEqual([other.id, third!.id, second!.id, first!.id]);
      expect(await ids({}, 1)).toEqual([other.id]);
      expect(await ids({ user })).toEqual([third!.id, second!.id, first!.id]);
      expect(await ids({ state: 'open' })).toEqual([other.id, third!.id, first!.id]);
      expect(await ids({ state: 'closed' })).toEqual([second!.id]);
      expect(await ids({ user, state: 'open' })).toEqual([third!.id, first!.id]);
      expect(await ids({ dueBefore: T0 + 12 })).toEqual([other.id, first!.id]);
      expect(await ids({ user, dueBefore: T0 + 12 })).toEqual([first!.id]);
      expect(await ids({ dueBefore: T0 + 10 })).toEqual([]);
    });
  });
}
