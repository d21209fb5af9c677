import type { NodeReader, StoredNode } from '../../src/audit/merkle.ts';
import { HASH_BYTES } from '../../src/audit/merkle.ts';

/** The stored nodes of a tree in flat memory, level by level: what a database would hold, without its time. */
export class NodeMemory {
  readonly #levels: Buffer[] = [];
  readonly #leaves: number;

  /** Room for a log of so many entries. */
  constructor(leaves: number) {
    this.#leaves = leaves;
  }

  readonly read: NodeReader = async (refs) =>
    refs.map(({ level, index }) => this.#level(level).subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));

  insert(nodes: readonly StoredNode[]): void {
    for (const { level, index, hash } of nodes) this.#level(level).set(hash, index * HASH_BYTES);
  }

  #level(level: number): Buffer {
    const nodes = Math.ceil(this.#leaves / 2 ** level);
    this.#levels[level] ??= Buffer.alloc(nodes * HASH_BYTES);
    return this.#levels[level];
  }
}
