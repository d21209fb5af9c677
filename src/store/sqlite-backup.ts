import { lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { openDatabase } from './sqlite-connection.ts';
import { createPrivateFile } from './sqlite-file.ts';

/**
 * A consistent copy of a database in use: written under a temporary name, 0600, synced, renamed. Blocks this process while it
 * copies; other processes go on. Throws `usage` if `target` exists.
 */
export async function backupSqlite(source: string, target: string): Promise<void> {
  const taken = await lstat(target).catch(() => undefined);
  if (taken !== undefined) {
    throw new AppError('usage', `${target} exists already`, { hint: 'name a file that does not exist' });
  }
  const temporary = `${target}.part`;
  await rm(temporary, { force: true });
  try {
    await createPrivateFile(temporary);
    const database = await openDatabase(source);
    try {
      database.prepare('vacuum into ?').run([temporary]);
    } finally {
      database.close();
    }
    await sync(temporary);
    await rename(temporary, target);
    await sync(dirname(target));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
