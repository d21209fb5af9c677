import { AppError } from '../protocol/errors.ts';
import { emptyRoot, HASH_BYTES, half, nodeHash, sameBytes } from './tree-hash.ts';

/**
 * Verification of Merkle proofs, pure: RFC 9162 sections 2.1.3.2 and 2.1.4.2. Everything in a proof is attacker-controlled;
 * whatever is off, in shape or in content, is `log_inconsistent`.
 */
export interface InclusionClaim {
  readonly index: number;
  readonly size: number;
  /** The leaf hash, not the entry's bytes. */
  readonly leaf: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

export interface ConsistencyClaim {
  readonly fromSize: number;
  readonly toSize: number;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Returns if `leaf` is entry number `index` of the log with this size and root; else throws `log_inconsistent`. */
export function verifyInclusion({ index, size, leaf, root, proof }: InclusionClaim): void {
  requireThat(isSize(index) && isSize(size) && index < size, 'the entry is outside the log');
  requireThat([leaf, root, ...proof].every(isHash), 'the proof holds something that is not a hash');
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    requireThat(last > 0, 'the inclusion proof is too long');
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node > 0) [node, last] = [node / 2, half(last)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  requireThat(last === 0, 'the inclusion proof is too short');
  requireThat(sameBytes(hash, root), 'the entry is not in the log: the proof leads to another root');
}

/** Returns if the log of `toSize` begins with the log of `fromSize`; else throws `log_inconsistent`. */
export function verifyConsistency({ fromSize, toSize, fromRoot, toRoot, proof }: ConsistencyClaim): void {
  requireThat(isSize(fromSize) && isSize(toSize), 'a log size is not a whole number');
  requireThat(fromSize <= toSize, 'the log has become shorter');
  requireThat([fromRoot, toRoot, ...proof].every(isHash), 'the proof holds something that is not a hash');
  if (fromSize === 0) {
    requireThat(sameBytes(fromRoot, emptyRoot()), 'the root of an empty log is not the empty root');
    requireThat(toSize > 0 || sameBytes(toRoot, fromRoot), 'two logs of the same size have different roots');
    requireThat(proof.length === 0, 'the consistency proof is too long');
    return;
  }
  if (fromSize === toSize) {
    requireThat(sameBytes(fromRoot, toRoot), 'two logs of the same size have different roots');
    requireThat(proof.length === 0, 'the consistency proof is too long');
    return;
  }
  let node = fromSize - 1;
  let last = toSize - 1;
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  // node is 0 here only where fromSize is a power of two: then the old root is the first node of the path.
  const [first, ...rest] = node === 0 ? [fromRoot, ...proof] : proof;
  if (first === undefined) throw inconsistent('the consistency proof is too short');
  let fromHash = first;
  let toHash = first;
  for (const part of rest) {
    requireThat(last > 0, 'the consistency proof is too long');
    if (node % 2 === 1 || node === last) {
      fromHash = nodeHash(part, fromHash);
      toHash = nodeHash(part, toHash);
      while (node % 2 === 0 && node > 0) [node, last] = [node / 2, half(last)];
    } else {
      toHash = nodeHash(toHash, part);
    }
    [node, last] = [half(node), half(last)];
  }
  requireThat(last === 0, 'the consistency proof is too short');
  requireThat(sameBytes(fromHash, fromRoot), 'the newer log does not begin with the older one');
  requireThat(sameBytes(toHash, toRoot), 'the consistency proof leads to another root');
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function requireThat(condition: boolean, otherwise: string): void {
  if (!condition) throw inconsistent(otherwise);
}

function inconsistent(message: string): AppError {
  return new AppError('log_inconsistent', message, {
    hint: 'keep your checkpoint and the log as they are, and tell your security team',
  });
}
