import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import { atEnd } from './at-end.ts';

export { findFreePort as freePort } from './postgres-server.ts';

/** A fresh, empty directory, 0700 unless told otherwise, removed at the end of the test file. Its path is short. */
export function tempDir({ mode = 0o700 }: { mode?: number } = {}): string {
  const folder = mkdtempSync(join(inject('runFolder'), 't-'));
  chmodSync(folder, mode);
  atEnd(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));
  return folder;
}

export interface WaitOptions {
  /** What is waited for, for the message when it doesn't come. */
  what: string;
  timeoutMs?: number;
}

/**
 * Asks again and again until the condition gives something true, which is returned. One that throws counts as not yet;
 * when the time is up its last error is the cause.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = 10_000 }: WaitOptions,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  let cause: unknown;
  for (const deadline = performance.now() + timeoutMs; ; await sleep(10)) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, false | null | undefined | 0 | ''>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause });
  }
}
