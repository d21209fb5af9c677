import { sql } from 'kysely';
import { type Dialect, errorCode, type StoreFailure } from './dialect.ts';

/** A try waits 50 ms at most (sqlite-connection.ts), so this many are about five seconds. */
const MAX_RUNS = 100;

/** `now`: milliseconds since 1970. */
export function createSqliteDialect(now: () => number): Dialect {
  return {
    name: 'sqlite',
    rowLocks: false,
    maxRuns: MAX_RUNS,
    types: { integer: 'integer', bytes: 'blob', endOfTable: ' strict', endOfKeyed: ' strict, without rowid' },
    now: async () => now(),
    ownClock: now,
    nowExpression: (ownClock) => sql<number>`cast(${ownClock} as integer)`,
    lockName: async () => {},
    async tableExists(db, table) {
      const { rows } =
        await sql`select 1 from sqlite_master where type = 'table' and name = ${table}`.execute(db);
      return rows.length > 0;
    },
    failureOf,
  };
}

/** Result codes: https://www.sqlite.org/rescode.html */
function failureOf(error: unknown): StoreFailure {
  const code = errorCode(error);
  if (code.startsWith('SQLITE_BUSY')) return 'lost';
  if (code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY') return 'conflict';
  // The shared-memory file grows by itself; where it cannot, SQLite says I/O error instead of full.
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE' || code === 'ENOSPC') return 'disk_full';
  return 'other';
}
