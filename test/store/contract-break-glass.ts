import { describe, expect, it } from 'vitest';
import type { DrillRow, JournalRow, PackRow, PackUseRow } from '../../src/store/rows.ts';
import type { StoreContext } from './contract.ts';
import { sampleReview, T0, unique } from './sample-rows.ts';

const samplePack = (change: Partial<PackRow> = {}): PackRow => ({
  id: unique('bg'),
  user: 'ada',
  deviceId: unique('dev'),
  resource: 'db-replica',
  role: 'read',
  kind: 'postgres',
  epoch: 1,
  slots: [{ number: 0, notBefore: T0, notAfter: T0 + 3_600_000, serial: '01' }],
  issuedAt: T0,
  startsAt: T0,
  endsAt: T0 + 3_600_000,
  confirmedAt: null,
  state: 'active',
  revokedAt: null,
  ...change,
});

const sampleUse = (change: Partial<PackUseRow> = {}): PackUseRow => ({
  packId: unique('bg'),
  slot: 0,
  deviceId: 'dev_1',
  user: 'ada',
  resource: 'db-replica',
  role: 'read',
  reason: 'orders are "down"; drop table reviews',
  incident: null,
  drill: 0,
  seq: 3,
  openedAt: T0,
  reconciledAt: T0 + 1,
  reviewId: null,
  ...change,
});

const sampleJournal = (change: Partial<JournalRow> = {}): JournalRow => ({
  deviceId: unique('dev'),
  seq: 5,
  hash: 'AAAA',
  highest: 5,
  reconciledAt: T0,
  brokenAt: null,
  why: null,
  reviewId: null,
  ...change,
});

const sampleDrill = (change: Partial<DrillRow> = {}): DrillRow => ({
  id: unique('drl'),
  resource: unique('canary'),
  role: 'read',
  user: 'ada',
  deviceId: 'dev_1',
  path: 'offline',
  passed: 1,
  tookMs: 1500,
  note: '',
  at: T0,
  ...change,
});

export function breakGlassContract(context: StoreContext): void {
  describe('break-glass', () => {
    it('finds a pack as it was put, under an id of its own', async () => {
      const { store } = context;
      const pack = samplePack();
      await store.write((tx) => tx.insertPack(pack));
      expect(await store.read((tx) => tx.pack(pack.id))).toEqual(pack);
      expect(await store.read((tx) => tx.pack('bg_none'))).toBeUndefined();
      await expect(store.write((tx) => tx.insertPack(pack))).rejects.toMatchObject({ code: 'conflict' });
    });

    it('lets a slot be used once', async () => {
      const { store } = context;
      const use = sampleUse();
      const results = await store.write(async (tx) => [
        await tx.insertPackUse(use),
        await tx.insertPackUse({ ...use, seq: 9, reason: 'again' }),
        await tx.insertPackUse({ ...use, slot: 1 }),
      ]);
      expect(results).toEqual([true, false, true]);
      expect(await store.read((tx) => tx.packUse(use.packId, 0))).toEqual(use);
      expect(await store.read((tx) => tx.packUse(use.packId, 2))).toBeUndefined();
    });

    it('keeps one place for each journal, and tells of those that are broken, the longest first', async () => {
      const { store } = await context.fresh();
      const [late, early, sound] = [
        sampleJournal({ brokenAt: T0 + 2, why: 'a gap', reviewId: 'rev_1' }),
        sampleJournal({ brokenAt: T0 + 1, why: 'a fork' }),
        sampleJournal(),
      ];
      await store.write(async (tx) => {
        for (const row of [late, early, sound]) await tx.putJournal(row);
      });
      expect(await store.read((tx) => tx.journal(sound.deviceId))).toEqual(sound);
      expect(await store.read((tx) => tx.journal('dev_none'))).toBeUndefined();
      expect(await store.read((tx) => tx.brokenJournals())).toEqual([early, late]);
      const settled = { ...early, brokenAt: null, why: null, seq: 6, hash: 'BBBB', highest: 6 };
      await store.write((tx) => tx.putJournal(settled));
      expect(await store.read((tx) => tx.journal(early.deviceId))).toEqual(settled);
      expect(await store.read((tx) => tx.brokenJournals())).toEqual([late]);
    });

    it('keeps the epoch of each resource, which is the first until something happens to it', async () => {
      const { store } = await context.fresh();
      const row = (resource: string) => store.read((tx) => tx.breakGlassEpoch(resource));
      const first = { resource: 'db', epoch: 1, rotatedAt: null, taintedAt: null };
      expect([await row('db'), await store.read((tx) => tx.breakGlassEpochs())]).toEqual([first, []]);
      const tainted = { ...first, taintedAt: T0 };
      const rotated = { ...tainted, epoch: 2, rotatedAt: T0 + 9 };
      for (const state of [tainted, rotated]) {
        await store.write((tx) => tx.putBreakGlassEpoch(state));
        expect(await row('db')).toEqual(state);
      }
      const other = { ...first, resource: 'a' };
      await store.write((tx) => tx.putBreakGlassEpoch(other));
      expect(await store.read((tx) => tx.breakGlassEpochs())).toEqual([other, rotated]);
    });

    it('records a drill once', async () => {
      const { store } = context;
      const drill = sampleDrill();
      const later = sampleDrill({ resource: drill.resource, at: T0 + 1 });
      const results = await store.write(async (tx) => [
        await tx.insertDrill(drill),
        await tx.insertDrill({ ...drill, tookMs: 1 }),
        await tx.insertDrill(later),
      ]);
      expect(results).toEqual([true, false, true]);
      expect(await store.read((tx) => tx.drills(drill.resource, 9))).toEqual([later, drill]);
      expect(await store.read((tx) => tx.drills(drill.resource, 1))).toEqual([later]);
    });

    it('finds the reviews of a resource, with what they are about', async () => {
      const { store } = context;
      const resource = unique('db');
      const about = { kind: 'use', device: 'dev_1', reason: 'a "reason"' };
      const review = sampleReview({ kind: 'break-glass', requestId: null, resource, about });
      const other = sampleReview({ resource: unique('db') });
      await store.write(async (tx) => {
        await tx.insertReview(review);
        await tx.insertReview(other);
      });
      expect(await store.read((tx) => tx.reviews({ resource, state: 'open', limit: 9 }))).toEqual([review]);
      expect(await store.read((tx) => tx.reviews({ resource, state: 'closed', limit: 9 }))).toEqual([]);
    });
  });
}
