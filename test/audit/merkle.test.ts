import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  appendLeaf,
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  type NodeReader,
  type NodeRef,
  nodeHash,
  RootBuilder,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../src/audit/merkle.ts';

interface Vectors {
  leaves: string[];
  nodes: string[][];
  roots: string[];
  inclusion: { index: number; size: number; proof: string[] }[];
  consistency: { from: number; to: number; proof: string[] }[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/rfc6962.json', import.meta.url), 'utf8'),
) as Vectors;
const fromHex = (text: string) => Buffer.from(text, 'hex');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const inconsistent = expect.objectContaining({ code: 'log_inconsistent' });

/** A store as a database would be: nodes are inserted once, reads are counted. */
class NodeTable {
  readonly nodes = new Map<string, Uint8Array>();
  readonly reads: number[] = [];
  size = 0;

  readonly read: NodeReader = async (refs) => {
    this.reads.push(refs.length);
    return refs.map(({ level, index }: NodeRef) => {
      const hash = this.nodes.get(`${level}/${index}`);
      if (hash === undefined) throw new Error(`no node ${level}/${index}`);
      return hash;
    });
  };

  async append(entry: Uint8Array): Promise<void> {
    for (const node of (await appendLeaf(this.read, this.size, leafHash(entry))).nodes) {
      const key = `${node.level}/${node.index}`;
      expect(this.nodes.has(key)).toBe(false);
      this.nodes.set(key, node.hash);
    }
    this.size++;
  }

