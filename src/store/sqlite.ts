import { createSqlStore } from './sql-store.ts';
import { backupSqlite } from './sqlite-backup.ts';
import { connectSqlite, type SqliteConnection } from './sqlite-connection.ts';
import { createSqliteDialect } from './sqlite-dialect.ts';
import { prepareDatabaseFile } from './sqlite-file.ts';
import type { Store } from './store.ts';
import { toStoreError } from './transaction.ts';

/**
 * Opens the database file, creating it (0600, in a directory of 0700) where it is missing; `now` is the store's clock, in
 * milliseconds since 1970. Reads have a connection of their own, so they don't wait for writers. Several processes may
 * have the file open. Throws `unsafe_file`, `config_invalid`, `disk_full`, `internal`.
 */
export async function openSqliteStore({ file, now }: { file: string; now: () => number }): Promise<Store> {
  const dialect = createSqliteDialect(now);
  const guarded = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw toStoreError(dialect, error);
    });
  const { writer, reader } = await guarded(connectBoth(file));
  return createSqlStore({
    dialect,
    writer,
    reader,
    backup: (target) => guarded(backupSqlite(file, target)),
    async close() {
      await reader.close();
      await writer.close();
    },
  });
}

async function connectBoth(file: string): Promise<{ writer: SqliteConnection; reader: SqliteConnection }> {
  await prepareDatabaseFile(file);
  const writer = await connectSqlite(file, 'write');
  try {
    return { writer, reader: await connectSqlite(file, 'read') };
  } catch (error) {
    await writer.close();
    throw error;
  }
}
