import type { Kysely } from 'kysely';
import type { Dialect } from './dialect.ts';
import { applyMigrations, requireCurrent } from './migrate.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { readAudit, writeAudit } from './queries/audit.ts';
import { readCredentials, writeCredentials } from './queries/credentials.ts';
import { readDevices, writeDevices } from './queries/devices.ts';
import { readGrants, writeGrants } from './queries/grants.ts';
import { readIncidents, writeIncidents } from './queries/incidents.ts';
import { readJobs, writeJobs } from './queries/jobs.ts';
import { readReplay, writeReplay } from './queries/replay.ts';
import { readRequests, writeRequests } from './queries/requests.ts';
import { readRevocations, writeRevocations } from './queries/revocations.ts';
import { CompiledQueries, QueryContext } from './query-context.ts';
import type { Schema } from './schema.ts';
import type { ReadTx, Store, Tx } from './store.ts';
import { runTransaction, toStoreError } from './transaction.ts';

/** An open database. `writer` and `reader` may be the same. */
export interface Engine {
  readonly dialect: Dialect;
  readonly writer: Kysely<Schema>;
  readonly reader: Kysely<Schema>;
  backup(file: string): Promise<void>;
  close(): Promise<void>;
}

export function createSqlStore({ dialect, writer, reader, backup, close }: Engine): Store {
  const compiled = new CompiledQueries();
  const contextOf = (db: Kysely<Schema>) => new QueryContext(db, dialect, compiled);
  const write = <T>(work: (context: QueryContext) => Promise<T>): Promise<T> =>
    writer.transaction().execute((db) => work(contextOf(db)));
  const read = <T>(work: (context: QueryContext) => Promise<T>): Promise<T> =>
    reader
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute((db) => work(contextOf(db)));
  return {
    dialect: dialect.name,
    async now() {
      try {
        return await dialect.now(reader);
      } catch (error) {
        throw toStoreError(dialect, error);
      }
    },
    write: (work) => runTransaction(dialect, (run) => write((context) => run(createTx(context))), work),
    read: (work) => runTransaction(dialect, (run) => read((context) => run(createReadTx(context))), work),
    migrate: () =>
      runTransaction(
        dialect,
        (run) => write((context) => run({ apply: () => applyMigrations(context, MIGRATIONS) })),
        (calls: { apply(): Promise<readonly string[]> }) => calls.apply(),
      ),
    checkMigrations: () =>
      runTransaction(
        dialect,
        (run) => read((context) => run({ check: () => requireCurrent(context, MIGRATIONS) })),
        (calls: { check(): Promise<void> }) => calls.check(),
      ),
    backup,
    close,
  };
}

function createReadTx(context: QueryContext): ReadTx {
  return {
    now: () => context.dialect.now(context.db),
    ...readDevices(context),
    ...readReplay(context),
    ...readIncidents(context),
    ...readRequests(context),
    ...readGrants(context),
    ...readCredentials(context),
    ...readRevocations(context),
    ...readJobs(context),
    ...readAudit(context),
  };
}

function createTx(context: QueryContext): Tx {
  return {
    ...createReadTx(context),
    ...writeDevices(context),
    ...writeReplay(context),
    ...writeIncidents(context),
    ...writeRequests(context),
    ...writeGrants(context),
    ...writeCredentials(context),
    ...writeRevocations(context),
    ...writeJobs(context),
    ...writeAudit(context),
  };
}