  static async of(entries: readonly Uint8Array[]): Promise<NodeTable> {
    const table = new NodeTable();
    for (const entry of entries) await table.append(entry);
    return table;
  }
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => Buffer.from(`entry ${i}`));
const BIGGEST = 300;
const big = await NodeTable.of(numbered(BIGGEST));
const sizes = fc.integer({ min: 1, max: BIGGEST });
const pairs = fc.tuple(sizes, sizes).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

function flipBit(proof: readonly Uint8Array[], at: number): Uint8Array[] {
  const copy = proof.map((part) => Uint8Array.from(part));
  copy[Math.floor(at / 256)]![Math.floor((at % 256) / 8)]! ^= 1 << (at % 8);
  return copy;
}

describe('the vectors of the reference implementation', () => {
  test('give its roots at every size, by the store and by the builder', async () => {
    const table = new NodeTable();
    const builder = new RootBuilder();
    expect(hex(emptyRoot())).toBe(vectors.roots[0]);
    expect(hex(await treeRoot(table.read, 0))).toBe(vectors.roots[0]);
    expect(hex(builder.root())).toBe(vectors.roots[0]);
    for (const [i, leaf] of vectors.leaves.entries()) {
      await table.append(fromHex(leaf));
      builder.append(leafHash(fromHex(leaf)));
      expect(hex(await treeRoot(table.read, i + 1))).toBe(vectors.roots[i + 1]);
      expect(hex(builder.root())).toBe(vectors.roots[i + 1]);
      expect(builder.size).toBe(i + 1);
    }
    for (const [level, nodes] of vectors.nodes.entries()) {
      for (const [index, hash] of nodes.entries())
        expect(hex(table.nodes.get(`${level}/${index}`)!)).toBe(hash);
    }
    expect(table.nodes.size).toBe(vectors.nodes.flat().length);
  });

  test.each(vectors.inclusion)('prove entry $index among $size', async ({ index, size, proof }) => {
    const table = await NodeTable.of(vectors.leaves.map(fromHex));
    expect((await inclusionProof(table.read, index, size)).map(hex)).toEqual(proof);
    const leaf = leafHash(fromHex(vectors.leaves[index]!));
    const root = fromHex(vectors.roots[size]!);
    verifyInclusion({ index, size, leaf, root, proof: proof.map(fromHex) });
  });

  test.each(vectors.consistency)('prove that $to begins with $from', async ({ from, to, proof }) => {
    const table = await NodeTable.of(vectors.leaves.map(fromHex));
    expect((await consistencyProof(table.read, from, to)).map(hex)).toEqual(proof);
    const [fromRoot, toRoot] = [fromHex(vectors.roots[from]!), fromHex(vectors.roots[to]!)];
    verifyConsistency({ fromSize: from, toSize: to, fromRoot, toRoot, proof: proof.map(fromHex) });
  });
});

describe('any log', () => {
  test('has a verifying consistency proof between any two of its sizes, and no bit of it can change', async () => {
    await fc.assert(
      fc.asyncProperty(pairs, fc.nat(), async ([fromSize, toSize], seed) => {
        const proof = await consistencyProof(big.read, fromSize, toSize);
        const fromRoot = await treeRoot(big.read, fromSize);
        const toRoot = await treeRoot(big.read, toSize);
        verifyConsistency({ fromSize, toSize, fromRoot, toRoot, proof });
        if (proof.length === 0) return;
        const forged = flipBit(proof, seed % (proof.length * 256));
        const claim = { fromSize, toSize, fromRoot, toRoot };
        expect(() => verifyConsistency({ ...claim, proof: forged })).toThrow(inconsistent);
        expect(() => verifyConsistency({ ...claim, proof: proof.slice(1) })).toThrow(inconsistent);
        expect(() => verifyConsistency({ ...claim, proof: proof.slice(0, -1) })).toThrow(inconsistent);
        expect(() => verifyConsistency({ ...claim, proof: [...proof, toRoot] })).toThrow(inconsistent);
        expect(() => verifyConsistency({ ...claim, fromSize: fromSize + 1, proof })).toThrow(inconsistent);
        expect(() => verifyConsistency({ ...claim, fromRoot: toRoot, proof })).toThrow(inconsistent);
        expect(() => verifyConsistency({ ...claim, toRoot: fromRoot, proof })).toThrow(inconsistent);
      }),
      { numRuns: 300 },
    );
  });

  test('proves each of its entries, for that place alone, and no bit of the proof can change', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(), async (size, pick, seed) => {
        const index = pick % size;
        const leaf = leafHash(Buffer.from(`entry ${index}`));
        const root = await treeRoot(big.read, size);
        const proof = await inclusionProof(big.read, index, size);
        const claim = { index, size, leaf, root, proof };
        verifyInclusion(claim);
        expect(() => verifyInclusion({ ...claim, index: index + 1 })).toThrow(inconsistent);
        expect(() => verifyInclusion({ ...claim, leaf: leafHash(Buffer.from('other')) })).toThrow(
          inconsistent,
        );
        expect(() => verifyInclusion({ ...claim, proof: [...proof, root] })).toThrow(inconsistent);
        if (proof.length === 0) return;
        expect(() => verifyInclusion({ ...claim, proof: proof.slice(0, -1) })).toThrow(inconsistent);
        const forged = flipBit(proof, seed % (proof.length * 256));
        expect(() => verifyInclusion({ ...claim, proof: forged })).toThrow(inconsistent);
      }),
      { numRuns: 300 },
    );
  });

  test('has the same root from the store and from the builder', async () => {
    const builder = new RootBuilder();
    for (let size = 1; size <= BIGGEST; size++) {
      builder.append(leafHash(Buffer.from(`entry ${size - 1}`)));
      expect(hex(builder.root())).toBe(hex(await treeRoot(big.read, size)));
    }
  });

  test('is read at most once for each answer, a logarithm of nodes at a time', async () => {
    const table = await NodeTable.of(numbered(BIGGEST));
    expect(table.reads.length).toBeLessThanOrEqual(BIGGEST);
    expect(table.reads.reduce((sum, count) => sum + count, 0)).toBeLessThan(BIGGEST);
    for (const ask of [
      () => treeRoot(table.read, 255),
      () => inclusionProof(table.read, 100, 299),
      () => consistencyProof(table.read, 129, 300),
    ]) {
      table.reads.length = 0;
      await ask();
      expect(table.reads.length).toBe(1);
      expect(table.reads[0]).toBeLessThanOrEqual(18);
    }
  });
});

