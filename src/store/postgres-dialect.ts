import { sql } from 'kysely';
import { type Dialect, errorCode, type StoreFailure } from './dialect.ts';

const nowExpression = () => sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;

export const postgresDialect: Dialect = {
  name: 'postgres',
  rowLocks: true,
  maxRuns: 10,
  types: { integer: 'bigint', bytes: 'bytea', endOfTable: '', endOfKeyed: '' },
  ownClock: () => 0,
  nowExpression,
  async now(db) {
    const { now } = await db.selectNoFrom(nowExpression().as('now')).executeTakeFirstOrThrow();
    return now;
  },
  async lockName(db, name) {
    await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(db);
  },
  async tableExists(db, table) {
    const { rows } = await sql<{ found: boolean }>`select to_regclass(${table}) is not null as found`.execute(
      db,
    );
    return rows[0]?.found === true;
  },
  failureOf,
};

/** SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
function failureOf(error: unknown): StoreFailure {
  switch (errorCode(error)) {
    case '40001': // serialization_failure
    case '40P01': // deadlock_detected
      return 'lost';
    case '23505': // unique_violation
      return 'conflict';
    case '53100': // disk_full
      return 'disk_full';
    default:
      return 'other';
  }
}
