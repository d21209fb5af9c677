import { AppError } from '../protocol/errors.ts';
import { emptyRoot, HASH_BYTES, half, nodeHash } from './tree-hash.ts';

export { type ConsistencyClaim, type InclusionClaim, verifyConsistency, verifyInclusion } from './proof.ts';
export { emptyRoot, HASH_BYTES, leafHash, nodeHash } from './tree-hash.ts';

/**
 * The Merkle tree of RFC 6962 (hashing and proofs as in RFC 9162 section 2.1), over SHA-256.
 *
 * Only complete subtrees are stored, addressed by (level, index): level 0 holds the leaf hashes, and node (l, i) covers
 * the leaves [i·2^l, (i+1)·2^l). A stored node never changes, so appending only inserts. Whatever is not complete, the right
 * edge of the tree, is folded from stored nodes when it is needed.
 *
 * Wherever this file says "leaf" it means the 32-byte *leaf hash*, never the entry's own bytes.
 */
export interface NodeRef {
  readonly level: number;
  readonly index: number;
}

export interface StoredNode extends NodeRef {
  readonly hash: Uint8Array;
}

/** Hashes in the order of the refs, in one batch. Throws if one is missing. Is not called with an empty list. */
export type NodeReader = (refs: readonly NodeRef[]) => Promise<readonly Uint8Array[]>;

/**
 * The nodes to insert for entry number `size` of a log that holds `size` entries: the leaf, and each parent that it
 * completes. At most one read, of as many nodes as `size` has trailing one bits (one on average).
 */
export async function appendLeaf(
  read: NodeReader,
  size: number,
  leaf: Uint8Array,
): Promise<{ nodes: StoredNode[] }> {
  requireSize(size, 'size');
  if (leaf.length !== HASH_BYTES) throw new AppError('internal', 'appendLeaf takes a leaf hash of 32 bytes');
  const siblings: NodeRef[] = [];
  for (let level = 0, index = size; index % 2 === 1; level++, index = half(index)) {
    siblings.push({ level, index: index - 1 });
  }
  let node: StoredNode = { level: 0, index: size, hash: leaf };
  const nodes = [node];
  for (const left of await readNodes(read, siblings)) {
    node = { level: node.level + 1, index: half(node.index), hash: nodeHash(left, node.hash) };
    nodes.push(node);
  }
  return { nodes };
}

/**
 * The peaks of a tree of `size` entries, largest first: the stored nodes that together cover all of it. The nodes that
 * {@link appendLeaf} reads are among them, and the root follows from them alone: see {@link rootOf}.
 */
export function peaksOf(size: number): NodeRef[] {
  return completeSubtrees({ from: 0, to: size });
}

/** The peaks when an entry has come whose nodes are `added`: each but the first of these took in one that there was. */
export function peaksWith(peaks: readonly Uint8Array[], added: readonly StoredNode[]): Uint8Array[] {
  const kept = peaks.slice(0, peaks.length - (added.length - 1));
  return [...kept, ...added.slice(-1).map(({ hash }) => hash)];
}

/** The root of the tree with these peaks. */
export function rootOf(peaks: readonly Uint8Array[]): Uint8Array {
  return peaks.length === 0 ? emptyRoot() : foldRight(peaks);
}

/** The root of the first `size` entries. At most one read, of as many nodes as `size` has one bits. */
export async function treeRoot(read: NodeReader, size: number): Promise<Uint8Array> {
  requireSize(size, 'size');
  return rootOf(await readNodes(read, peaksOf(size)));
}

/** RFC 9162 section 2.1.3.1: the path from leaf `index` to the root of the first `size` entries. One read. */
export async function inclusionProof(read: NodeReader, index: number, size: number): Promise<Uint8Array[]> {
  requireSize(index, 'index');
  requireSize(size, 'size');
  if (index >= size) throw new AppError('not_found', `entry ${index} is not among the first ${size}`);
  const siblings: LeafRange[] = [];
  let range: LeafRange = { from: 0, to: size };
  while (range.to - range.from > 1) {
    const middle = splitPoint(range);
    const left = { from: range.from, to: middle };
    const right = { from: middle, to: range.to };
    siblings.push(index < middle ? right : left);
    range = index < middle ? left : right;
  }
  return readRanges(read, siblings.reverse());
}

