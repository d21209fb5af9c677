import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { AppError } from '../protocol/errors.ts';
import { postgresDialect } from './postgres-dialect.ts';
import type { Schema } from './schema.ts';
import { createSqlStore, type Session } from './sql-store.ts';
import type { Store } from './store.ts';
import { toStoreError } from './transaction.ts';

/** OID of bigint. Milliseconds and sizes fit in a double; the driver would hand them out as strings. */
const INT8 = 20;

/**
 * For each session. A broker that was paused in the middle of a transaction must not hold the others' locks, and `off` would
 * break the promise that a power cut loses nothing (`on`, `remote_write` and `remote_apply` stay as the administrator set them).
 */
const SESSION = `
  select set_config('idle_in_transaction_session_timeout', '15s', false),
         set_config('statement_timeout', '30s', false),
         case when current_setting('synchronous_commit') = 'off'
              then set_config('synchronous_commit', 'on', false) end`;

/** A `postgresql://` URL, or the parts of one with all that the driver takes (TLS files, say). */
export type PostgresOptions = { readonly poolSize: number } & (
  | { readonly connectionString: string }
  | { readonly config: pg.ClientConfig }
);

/** Opens a pool and one session, so that a wrong address or password shows here. Throws `internal` with the cause. */
export async function openPostgresStore(options: PostgresOptions): Promise<Store> {
  const pool = new pg.Pool({
    ...('config' in options ? options.config : { connectionString: options.connectionString }),
    max: options.poolSize,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    types: { getTypeParser },
    onConnect: async (client: pg.ClientBase) => {
      await client.query(SESSION);
    },
  });
  // A session that the server ended, idle or between two calls of a transaction: unheard, either event ends this process. The
  // pool drops the session by itself; a transaction that had it hears of it at its next call.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  try {
    await postgresDialect.now(db);
  } catch (error) {
    await pool.end();
    throw toStoreError(postgresDialect, error);
  }
  return createSqlStore({
    dialect: postgresDialect,
    writer: {
      db,
      transaction: (work) => db.transaction().execute((transaction) => work(sessionOf(transaction))),
    },
    reader: {
      db,
      transaction: (work) =>
        db
          .transaction()
          .setIsolationLevel('repeatable read')
          .setAccessMode('read only')
          .execute((transaction) => work(sessionOf(transaction))),
    },
    async backup() {
      throw new AppError('usage', 'a PostgreSQL store is backed up by PostgreSQL', {
        hint: 'pg_dump --format=custom --file=oncall.dump DATABASE',
      });
    },
    close: () => db.destroy(),
  });
}

function sessionOf(transaction: Kysely<Schema>): Session {
  return { db: transaction, run: (query) => transaction.executeQuery(query) };
}

const getTypeParser: typeof pg.types.getTypeParser = (
  oid: number,
  format?: 'text' | 'binary',
  // biome-ignore lint/suspicious/noExplicitAny: the signature is the driver's
): any => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'));