describe('two logs that part at one entry', () => {
  test('cannot be shown as one', async () => {
    const other = await NodeTable.of(
      numbered(100).map((entry, i) => (i === 40 ? Buffer.from('rewritten') : entry)),
    );
    const fromRoot = await treeRoot(big.read, 60);
    const toRoot = await treeRoot(other.read, 100);
    const proof = await consistencyProof(other.read, 60, 100);
    expect(() => verifyConsistency({ fromSize: 60, toSize: 100, fromRoot, toRoot, proof })).toThrow(
      inconsistent,
    );
  });
});

describe('nonsense is refused', () => {
  const root = leafHash(Buffer.from('x'));

  test('a shorter log, a wrong empty root, two roots at one size', () => {
    const sound = { fromSize: 1, toSize: 1, fromRoot: root, toRoot: root, proof: [] };
    verifyConsistency(sound);
    verifyConsistency({ ...sound, fromSize: 0, fromRoot: emptyRoot() });
    for (const claim of [
      { ...sound, fromSize: 2 },
      { ...sound, fromSize: 0 },
      { ...sound, toRoot: emptyRoot() },
      { ...sound, proof: [root] },
      { ...sound, fromSize: 0, fromRoot: emptyRoot(), proof: [root] },
      { ...sound, fromSize: 0, toSize: 0, fromRoot: emptyRoot() },
      { ...sound, toSize: 2 },
      { ...sound, toSize: 1.5 },
      { ...sound, fromSize: Number.NaN },
    ]) {
      expect(() => verifyConsistency(claim)).toThrow(inconsistent);
    }
  });

  test('hashes of another length, indexes outside the log', () => {
    const sound = { index: 0, size: 1, leaf: root, root, proof: [] };
    verifyInclusion(sound);
    for (const claim of [
      { ...sound, leaf: root.subarray(1) },
      { ...sound, leaf: root.subarray(1), root: root.subarray(1) },
      { ...sound, size: 2, proof: [Buffer.alloc(31)] },
      { ...sound, index: 1 },
      { ...sound, index: -1 },
      { ...sound, size: 0 },
      { ...sound, size: Number.POSITIVE_INFINITY },
    ]) {
      expect(() => verifyInclusion(claim)).toThrow(inconsistent);
    }
  });

  test('a path that ends at a subtree, passed off as the root', async () => {
    const leaf = leafHash(Buffer.from('entry 0'));
    const proof = await inclusionProof(big.read, 0, 4);
    const claim = { index: 0, leaf, root: await treeRoot(big.read, 4), proof };
    verifyInclusion({ ...claim, size: 4 });
    expect(() => verifyInclusion({ ...claim, size: 8 })).toThrow(inconsistent);
  });

  test('a proof longer than any tree', () => {
    const proof = Array.from({ length: 10_000 }, () => root);
    expect(() => verifyInclusion({ index: 0, size: 8, leaf: root, root, proof })).toThrow(inconsistent);
  });

  test('an entry in place of a leaf hash, and questions beyond the log', async () => {
    await expect(appendLeaf(big.read, 0, Buffer.from('{}'))).rejects.toMatchObject({ code: 'internal' });
    await expect(inclusionProof(big.read, 5, 5)).rejects.toMatchObject({ code: 'not_found' });
    await expect(consistencyProof(big.read, 6, 5)).rejects.toMatchObject({ code: 'not_found' });
    await expect(treeRoot(big.read, -1)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('a store that lost a node', async () => {
    const short: NodeReader = async () => [root];
    await expect(treeRoot(short, 3)).rejects.toMatchObject({ code: 'log_inconsistent' });
  });

  test('a leaf never passes for a node', () => {
    expect(hex(leafHash(Buffer.concat([root, root])))).not.toBe(hex(nodeHash(root, root)));
  });
});
