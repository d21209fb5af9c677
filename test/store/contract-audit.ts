import { describe, expect, it } from 'vitest';
import {
  inclusionProof,
  leafHash,
  RootBuilder,
  rootOf,
  treeRoot,
  verifyInclusion,
} from '../../src/audit/merkle.ts';
import type { Store } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { appendEntry } from './sample-rows.ts';

/** Reads the whole log, fails on a gap or a wrong hash, and gives the root that its entries have. */
export async function verifyLog(store: Store): Promise<{ size: number; entries: string[] }> {
  return store.read(async (tx) => {
    const size = await tx.auditSize();
    const rows = await tx.auditEntries(0, size + 1);
    const root = new RootBuilder();
    rows.forEach(({ index, entry, leafHash: stored, at }, n) => {
      const leaf = leafHash(new TextEncoder().encode(entry));
      expect(index).toBe(n);
      expect(stored).toBe(Buffer.from(leaf).toString('base64url'));
      expect(JSON.parse(entry)).toMatchObject({ index, at });
      root.append(leaf);
    });
    expect(rows).toHaveLength(size);
    expect(await treeRoot((refs) => tx.auditNodes(refs), size)).toEqual(root.root());
    const head = await tx.auditHead();
    expect({ size: head.size, root: rootOf(head.peaks) }).toEqual({ size, root: root.root() });
    return { size, entries: rows.map(({ entry }) => entry) };
  });
}

export function auditContract(context: StoreContext): void {
  describe('the audit log', () => {
    it('numbers entries from zero and grows a tree that proves each of them', async () => {
      const { store } = await context.fresh();
      expect(await verifyLog(store)).toEqual({ size: 0, entries: [] });
      for (let n = 0; n < 20; n++) {
        const row = await store.write((tx) => appendEntry(tx, 'grant.made'));
        expect(row).toMatchObject({ index: n, event: 'grant.made' });
      }
      const two = await store.write(async (tx) => [await appendEntry(tx, 'a'), await appendEntry(tx, 'b')]);
      expect(two.map(({ index }) => index)).toEqual([20, 21]);
      expect((await verifyLog(store)).size).toBe(22);
      await store.read(async (tx) => {
        const read = tx.auditNodes.bind(tx);
        const root = await treeRoot(read, 22);
        const [row] = await tx.auditEntries(13, 1);
        const leaf = Buffer.from(row!.leafHash, 'base64url');
        const proof = await inclusionProof(read, 13, 22);
        verifyInclusion({ index: 13, size: 22, leaf, proof, root });
      });
    });

    it('reads a page from any entry', async () => {
      const { store } = await context.fresh();
      await store.write(async (tx) => {
        for (let n = 0; n < 5; n++) await appendEntry(tx, `e${n}`);
      });
      const page = await store.read((tx) => tx.auditEntries(3, 10));
      expect(page.map(({ event }) => event)).toEqual(['e3', 'e4']);
      expect(await store.read((tx) => tx.auditEntries(5, 10))).toEqual([]);
    });

    it('refuses to answer for a node that is not stored', async () => {
      const { store } = await context.fresh();
      await store.write((tx) => appendEntry(tx, 'e'));
      const read = store.read((tx) => tx.auditNodes([{ level: 0, index: 1 }]));
      await expect(read).rejects.toMatchObject({ code: 'log_inconsistent' });
    });

    it('gives many nodes in the order asked for', async () => {
      const { store } = await context.fresh();
      await store.write(async (tx) => {
        for (let n = 0; n < 450; n++) await appendEntry(tx, 'e');
      });
      await store.read(async (tx) => {
        const rows = await tx.auditEntries(0, 450);
        const nodes = await tx.auditNodes(rows.map(({ index }) => ({ level: 0, index })).reverse());
        expect(nodes.map((hash) => Buffer.from(hash).toString('base64url'))).toEqual(
          rows.map(({ leafHash }) => leafHash).reverse(),
        );
      });
    });

    it('is searched by event, by any value of the subject and by time, newest first', async () => {
      const { store } = await context.fresh();
      const rows = await store.write(async (tx) => [
        await appendEntry(tx, 'request', { request: 'req_1', user: 'ada' }),
        await appendEntry(tx, 'grant', { grant: 'gr_1', request: 'req_1', user: 'ada', alias: 'ada' }),
        await appendEntry(tx, 'grant', { grant: 'gr_2', user: 'grace' }),
      ]);
      const found = async (filter: object) =>
        (await store.read((tx) => tx.auditSearch({ limit: 10, ...filter }))).map(({ index }) => index);
      expect(await found({})).toEqual([2, 1, 0]);
      expect(await found({ limit: 2 })).toEqual([2, 1]);
      expect(await found({ subject: 'ada' })).toEqual([1, 0]);
      expect(await found({ subject: 'ada', event: 'grant' })).toEqual([1]);
      expect(await found({ subject: 'request' })).toEqual([]);
      expect(await found({ fromMs: rows[2]!.at + 1 })).toEqual([]);
      expect(await found({ toMs: rows[0]!.at })).toEqual([]);
      expect(await found({ fromMs: rows[0]!.at, toMs: rows[2]!.at + 1 })).toEqual([2, 1, 0]);
    });

    it('is searched alike whether an entry is new or old', async () => {
      const { store } = await context.fresh();
      const total = 150;
      await store.write(async (tx) => {
        for (let n = 0; n < total; n++) await appendEntry(tx, `e${n % 2}`, { user: `u${n % 3}`, n: `n${n}` });
      });
      const found = async (filter: object, limit = total) =>
        (await store.read((tx) => tx.auditSearch({ limit, ...filter }))).map(({ index }) => index);
      const expected = (matches: (n: number) => boolean) =>
        Array.from({ length: total }, (_, n) => total - 1 - n).filter(matches);
      const ofUser = expected((n) => n % 3 === 1);
      expect(await found({ event: 'e1' })).toEqual(expected((n) => n % 2 === 1));
      expect(await found({ subject: 'u1' })).toEqual(ofUser);
      expect(await found({ subject: 'u1' }, 20)).toEqual(ofUser.slice(0, 20));
      expect(await found({ subject: 'u1' }, 3)).toEqual(ofUser.slice(0, 3));
      expect(await found({ subject: 'u1', event: 'e1' })).toEqual(expected((n) => n % 6 === 1));
      for (const n of [0, 63, 64, 127, 128, 149]) expect(await found({ subject: `n${n}` })).toEqual([n]);
    });

    it('takes a subject too long to be searched', async () => {
      const { store } = await context.fresh();
      await store.write((tx) => appendEntry(tx, 'e', { reason: 'x'.repeat(20_000) }));
      expect((await verifyLog(store)).size).toBe(1);
    });

    it('takes no bytes that are not text', async () => {
      const { store } = await context.fresh();
      const append = store.write((tx) =>
        tx.appendAudit(() => ({ event: 'e', subject: {}, bytes: Uint8Array.of(0xff, 0xfe) })),
      );
      await expect(append).rejects.toMatchObject({ code: 'internal' });
      expect((await verifyLog(store)).size).toBe(0);
    });
  });
}
