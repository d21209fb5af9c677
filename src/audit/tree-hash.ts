import { hash } from 'node:crypto';

/** SHA-256, the hash of the audit log's tree (RFC 6962 section 2.1). */
export const HASH_BYTES = 32;

/** SHA-256(0x00 || entry bytes): the prefix keeps a leaf from passing for a node. */
export function leafHash(entry: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + entry.length);
  input.set(entry, 1);
  return hash('sha256', input, 'buffer');
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + 2 * HASH_BYTES);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + HASH_BYTES);
  return hash('sha256', input, 'buffer');
}

/** The root of a log without entries: SHA-256 of nothing. */
export function emptyRoot(): Uint8Array {
  return hash('sha256', new Uint8Array(), 'buffer');
}

/** Equality of public values: not for secrets. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Rounded down. Log sizes can pass 2^31, where the bit operators stop. */
export function half(value: number): number {
  return Math.floor(value / 2);
}
