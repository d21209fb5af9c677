import { describe, expect, it } from 'vitest';
import type { PackFilter } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { samplePack, sampleReview, T0, unique } from './sample-rows.ts';

export function packContract(context: StoreContext): void {
  describe('packs', () => {
    it('are kept as they were made, and changed where they change', async () => {
      const { store } = context;
      const pack = samplePack();
      await store.write((tx) => tx.insertPack(pack));
      expect(await store.read((tx) => tx.pack(pack.id))).toEqual(pack);
      expect(await store.read((tx) => tx.pack('bg_none'))).toBeUndefined();
      const change = { endsAt: T0 + 5, confirmedAt: T0 + 1, state: 'revoked', revokedAt: T0 + 2 } as const;
      await store.write((tx) => tx.updatePack(pack.id, change));
      expect(await store.read((tx) => tx.pack(pack.id))).toEqual({ ...pack, ...change });
      const again = store.write((tx) => tx.insertPack(pack));
      await expect(again).rejects.toMatchObject({ code: 'conflict' });
      const nobody = store.write((tx) => tx.updatePack('bg_none', { confirmedAt: T0 }));
      await expect(nobody).rejects.toMatchObject({ code: 'not_found' });
    });

    it('are found by each filter, the newest first', async () => {
      const { store } = context;
      const [user, resource, deviceId] = [unique('ada'), unique('db'), unique('dev')];
      const rows = [0, 1, 2].map((n) =>
        samplePack({ user, resource, deviceId, issuedAt: T0 + n, endsAt: T0 + 10 + n }),
      );
      const other = samplePack({ user, issuedAt: T0 + 3, state: 'revoked', revokedAt: T0 + 4 });
      const [first, second, third] = rows;
      await store.write(async (tx) => {
        for (const row of [...rows, other]) await tx.insertPack(row);
      });
      const ids = async (filter: Omit<PackFilter, 'limit'>, limit = 9) =>
        (await store.read((tx) => tx.packs({ ...filter, limit }))).map(({ id }) => id);
      expect(await ids({ user })).toEqual([other.id, third!.id, second!.id, first!.id]);
      expect(await ids({ user }, 2)).toEqual([other.id, third!.id]);
      expect(await ids({ user, state: 'active' })).toEqual([third!.id, second!.id, first!.id]);
      expect(await ids({ deviceId })).toEqual([third!.id, second!.id, first!.id]);
      expect(await ids({ resource, endsAfter: T0 + 11 })).toEqual([third!.id]);
    });
  });

  describe('epochs of break-glass', () => {
    it('begin with the first, and are kept by resource', async () => {
      const { store } = context;
      const resource = unique('db');
      const none = { resource, epoch: 1, rotatedAt: null, taintedAt: null };
      expect(await store.read((tx) => tx.breakGlassEpoch(resource))).toEqual(none);
      for (const row of [
        { ...none, taintedAt: T0 },
        { resource, epoch: 2, rotatedAt: T0 + 1, taintedAt: null },
      ]) {
        await store.write((tx) => tx.putBreakGlassEpoch(row));
        expect(await store.read((tx) => tx.breakGlassEpoch(resource))).toEqual(row);
        expect(await store.read((tx) => tx.breakGlassEpochs())).toContainEqual(row);
      }
    });

    it('know the open reviews of what was used there, oldest first', async () => {
      const { store, other } = await context.fresh();
      const rows = [2, 1, 0].map((n) => sampleReview({ kind: 'break-glass', openedAt: T0 + n }));
      const elsewhere = sampleReview({ kind: 'break-glass' });
      await store.write(async (tx) => {
        for (const row of [...rows, elsewhere]) await tx.insertReview(row);
      });
      const use = (slot: number, resource: string, review: string | null) => ({
        ...{ pack_id: 'bg_1', slot, device_id: 'dev_1', user_id: 'ada', resource, role: 'read' },
        ...{ reason: 'why', incident: null, drill: 0, seq: slot + 1, opened_at: T0, reconciled_at: T0 },
        review_id: review,
      });
      await other.inTransaction(async ({ db }) => {
        const values = rows.map(({ id }, slot) => use(slot, 'db', id));
        await db
          .insertInto('pack_uses')
          .values([...values, use(3, 'db', null), use(4, 'web', elsewhere.id)])
          .execute();
      });
      const [third, second, first] = rows;
      const open = () => store.read((tx) => tx.openUseReviews('db'));
      expect(await open()).toEqual([first!.id, second!.id, third!.id]);
      const closing = { outcome: 'justified', note: '', closedBy: 'grace', closedAt: T0 + 9 } as const;
      await store.write((tx) => tx.closeReview(second!.id, closing));
      expect(await open()).toEqual([first!.id, third!.id]);
      expect(await store.read((tx) => tx.openUseReviews('none'))).toEqual([]);
    });
  });
}
