import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';

/**
 * Brokers that serve share the lock of their folder; whoever replaces the database under it takes it alone. The kernel frees
 * it when the process ends, however it ends. Throws `busy`.
 */
export async function lockDirectory(
  directory: string,
  mode: 'shared' | 'alone',
): Promise<() => Promise<void>> {
  const { tryLock } = (await import('fs-native-extensions')).default;
  const handle = await open(join(directory, 'broker.lock'), 'a+', 0o600);
  if (!tryLock(handle.fd, { shared: mode === 'shared' })) {
    await handle.close();
    throw new AppError(
      'busy',
      mode === 'alone' ? 'a broker is serving from this folder' : 'a restore is under way',
      {
        hint: mode === 'alone' ? 'stop the broker first' : 'try again in a moment',
      },
    );
  }
  return () => handle.close();
}
