/** The store's own commands: migrate, backup, restore. */
import { copyFile, rename } from 'node:fs/promises';
import { AppError } from '../protocol/errors.ts';
import { type Host, type Result, withStore } from './host.ts';
import { loadConfig } from './installation.ts';
import { addBreakGlassKeys } from './keys.ts';
import { lockDirectory } from './lock.ts';

export async function brokerMigrate({ directory }: { directory: string }, host: Host): Promise<Result> {
  return withStore(directory, host, async (store, { keysDirectory }) => {
    const applied = await store.migrate();
    const keys = await addBreakGlassKeys(keysDirectory);
    const lines = [
      ...applied.map((version) => `applied ${version}`),
      ...keys.map((file) => `made ${file}: back it up, and copy it to every other broker of this store`),
    ];
    return { data: { applied, keys }, lines: lines.length === 0 ? ['nothing to do'] : lines };
  });
}

export async function brokerBackup(
  { directory, file }: { directory: string; file: string },
  host: Host,
): Promise<Result> {
  return withStore(directory, host, async (store) => {
    await store.backup(file);
    return {
      data: { file },
      lines: [
        `the store is in ${file}; keys/, broker.yaml, catalogue.yaml and policies/ are plain files: copy them too`,
      ],
    };
  });
}

/** Puts a backup in the place of the database; the one that was there is kept beside it. */
export async function brokerRestore(
  { directory, file }: { directory: string; file: string },
  host: Host,
): Promise<Result> {
  const config = await loadConfig(directory);
  if (config.store.kind !== 'sqlite') {
    throw new AppError('usage', 'this broker keeps its store in PostgreSQL', {
      hint: 'restore it with pg_restore',
    });
  }
  const { file: database } = config.store;
  const unlock = await lockDirectory(directory, 'alone');
  try {
    const incoming = `${database}.restoring`;
    await copyFile(file, incoming);
    const { openSqliteStore } = await import('../store/sqlite.ts');
    // Opening it proves that it is a store, and folds whatever write-ahead log it has into the file.
    const candidate = await openSqliteStore({ file: incoming, now: host.now });
    await candidate.checkMigrations().finally(() => candidate.close());
    const kept = `${database}.before-restore`;
    for (const suffix of ['', '-wal', '-shm']) {
      await rename(`${database}${suffix}`, `${kept}${suffix}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    await rename(incoming, database);
    return {
      data: { file, kept },
      lines: [
        `restored; the old store is in ${kept}`,
        'devices that have seen a newer audit checkpoint will refuse this broker until its log is as long again',
      ],
    };
  } finally {
    await unlock();
  }
}
