import { describe, expect, it } from 'vitest';
import type { StoreContext } from './contract.ts';
import { T0 } from './sample-rows.ts';

const LEASE = 1000;

export function jobContract(context: StoreContext): void {
  async function jobs() {
    const { store } = await context.fresh();
    return {
      store,
      ask: (id: string, dueAt: number, subject = 'gr_1') =>
        store.write((tx) => tx.insertJob({ id, kind: 'end', subject, dueAt })),
      take: (now: number, limit = 10) => store.write((tx) => tx.takeJobs(now, LEASE, limit)),
      finish: (id: string, attempts: number) =>
        store.write((tx) => tx.finishJob({ id, kind: 'end', subject: 'gr_1', attempts })),
      retry: (id: string, attempts: number, dueAt: number) =>
        store.write((tx) =>
          tx.retryJob({ id, kind: 'end', subject: 'gr_1', attempts }, dueAt, 'target down'),
        ),
      count: async () => (await store.read((tx) => tx.countJobs()))[0]?.count ?? 0,
    };
  }

  describe('jobs', () => {
    it('are looked for and taken of some kinds alone', async () => {
      const { ask, store } = await jobs();
      await ask('job_1', T0 + 1);
      await store.write((tx) => tx.insertJob({ id: 'job_2', kind: 'notice', subject: 'n', dueAt: T0 + 2 }));
      const next = (kinds?: string[]) => store.read((tx) => tx.nextJobAt(T0, kinds));
      expect([await next(), await next(['notice', 'poll']), await next(['poll'])]).toEqual([
        T0 + 1,
        T0 + 2,
        undefined,
      ]);
      const taken = await store.write((tx) => tx.takeJobs(T0 + 5, LEASE, 10, ['notice', 'poll']));
      expect(taken.map(({ id }) => id)).toEqual(['job_2']);
    });

    it('are taken when due, the oldest first, up to the limit, and once while leased', async () => {
      const { ask, take, store } = await jobs();
      await ask('job_2', T0 + 2, 'b');
      await ask('job_1', T0 + 1, 'a');
      await ask('job_9', T0 + 9, 'c');
      expect(await take(T0)).toEqual([]);
      expect((await take(T0 + 5, 1)).map(({ id }) => id)).toEqual(['job_1']);
      expect(await take(T0 + 5)).toEqual([
        {
          id: 'job_2',
          kind: 'end',
          subject: 'b',
          dueAt: T0 + 2,
          leaseUntil: T0 + 5 + LEASE,
          attempts: 1,
          lastError: null,
        },
      ]);
      expect(await take(T0 + 5)).toEqual([]);
      expect(await store.read((tx) => tx.countJobs())).toEqual([
        { kind: 'end', count: 3, oldestDueAt: T0 + 1 },
      ]);
    });

    it('are one for each kind and subject, at the earlier time', async () => {
      const { ask, take, count } = await jobs();
      await ask('job_1', T0 + 10);
      await ask('job_2', T0 + 20);
      await ask('job_3', T0 + 5);
      expect(await count()).toBe(1);
      expect(await take(T0 + 4)).toEqual([]);
      expect(await take(T0 + 5)).toMatchObject([{ id: 'job_1', dueAt: T0 + 5 }]);
    });

    it('are put off while they are free, and not while somebody is at it', async () => {
      const { ask, take, retry, store } = await jobs();
      const putOff = (id: string, dueAt: number) =>
        store.write((tx) => tx.deferJob({ id, kind: 'end', subject: 'gr_1', dueAt }));
      await ask('job_1', T0);
      await putOff('job_2', T0 + 10);
      expect(await take(T0 + 9)).toEqual([]);
      expect(await take(T0 + 10)).toMatchObject([{ id: 'job_1', dueAt: T0 + 10, attempts: 1 }]);
      await putOff('job_3', T0 + 40);
      expect(await retry('job_1', 1, T0 + 20)).toBe(true);
      expect(await take(T0 + 20)).toMatchObject([{ id: 'job_1', dueAt: T0 + 20 }]);
      await putOff('job_4', T0 + 50);
      expect(await store.read((tx) => tx.countJobs())).toMatchObject([{ count: 1 }]);
    });

    it('are put off into being where there is none', async () => {
      const { take, store } = await jobs();
      await store.write((tx) => tx.deferJob({ id: 'job_1', kind: 'end', subject: 'gr_1', dueAt: T0 }));
      expect(await take(T0)).toMatchObject([{ id: 'job_1' }]);
    });

    it('are gone when finished, by whoever holds the lease', async () => {
      const { ask, take, finish, count } = await jobs();
      await ask('job_1', T0);
      await take(T0);
      expect(await finish('job_1', 7)).toBe(false);
      expect(await finish('job_1', 1)).toBe(true);
      expect(await finish('job_1', 1)).toBe(false);
      expect(await count()).toBe(0);
    });

    it('come back after the lease, and the slow runner is told', async () => {
      const { ask, take, finish, retry, count } = await jobs();
      await ask('job_1', T0);
      await take(T0);
      expect(await take(T0 + LEASE - 1)).toEqual([]);
      expect(await take(T0 + LEASE)).toMatchObject([{ id: 'job_1', attempts: 2 }]);
      expect(await finish('job_1', 1)).toBe(false);
      expect(await retry('job_1', 1, T0)).toBe(false);
      expect(await finish('job_1', 2)).toBe(true);
      expect(await count()).toBe(0);
    });

    it('are tried again at the time given, with the error kept', async () => {
      const { ask, take, retry, finish } = await jobs();
      await ask('job_1', T0);
      await take(T0);
      expect(await retry('job_1', 1, T0 + 50)).toBe(true);
      expect(await finish('job_1', 1)).toBe(false);
      expect(await take(T0 + 49)).toEqual([]);
      expect(await take(T0 + 50)).toMatchObject([{ attempts: 2, lastError: 'target down' }]);
    });

    it('asked for while one runs are not lost when that one finishes', async () => {
      const { ask, take, finish, count } = await jobs();
      await ask('job_1', T0);
      await take(T0);
      await ask('job_2', T0 + 30);
      await ask('job_3', T0 + 20);
      expect(await take(T0 + 40)).toEqual([]);
      expect(await finish('job_1', 1)).toBe(true);
      expect(await count()).toBe(1);
      expect(await take(T0 + 19)).toEqual([]);
      expect(await take(T0 + 20)).toMatchObject([{ id: 'job_2', dueAt: T0 + 20, attempts: 1 }]);
      expect(await finish('job_1', 1)).toBe(false);
      expect(await finish('job_2', 1)).toBe(true);
      expect(await count()).toBe(0);
    });

    it('asked for while one runs bring its next try forward', async () => {
      const { ask, take, retry } = await jobs();
      await ask('job_1', T0);
      await take(T0);
      await ask('job_2', T0 + 20);
      expect(await retry('job_1', 1, T0 + 500)).toBe(true);
      expect(await take(T0 + 20)).toMatchObject([{ id: 'job_1', attempts: 2 }]);
    });

    it('asked for after the lease ran out outlive the late finish of the slow runner', async () => {
      const { ask, take, finish } = await jobs();
      await ask('job_1', T0);
      await take(T0);
      await ask('job_2', T0 + LEASE + 10);
      expect(await finish('job_1', 1)).toBe(true);
      expect(await take(T0 + LEASE + 10)).toMatchObject([{ id: 'job_2', attempts: 1 }]);
    });

    it('asked for in the past are covered by a run that begins later', async () => {
      const { ask, take, finish, count } = await jobs();
      await ask('job_1', T0);
      await take(T0);
      await ask('job_2', T0 + 10);
      expect(await take(T0 + LEASE)).toMatchObject([{ id: 'job_1', attempts: 2 }]);
      expect(await finish('job_1', 2)).toBe(true);
      expect(await count()).toBe(0);
    });
  });
}
