import { describe, expect, it } from 'vitest';
import type { StoreContext } from './contract.ts';
import { insertHolder, sampleAlarm, sampleCredential, sampleGrant, T0, unique } from './sample-rows.ts';

export function credentialContract(context: StoreContext): void {
  describe('credentials', () => {
    it('moves on from the states it is expected in, and from no other', async () => {
      const { store } = context;
      const credential = await store.write(async (tx) => {
        const { grant, device } = await insertHolder(tx);
        const row = sampleCredential({ grantId: grant.id, deviceId: device.id });
        await tx.insertCredential(row);
        return row;
      });
      const { id } = credential;
      const move = (from: 'issuing' | 'live', change: object) =>
        store.write((tx) => tx.moveCredential(id, [from], change));
      expect(await move('live', { state: 'ending' })).toBe(false);
      expect(await move('issuing', { state: 'live', publicPart: { role: 'x' } })).toBe(true);
      expect(await move('issuing', { state: 'ended' })).toBe(false);
      expect(await move('live', { state: 'ending', endCause: 'released', endingAt: T0 + 1 })).toBe(true);
      expect(await store.read((tx) => tx.credential(id))).toEqual({
        ...credential,
        state: 'ending',
        publicPart: { role: 'x' },
        endCause: 'released',
        endingAt: T0 + 1,
      });
    });

    it('finds credentials by grant, device, kind, handle and states', async () => {
      const { store } = context;
      const kind = unique('kind');
      const rows = await store.write(async (tx) => {
        const { grant, device } = await insertHolder(tx);
        const holder = { grantId: grant.id, deviceId: device.id, kind };
        const made = [0, 1, 2].map((n) => sampleCredential({ ...holder, createdAt: T0 + n }));
        for (const row of made) await tx.insertCredential(row);
        await tx.moveCredential(made[0]!.id, ['issuing'], { state: 'live' });
        await tx.moveCredential(made[1]!.id, ['issuing'], { state: 'ended' });
        return made;
      });
      const found = async (filter: object) =>
        (await store.read((tx) => tx.credentials({ limit: 9, ...filter }))).map(({ id }) => id);
      const [live, ended, issuing] = rows.map(({ id }) => id);
      expect(await found({ kind })).toEqual([issuing, ended, live]);
      expect(await found({ grantId: rows[0]!.grantId, states: ['live', 'issuing'] })).toEqual([
        issuing,
        live,
      ]);
      expect(await found({ deviceId: rows[0]!.deviceId, limit: 2 })).toEqual([issuing, ended]);
      expect(await found({ handle: rows[1]!.handle })).toEqual([ended]);
      expect(await found({ kind, states: [] })).toEqual([]);
    });

    it('finds them by resource, and those whose end was asked for before a time', async () => {
      const { store } = context;
      const kind = unique('kind');
      const made = await store.write(async (tx) => {
        const { grant, device } = await insertHolder(tx);
        const resource = unique('db');
        const other = sampleGrant({ resource });
        await tx.insertGrant(other, []);
        const rows = [grant.id, other.id, other.id].map((grantId, n) =>
          sampleCredential({ grantId, deviceId: device.id, kind, createdAt: T0 + n }),
        );
        for (const row of rows) await tx.insertCredential(row);
        await tx.moveCredential(rows[1]!.id, ['issuing'], { state: 'ending', endingAt: T0 + 1 });
        await tx.moveCredential(rows[2]!.id, ['issuing'], { state: 'ending', endingAt: T0 + 2 });
        return { resource, ids: rows.map(({ id }) => id) };
      });
      const found = async (filter: object) =>
        (await store.read((tx) => tx.credentials({ limit: 9, kind, ...filter }))).map(({ id }) => id);
      const [, first, second] = made.ids;
      expect(await found({ resource: made.resource })).toEqual([second, first]);
      expect(await found({ resource: made.resource, states: ['live'] })).toEqual([]);
      expect(await found({ resource: unique('db') })).toEqual([]);
      expect(await found({ states: ['ending'], endingBefore: T0 + 3 })).toEqual([second, first]);
      expect(await found({ states: ['ending'], endingBefore: T0 + 2 })).toEqual([first]);
      expect(await found({ endingBefore: T0 + 1 })).toEqual([]);
    });

    it('has one credential for each handle of a kind', async () => {
      const { store } = context;
      const { grant, device } = await store.write(insertHolder);
      const row = sampleCredential({ grantId: grant.id, deviceId: device.id });
      await store.write((tx) => tx.insertCredential(row));
      const again = { ...row, id: unique('cr') };
      await expect(store.write((tx) => tx.insertCredential(again))).rejects.toMatchObject({
        code: 'conflict',
      });
      await store.write((tx) => tx.insertCredential({ ...again, kind: 'ssh' }));
    });
  });

  describe('alarms', () => {
    it('are raised once, change while they are, and are gone once cleared', async () => {
      const { store } = await context.fresh();
      const [alarm, later] = [
        sampleAlarm(),
        sampleAlarm({ kind: 'unproven', user: 'ada', raisedAt: T0 + 1 }),
      ];
      expect(await store.write((tx) => tx.raiseAlarm(later))).toBe(true);
      expect(await store.write((tx) => tx.raiseAlarm(alarm))).toBe(true);
      const more = { ...alarm, handles: ['a', 'b"'], count: 2 };
      expect(await store.write((tx) => tx.raiseAlarm({ ...more, user: 'eve', raisedAt: T0 + 9 }))).toBe(
        false,
      );
      expect(await store.read((tx) => tx.alarms())).toEqual([more, later]);
      expect(await store.write((tx) => tx.clearAlarm(alarm.id))).toBe(true);
      expect(await store.write((tx) => tx.clearAlarm(alarm.id))).toBe(false);
      expect(await store.read((tx) => tx.alarms())).toEqual([later]);
    });
  });

  describe('revocation lists', () => {
    it('raises the number only where a serial is new', async () => {
      const { store } = context;
      const list = unique('krl');
      const add = (...serials: string[]) =>
        store.write((tx) =>
          tx.addRevocations(
            list,
            serials.map((serial) => ({ serial, expiresAt: T0 + Number(serial) })),
          ),
        );
      expect(await store.read((tx) => tx.revocations(list))).toEqual({ number: 0, entries: [] });
      expect(await add('1', '2')).toBe(1);
      expect(await add('2', '1', '1')).toBe(1);
      expect(await add('3', '1', '3')).toBe(2);
      expect(await add()).toBe(2);
      await store.write((tx) => tx.sweepRevocations(list, T0 + 2));
      expect(await store.read((tx) => tx.revocations(list))).toEqual({
        number: 2,
        entries: [
          { list, serial: '2', expiresAt: T0 + 2, number: 1 },
          { list, serial: '3', expiresAt: T0 + 3, number: 2 },
        ],
      });
    });

    it('takes thousands of serials at once', async () => {
      const { store } = context;
      const list = unique('krl');
      const entries = Array.from({ length: 2500 }, (_, n) => ({ serial: String(n), expiresAt: T0 }));
      expect(await store.write((tx) => tx.addRevocations(list, entries))).toBe(1);
      expect((await store.read((tx) => tx.revocations(list))).entries).toHaveLength(2500);
    });
  });
}
