import { closeSync, openSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { dirname } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { ensureDir, isSystemError, writeFailure } from './files.ts';

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [2, 50];

export interface Locks {
  tryLock(fd: number): boolean;
}

/** Under the package's own way of finding its native part, which takes five times as long as loading it, for where that fails. */
export async function loadLocks(): Promise<Locks> {
  const { createRequire } = await import('node:module');
  const host = `${platform()}-${arch()}`;
  try {
    const native = createRequire(__filename)(
      `fs-native-extensions/prebuilds/${host}/fs-native-extensions.node`,
    );
    return { tryLock: (fd) => tryNativeLock(native, fd) };
  } catch {
    return (await import('fs-native-extensions')).default;
  }
}

/** An exclusive lock on the whole file. */
function tryNativeLock(native: { tryLock: (...values: unknown[]) => void }, fd: number): boolean {
  try {
    native.tryLock(fd, 0, 0, true);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EAGAIN')) return false;
    throw error;
  }
}

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
  const locks = await loadLocks();
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

export function openLockFile(path: string): number {
  try {
    return openSync(path, 'a+', 0o600);
  } catch (error) {
    throw writeFailure(error, path);
  }
}
