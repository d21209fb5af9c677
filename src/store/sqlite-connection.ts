import { Kysely, SqliteDialect, SqliteDriver } from 'kysely';
import type Database from 'libsql';
import { AppError } from '../protocol/errors.ts';
import { LibsqlDatabase } from './libsql-database.ts';
import type { Schema } from './schema.ts';
import type { Access } from './sql-store.ts';

/**
 * How long one statement waits for another process's transaction, in milliseconds. The driver is synchronous: all of this
 * process stands still meanwhile. So it is short, and the transaction as a whole is run again (transaction.ts).
 */
const BUSY_TIMEOUT_MS = 50;

export interface SqliteConnection extends Access {
  close(): Promise<void>;
}

/**
 * One connection. `write` begins its transactions immediate: one that begins by reading and writes later would fail
 * whenever another process wrote in between. `read` cannot write at all.
 */
export async function connectSqlite(file: string, mode: 'read' | 'write'): Promise<SqliteConnection> {
  const database = await openDatabase(file);
  try {
    // Kept in the file, so it matters on the first opening only.
    const [journal] = database.pragma('journal_mode = wal') as { journal_mode?: unknown }[];
    if (journal?.journal_mode !== 'wal') {
      throw new AppError('config_invalid', 'the volume of the store does not support a write-ahead log', {
        hint: 'put the store on a local file system',
      });
    }
    // Not kept in the file. On macOS only a full fsync outlives a power cut. What was written often since the last checkpoint is
    // copied into the database once: the more pages the log holds, the less there is to copy, at 4 kB of disk a page.
    for (const setting of [
      'synchronous = full',
      'fullfsync = on',
      'foreign_keys = on',
      'wal_autocheckpoint = 4000',
    ]) {
      database.pragma(setting);
    }
    if (mode === 'read') database.pragma('query_only = on');
  } catch (error) {
    database.close();
    throw error;
  }
  const begin = mode === 'write' ? 'begin immediate' : 'begin';
  const libsql = new LibsqlDatabase(database);
  const db = new Kysely<Schema>({ dialect: new StoreDialect(libsql, begin) });
  return {
    db,
    // Past Kysely, whose way to the driver takes longer than most statements do.
    async run(_transaction, { sql, parameters }) {
      const statement = libsql.prepare(sql);
      if (statement.reader) return { rows: statement.all(parameters) };
      return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) };
    },
    async close() {
      await db.destroy();
      libsql.close();
    },
  };
}

/** The bare database, for what cannot run inside a transaction. */
export async function openDatabase(file: string): Promise<Database.Database> {
  const { default: Libsql } = await import('libsql');
  const database = new Libsql(file);
  database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return database;
}

class StoreDialect extends SqliteDialect {
  readonly #database: LibsqlDatabase;
  readonly #begin: string;

  constructor(database: LibsqlDatabase, begin: string) {
    super({ database });
    this.#database = database;
    this.#begin = begin;
  }

  override createDriver(): SqliteDriver {
    return new StoreDriver(this.#database, this.#begin);
  }
}

class StoreDriver extends SqliteDriver {
  readonly #database: LibsqlDatabase;
  readonly #begin: string;

  constructor(database: LibsqlDatabase, begin: string) {
    super({ database });
    this.#database = database;
    this.#begin = begin;
  }

  override async beginTransaction(): Promise<void> {
    this.#database.execute(this.#begin);
  }

  override async commitTransaction(): Promise<void> {
    this.#database.execute('commit');
  }

  /** A full disk makes SQLite roll back by itself; a second rollback would hide the reason. */
  override async rollbackTransaction(): Promise<void> {
    if (this.#database.inTransaction) this.#database.execute('rollback');
  }
}
