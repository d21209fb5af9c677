import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/temp.ts';
import type { Winnings } from './child.ts';
import type { StoreContext } from './contract.ts';
import { verifyLog } from './contract-audit.ts';
import { runChild } from './run-child.ts';
import { sampleRequest, sampleReview, T0 } from './sample-rows.ts';

const COUNT = 40;
/** Each is killed after another number of lines, so in another place. */
const SEEDED_KILLS = 10;

export function processContract(context: StoreContext): void {
  describe('two processes on one store', () => {
    it('share out all that counts once without giving anything twice, and keep one log', async () => {
      const { store, other } = await context.fresh();
      const ids = Array.from({ length: COUNT }, (_, n) => `job_${n}`);
      await store.write(async (tx) => {
        for (const id of ids) await tx.insertJob({ id, kind: 'k', subject: id, dueAt: T0 });
        for (let n = 0; n < COUNT; n++) await tx.insertReview(sampleReview({ id: `rv${n}` }));
        await tx.insertRequest(sampleRequest({ id: 'req_raced' }));
      });
      const { target } = other;
      const children = await Promise.all(
        ['a', 'b'].map((name) => runChild({ target, work: 'compete', name, count: COUNT })),
      );
      for (const child of children) {
        expect(await child.ended, child.stderr()).toMatchObject({ code: 0 });
      }
      const won = children.map((child) => JSON.parse(child.stdout().split('\n')[1]!) as Winnings);
      const numbers = Array.from({ length: COUNT }, (_, n) => n);
      const sorted = (values: number[]) => values.sort((a, b) => a - b);
      for (const what of ['nonces', 'replies', 'deliveries', 'stages', 'notices', 'reviews'] as const) {
        expect(sorted(won.flatMap((each) => each[what])), what).toEqual(numbers);
      }
      expect(won.flatMap(({ jobs }) => jobs).sort()).toEqual(ids.sort());
      expect((await verifyLog(store)).size).toBe(COUNT);
      expect(await store.read((tx) => tx.countJobs())).toEqual([]);
    });
  });

  describe('a process killed in the middle of its transactions', () => {
    it('has lost nothing that it acknowledged, and left nothing by halves', {
      timeout: 120_000,
    }, async () => {
      const { store, other } = await context.fresh();
      const done: string[] = [];
      for (let seed = 1; seed <= SEEDED_KILLS; seed++) {
        const after = 1 + ((seed * 7919) % 97);
        const name = `run${seed}`;
        const child = await runChild({ target: other.target, work: 'append', name, count: 1e6 });
        const acknowledged = () => child.stdout().match(/^done .*$/gm) ?? [];
        await waitFor(() => acknowledged().length >= after, { what: `${after} entries: ${child.stderr()}` });
        child.kill('SIGKILL');
        await child.ended;
        done.push(...acknowledged());
        const { size } = await verifyLog(store);
        expect(size).toBeGreaterThanOrEqual(done.length);
      }
      const { entries } = await verifyLog(store);
      for (const line of done) {
        const [, index, id] = line.split(' ');
        expect(JSON.parse(entries[Number(index)]!)).toMatchObject({ subject: { incident: id } });
      }
      await store.read(async (tx) => {
        const declared = await tx.incidents({ limit: entries.length + 1 });
        const logged = entries.map((entry) => JSON.parse(entry).subject.incident);
        expect(declared.map(({ id }) => id).sort()).toEqual(logged.sort());
      });
    });
  });
}
