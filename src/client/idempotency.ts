import { randomBytes } from 'node:crypto';

/** 128 random bits. */
export function createIdempotencyKey(): string {
  return randomBytes(16).toString('base64url');
}
