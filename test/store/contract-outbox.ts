import { describe, expect, it } from 'vitest';
import type { Tx } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { sampleDelivery, sampleNotice, T0, unique } from './sample-rows.ts';

const DAYS_30_MS = 30 * 24 * 60 * 60_000;
/** Sweeping is left to chance: this many times without it do not happen. */
const TRIES = 500;

export function outboxContract(context: StoreContext): void {
  describe('webhook deliveries', () => {
    it('are taken once for each source, and done once worked on', async () => {
      const { store } = context;
      const delivery = sampleDelivery();
      const { deliveryId } = delivery;
      const insert = (change: Parameters<typeof sampleDelivery>[0]) =>
        store.write((tx) => tx.insertDelivery(sampleDelivery(change)));
      expect(await store.write((tx) => tx.insertDelivery(delivery))).toBe(true);
      expect(await insert({ deliveryId, incidents: [] })).toBe(false);
      expect(await insert({ deliveryId, source: 'rootly' })).toBe(true);
      await expect(insert({ id: delivery.id })).rejects.toMatchObject({ code: 'conflict' });
      expect(await store.read((tx) => tx.delivery(delivery.id))).toEqual(delivery);
      await store.write((tx) => tx.finishDelivery(delivery.id, T0 + 1, 'opened P1-1'));
      expect(await store.read((tx) => tx.delivery(delivery.id))).toEqual({
        ...delivery,
        doneAt: T0 + 1,
        outcome: 'opened P1-1',
      });
      expect(await store.read((tx) => tx.delivery('dlv_none'))).toBeUndefined();
    });

    it('are swept 30 days after they are done, and never before', async () => {
      const { store } = await context.fresh();
      const [old, young, waiting] = [sampleDelivery(), sampleDelivery(), sampleDelivery()];
      await store.write(async (tx) => {
        for (const row of [old, young, waiting]) await tx.insertDelivery(row);
        await tx.finishDelivery(old.id, T0, 'done');
        await tx.finishDelivery(young.id, T0 + 1, 'done');
      });
      const insertUntilGone = () =>
        until(
          () => store.write((tx) => tx.insertDelivery(sampleDelivery({ receivedAt: T0 + 1 + DAYS_30_MS }))),
          async () => (await store.read((tx) => tx.delivery(old.id))) === undefined,
        );
      expect(await insertUntilGone()).toBe(true);
      expect(await store.read((tx) => tx.delivery(young.id))).toBeDefined();
      expect(await store.read((tx) => tx.delivery(waiting.id))).toEqual(waiting);
    });
  });

  describe('notices', () => {
    it('are on their way once, and give their fate back', async () => {
      const { store } = context;
      const notice = sampleNotice();
      expect(await store.write((tx) => tx.insertNotice(notice))).toBe(true);
      const again = sampleNotice({ id: notice.id, notice: 'another' });
      expect(await store.write((tx) => tx.insertNotice(again))).toBe(false);
      expect(await store.read((tx) => tx.notice(notice.id))).toEqual(notice);
      const change = { attempts: 2, lastError: 'answered 503' };
      await store.write((tx) => tx.updateNotice(notice.id, change));
      await store.write((tx) => tx.updateNotice(notice.id, { sentAt: T0 + 2 }));
      const found = await store.read((tx) => tx.notice(notice.id));
      expect(found).toEqual({ ...notice, ...change, sentAt: T0 + 2 });
      expect(await store.read((tx) => tx.notice('nt_none'))).toBeUndefined();
    });

    it('are found by each filter, the oldest first, up to the limit', async () => {
      const { store } = await context.fresh();
      const rows = [3, 1, 2, 0].map((n) =>
        sampleNotice({ channel: n < 2 ? 'chat' : 'mail', subject: `req_${n % 2}`, createdAt: T0 + n }),
      );
      const [n3, n1, n2, n0] = rows;
      await store.write(async (tx) => {
        for (const row of rows) await tx.insertNotice(row);
        await tx.updateNotice(n1!.id, { sentAt: T0 + 5 });
        await tx.updateNotice(n3!.id, { failedAt: T0 + 5 });
      });
      const ids = async (filter: Omit<Parameters<Tx['notices']>[0], 'limit'>, limit = 9) =>
        (await store.read((tx) => tx.notices({ ...filter, limit }))).map(({ id }) => id);
      expect(await ids({})).toEqual([n0!.id, n1!.id, n2!.id, n3!.id]);
      expect(await ids({}, 2)).toEqual([n0!.id, n1!.id]);
      expect(await ids({ unsent: true })).toEqual([n0!.id, n2!.id]);
      expect(await ids({ channel: 'mail' })).toEqual([n2!.id, n3!.id]);
      expect(await ids({ channel: 'mail', unsent: true })).toEqual([n2!.id]);
      expect(await ids({ subject: 'req_1' })).toEqual([n1!.id, n3!.id]);
    });

    it('are counted for each channel: those that wait, since when, and those given up lately', async () => {
      const { store } = await context.fresh();
      const add = (channel: string, createdAt: number, fate: Parameters<Tx['updateNotice']>[1] = {}) =>
        store.write((tx) => tx.insertNotice(sampleNotice({ channel, createdAt, ...fate })));
      await add('chat', T0 + 2);
      await add('chat', T0 + 1);
      await add('chat', T0, { sentAt: T0 });
      await add('chat', T0, { failedAt: T0 + 5 });
      await add('mail', T0, { failedAt: T0 + 5 });
      await add('mail', T0, { failedAt: T0 + 4 });
      await add('quiet', T0, { sentAt: T0 + 5 });
      expect(await store.read((tx) => tx.countNotices(T0 + 5))).toEqual([
        { channel: 'chat', waiting: 2, oldestAt: T0 + 1, failed: 1 },
        { channel: 'mail', waiting: 0, oldestAt: null, failed: 1 },
      ]);
    });

    it('are swept 30 days after they were sent or given up, and never before', async () => {
      const { store } = await context.fresh();
      const sent = sampleNotice({ sentAt: T0 });
      const failed = sampleNotice({ failedAt: T0 });
      const kept = [sampleNotice(), sampleNotice({ sentAt: T0 + 1 }), sampleNotice({ failedAt: T0 + 1 })];
      await store.write(async (tx) => {
        for (const row of [sent, failed, ...kept]) await tx.insertNotice(row);
      });
      const gone = await until(
        () => store.write((tx) => tx.insertNotice(sampleNotice({ createdAt: T0 + 1 + DAYS_30_MS }))),
        () => store.read(async (tx) => !((await tx.notice(sent.id)) ?? (await tx.notice(failed.id)))),
      );
      expect(gone).toBe(true);
      for (const row of kept) expect(await store.read((tx) => tx.notice(row.id))).toEqual(row);
    });
  });

  it('refuses to finish a delivery or change a notice that is not there', async () => {
    for (const change of [
      (tx: Tx) => tx.finishDelivery(unique('dlv'), T0, 'done'),
      (tx: Tx) => tx.updateNotice(unique('nt'), { sentAt: T0 }),
    ]) {
      await expect(context.store.write(change)).rejects.toMatchObject({ code: 'not_found' });
    }
  });
}

async function until(act: () => Promise<unknown>, isSo: () => Promise<boolean>): Promise<boolean> {
  for (let n = 0; n < TRIES; n++) {
    await act();
    if (await isSo()) return true;
  }
  return false;
}
