import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { ensureDir, writeFailure } from './files.ts';

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [2, 50];

const loadLocks = () => import('fs-native-extensions');

/** Loads the native part, which takes some milliseconds, before it is needed. A failure is the business of who needs it. */
export function prepareLocks(): void {
  loadLocks().catch(() => {});
}

/**
 * Runs `fn` while holding the lock file, which the operating system frees when the process ends, however it ends. Asks
 * again and again instead of waiting in the kernel, where a wait could not be given up. The file stays: removing it would
 * let two processes hold locks on two files of one name. Throws AppError `busy` after `timeoutMs`.
 */
export async function withLock<T>(
  path: string,
  fn: () => Promise<T>,
  { timeoutMs }: { timeoutMs: number },
): Promise<T> {
  ensureDir(dirname(path));
  const { default: locks } = await loadLocks();
  const file = openLockFile(path);
  try {
    let waitedMs = 0;
    for (
      let pauseMs = FIRST_PAUSE_MS;
      !locks.tryLock(file);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    ) {
      if (waitedMs >= timeoutMs) {
        throw new AppError('busy', 'another oncall command is at it', { hint: 'try again in a moment' });
      }
      waitedMs += pauseMs;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return await fn();
  } finally {
    closeSync(file);
  }
}

function openLockFile(path: string): number {
  try {
    return openSync(path, 'a+', 0o600);
  } catch (error) {
    throw writeFailure(error, path);
  }
}
