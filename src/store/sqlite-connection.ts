import { Kysely, SqliteDialect } from 'kysely';
import type Database from 'libsql';
import { AppError } from '../protocol/errors.ts';
import { LibsqlDatabase } from './libsql-database.ts';
import type { Schema } from './schema.ts';
import type { Access, Session } from './sql-store.ts';

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
    // Both are kept in the file, so they matter on the first opening only. Most commits touch many pages, little of each: smaller
    // ones are less to write.
    database.pragma('page_size = 2048');
    const [journal] = database.pragma('journal_mode = wal') as { journal_mode?: unknown }[];
    if (journal?.journal_mode !== 'wal') {
      throw new AppError('config_invalid', 'the volume of the store does not support a write-ahead log', {
        hint: 'put the store on a local file system',
      });
    }
    // Not kept in the file. On macOS only a full fsync outlives a power cut. What was written often since the last checkpoint is
    // copied into the database once: the more pages the log holds, the less there is to copy, at 2 kB of disk a page. An index by
    // random keys is read all over: what of it does not fit into memory (here 32 MiB) is read again and again.
    for (const setting of [
      'synchronous = full',
      'fullfsync = on',
      'foreign_keys = on',
      'wal_autocheckpoint = 8000',
      'cache_size = -32768',
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
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: libsql }) });
  const session: Session = {
    db,
    async run({ sql, parameters }, wanted) {
      const statement = libsql.prepare(sql);
      if (statement.reader && wanted === 'first') {
        const row = statement.first(parameters);
        return { rows: row === undefined ? [] : [row] };
      }
      if (statement.reader) return { rows: statement.all(parameters) };
      return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) };
    },
  };
  return {
    db,
    transaction: transactionsOf(libsql, begin, session),
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

/**
 * One at a time on a connection; directly, because Kysely's way to the driver takes longer than most statements do. A full disk
 * makes SQLite roll back by itself; a second rollback would hide the reason.
 */
function transactionsOf(libsql: LibsqlDatabase, begin: string, session: Session): Access['transaction'] {
  let last: Promise<unknown> = Promise.resolve();
  async function run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    libsql.execute(begin);
    try {
      const result = await work(session);
      libsql.execute('commit');
      return result;
    } catch (error) {
      if (libsql.inTransaction) libsql.execute('rollback');
      throw error;
    }
  }
  return (work) => {
    const turn = last.then(() => run(work));
    last = turn.catch(() => undefined);
    return turn;
  };
}