/**
 * RFC 9162 section 2.1.4.1: shows that the log of `toSize` entries begins with the log of `fromSize`. One read. Empty where
 * the sizes are equal, and from size 0, which every log begins with.
 */
export async function consistencyProof(
  read: NodeReader,
  fromSize: number,
  toSize: number,
): Promise<Uint8Array[]> {
  requireSize(fromSize, 'fromSize');
  requireSize(toSize, 'toSize');
  if (fromSize > toSize)
    throw new AppError('not_found', `the log has ${toSize} entries, fewer than ${fromSize}`);
  if (fromSize === 0 || fromSize === toSize) return [];
  const parts: LeafRange[] = [];
  let range: LeafRange = { from: 0, to: toSize };
  while (range.to !== fromSize) {
    const middle = splitPoint(range);
    const left = { from: range.from, to: middle };
    const right = { from: middle, to: range.to };
    parts.push(fromSize <= middle ? right : left);
    range = fromSize <= middle ? left : right;
  }
  // Where the old tree is itself a complete subtree of the new one, the verifier already has its hash: the old root.
  if (range.from !== 0) parts.push(range);
  return readRanges(read, parts.reverse());
}

/**
 * Computes a root from leaves in order, in memory that grows with the logarithm of their number. For offline checks of
 * millions of entries; `root()` may be asked at any size on the way.
 */
export class RootBuilder {
  readonly #peaks: Uint8Array[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  append(leaf: Uint8Array): void {
    let node = leaf;
    for (let rest = this.#size; rest % 2 === 1; rest = half(rest)) {
      const left = this.#peaks.pop();
      if (left !== undefined) node = nodeHash(left, node);
    }
    this.#peaks.push(node);
    this.#size++;
  }

  root(): Uint8Array {
    return rootOf(this.#peaks);
  }
}

/** Leaves `from` up to, and without, `to`. In this file `from` is always a multiple of the first power of two ≥ the width. */
interface LeafRange {
  readonly from: number;
  readonly to: number;
}

/** `from` plus the largest power of two that is smaller than the range's width. */
function splitPoint(range: LeafRange): number {
  let width = 1;
  while (width * 2 < range.to - range.from) width *= 2;
  return range.from + width;
}

/** The stored nodes that cover a range, largest first. */
function completeSubtrees(range: LeafRange): NodeRef[] {
  const refs: NodeRef[] = [];
  let from = range.from;
  while (from < range.to) {
    let level = 0;
    let width = 1;
    while (from + width * 2 <= range.to) {
      width *= 2;
      level++;
    }
    refs.push({ level, index: from / width });
    from += width;
  }
  return refs;
}

async function readRanges(read: NodeReader, ranges: readonly LeafRange[]): Promise<Uint8Array[]> {
  const refs = ranges.map(completeSubtrees);
  const nodes = await readNodes(read, refs.flat());
  let end = 0;
  return refs.map(({ length }) => {
    end += length;
    return foldRight(nodes.slice(end - length, end));
  });
}

async function readNodes(read: NodeReader, refs: readonly NodeRef[]): Promise<readonly Uint8Array[]> {
  if (refs.length === 0) return [];
  const hashes = await read(refs);
  if (hashes.length !== refs.length || hashes.some(({ length }) => length !== HASH_BYTES)) {
    throw new AppError('log_inconsistent', 'the audit log lacks a stored tree node');
  }
  return hashes;
}

/** The hash of neighbouring subtrees, each smaller than the one before it: the right edge of an RFC 6962 tree. */
function foldRight(hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

function requireSize(value: number, name: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new AppError('invalid_request', `${name} is not a whole number of entries`);
  }
}
