import { afterAll } from 'vitest';

// A module is loaded anew for each test file, so this list and this hook are the file's own.
const cleanups: (() => unknown)[] = [];

afterAll(async () => {
  const failures: unknown[] = [];
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'cleaning up after this file failed');
});

/** Runs when the test file has ended, the latest registered first, each even if another fails. */
export function atEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}
