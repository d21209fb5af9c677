import { createHash, randomBytes } from 'node:crypto';

/** 128 random bits. */
export function createIdempotencyKey(): string {
  return randomBytes(16).toString('base64url');
}

/** The same for the same words, whatever these are: the broker takes keys of its own form alone. */
export function idempotencyKeyOf(words: string): string {
  return createHash('sha256').update(`oncall-key\0${words}`).digest('base64url');
}
