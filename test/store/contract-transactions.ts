import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/protocol/errors.ts';
import type { ReadTx, Tx } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { verifyLog } from './contract-audit.ts';
import { appendEntry, sampleDevice, sampleGrant, sampleIncident, unique } from './sample-rows.ts';

export function transactionContract(context: StoreContext): void {
  describe('a transaction', () => {
    it('that throws leaves nothing and passes on what it threw', async () => {
      const { store } = await context.fresh();
      const device = sampleDevice();
      const mine = new TypeError('mine');
      const write = store.write(async (tx) => {
        await tx.insertDevice(device);
        await appendEntry(tx, 'e');
        throw mine;
      });
      await expect(write).rejects.toBe(mine);
      expect(await store.read((tx) => tx.device(device.id))).toBeUndefined();
      expect((await verifyLog(store)).size).toBe(0);
    });

    it('passes on an error of the product as it is', async () => {
      const denied = new AppError('denied', 'no');
      await expect(context.store.write(() => Promise.reject(denied))).rejects.toBe(denied);
    });

    it('fails with a call that failed, even if that was caught', async () => {
      const { store } = context;
      const device = sampleDevice();
      const incident = sampleIncident();
      await store.write((tx) => tx.insertDevice(device));
      const write = store.write(async (tx) => {
        await tx.insertIncident(incident);
        await tx.insertDevice(device).catch(() => {});
      });
      await expect(write).rejects.toMatchObject({ code: 'conflict' });
      expect(await store.read((tx) => tx.incident(incident.id))).toBeUndefined();
    });

    it('leaves nothing of calls that run beside one that fails', async () => {
      const { store } = context;
      const device = sampleDevice();
      await store.write((tx) => tx.insertDevice(device));
      const incidents = Array.from({ length: 10 }, () => sampleIncident());
      const write = store.write((tx) =>
        Promise.all([tx.insertDevice(device), ...incidents.map((row) => tx.insertIncident(row))]),
      );
      await expect(write).rejects.toMatchObject({ code: 'conflict' });
      await store.write(async () => {});
      for (const { id } of incidents) {
        expect(await store.read((tx) => tx.incident(id))).toBeUndefined();
      }
    });

    it('refuses to end before a call that nobody waits for', async () => {
      const { store } = context;
      const incident = sampleIncident();
      const write = store.write(async (tx) => {
        void tx.insertIncident(incident);
      });
      await expect(write).rejects.toMatchObject({ code: 'internal' });
      expect(await store.read((tx) => tx.incident(incident.id))).toBeUndefined();
    });

    it('takes no call after its end', async () => {
      const { store } = context;
      const incident = sampleIncident();
      const ended = await store.write(async (tx) => tx);
      await expect(ended.insertIncident(incident)).rejects.toMatchObject({ code: 'internal' });
      expect(await store.read((tx) => tx.incident(incident.id))).toBeUndefined();
    });

    it('that reads sees one state and cannot write', async () => {
      const { store } = await context.fresh();
      const incident = sampleIncident();
      await store.read(async (tx: ReadTx) => {
        expect(await tx.auditSize()).toBe(0);
        await store.write(async (writing) => {
          await writing.insertIncident(incident);
          await appendEntry(writing, 'e');
        });
        expect(await tx.auditSize()).toBe(0);
        expect(await tx.incident(incident.id)).toBeUndefined();
      });
      expect(await store.read((tx) => tx.auditSize())).toBe(1);
      await expect(store.read(async (tx) => (tx as Tx).insertIncident(sampleIncident()))).rejects.toThrow();
    });

    it('gives the time of the store', async () => {
      const { store } = context;
      const before = Date.now() - 1000;
      const times = [
        await store.now(),
        await store.read((tx) => tx.now()),
        await store.write((tx) => tx.now()),
        (await store.write((tx) => appendEntry(tx, 'e'))).at,
      ];
      for (const time of times) {
        expect(Number.isInteger(time)).toBe(true);
        expect(time).toBeGreaterThan(before);
        expect(time).toBeLessThan(Date.now() + 1000);
      }
    });

    it('loses no update to another that runs at the same time', async () => {
      const { store, other } = await context.fresh();
      const stores = [store, await other.open()];
      const grant = sampleGrant();
      await store.write((tx) => tx.insertGrant(grant, []));
      const raise = (n: number) =>
        stores[n % 2]!.write(async (tx) => {
          const found = await tx.lockGrant(grant.id);
          await tx.updateGrant(grant.id, { extensions: found!.extensions + 1 });
          await appendEntry(tx, 'grant.extended', { grant: grant.id });
        });
      await Promise.all(Array.from({ length: 60 }, (_, n) => raise(n)));
      expect((await store.read((tx) => tx.grant(grant.id)))!.extensions).toBe(60);
      expect((await verifyLog(store)).size).toBe(60);
    });

    it('lets one at a time through the door of a target', async () => {
      const { store, other } = await context.fresh();
      const stores = [store, await other.open()];
      const user = unique('ada');
      const open = (n: number) =>
        stores[n % 2]!.write(async (tx) => {
          await tx.lockTarget(user, 'db-replica', 'read');
          const held = await tx.grants({ user, resource: 'db-replica', states: ['active'], limit: 1 });
          if (held.length === 0) await tx.insertGrant(sampleGrant({ user }), []);
          return held.length === 0;
        });
      const opened = await Promise.all(Array.from({ length: 20 }, (_, n) => open(n)));
      expect(opened.filter(Boolean)).toHaveLength(1);
    });

    it('that meets another in a deadlock is run again', async () => {
      const { store, other } = await context.fresh();
      const second = await other.open();
      const grants = [sampleGrant(), sampleGrant()];
      await store.write(async (tx) => {
        for (const grant of grants) await tx.insertGrant(grant, []);
      });
      const cross = (on: typeof store, order: number[]) =>
        on.write(async (tx) => {
          for (const n of order) {
            const found = await tx.lockGrant(grants[n]!.id);
            await tx.updateGrant(found!.id, { extensions: found!.extensions + 1 });
          }
        });
      await Promise.all(
        Array.from({ length: 8 }, (_, n) => (n % 2 ? cross(store, [0, 1]) : cross(second, [1, 0]))),
      );
      for (const { id } of grants) {
        expect((await store.read((tx) => tx.grant(id)))!.extensions).toBe(8);
      }
    });
  });
}
