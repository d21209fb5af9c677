import { describe, expect, it } from 'vitest';
import type { PackFilter } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { samplePack, T0, unique } from './sample-rows.ts';

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
  });
}
