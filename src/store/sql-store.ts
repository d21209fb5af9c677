import type { CompiledQuery, Kysely, QueryResult } from 'kysely';
import type { Dialect } from './dialect.ts';
import { applyMigrations, requireCurrent } from './migrate.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { readAlarms, writeAlarms } from './queries/alarms.ts';
import { readAudit, writeAudit } from './queries/audit.ts';
import { readBreakGlassEpochs, writeBreakGlassEpochs } from './queries/break-glass-epochs.ts';
import { readCredentials, writeCredentials } from './queries/credentials.ts';
import { readDeliveries, writeDeliveries } from './queries/deliveries.ts';
import { readDevices, writeDevices } from './queries/devices.ts';
import { readDrills, writeDrills } from './queries/drills.ts';
import { readGrants, writeGrants } from './queries/grants.ts';
import { readHosts, writeHosts } from './queries/hosts.ts';
import { readIncidents, writeIncidents } from './queries/incidents.ts';
import { readJobs, writeJobs } from './queries/jobs.ts';
import { readJournals, writeJournals } from './queries/journals.ts';
import { readLogins, writeLogins } from './queries/logins.ts';
import { readNotices, writeNotices } from './queries/notices.ts';
import { readPackUses, writePackUses } from './queries/pack-uses.ts';
import { readPacks, writePacks } from './queries/packs.ts';
import { readReplay, writeReplay } from './queries/replay.ts';
import { readRequests, writeRequests } from './queries/requests.ts';
import { readReviews, writeReviews } from './queries/reviews.ts';
import { readRevocations, writeRevocations } from './queries/revocations.ts';
import { readShifts, writeShifts } from './queries/shifts.ts';
import { readStages, writeStages } from './queries/stages.ts';
import { CompiledQueries, QueryContext } from './query-context.ts';
import type { Schema } from './schema.ts';
import type { ReadTx, Store, Tx } from './store.ts';
import { runTransaction, toStoreError } from './transaction.ts';

/** An open database. `writer` and `reader` may be the same. */
export interface Engine {
  readonly dialect: Dialect;
  readonly writer: Access;
  readonly reader: Access;
  backup(file: string): Promise<void>;
  close(): Promise<void>;
}

export interface Access {
  readonly db: Kysely<Schema>;
  /** Begins, and commits when `work` is done; rolls back where either fails. */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** Where the queries of a transaction run. The same object may come again for a later one. */
export interface Session {
  readonly db: Kysely<Schema>;
  /** `first`: no other row is looked at. */
  run(query: CompiledQuery, wanted: 'first' | 'all'): Promise<QueryResult<unknown>>;
}

export function createSqlStore({ dialect, writer, reader, backup, close }: Engine): Store {
  const compiled = new CompiledQueries();
  const contextOf = ({ db, run }: Session) => new QueryContext(db, dialect, compiled, run);
  // Making all these calls takes as long as several of them do.
  const txOf = oncePerSession((session) => createTx(contextOf(session)));
  const readTxOf = oncePerSession((session) => createReadTx(contextOf(session)));
  return {
    dialect: dialect.name,
    async now() {
      try {
        return await dialect.now(reader.db);
      } catch (error) {
        throw toStoreError(dialect, error);
      }
    },
    write: (work) =>
      runTransaction(dialect, (run) => writer.transaction((session) => run(txOf(session))), work),
    read: (work) =>
      runTransaction(dialect, (run) => reader.transaction((session) => run(readTxOf(session))), work),
    migrate: () =>
      runTransaction(
        dialect,
        (run) =>
          writer.transaction(({ db }) => run({ apply: () => applyMigrations({ db, dialect }, MIGRATIONS) })),
        (calls: { apply(): Promise<readonly string[]> }) => calls.apply(),
      ),
    checkMigrations: () =>
      runTransaction(
        dialect,
        (run) =>
          reader.transaction(({ db }) => run({ check: () => requireCurrent({ db, dialect }, MIGRATIONS) })),
        (calls: { check(): Promise<void> }) => calls.check(),
      ),
    backup,
    close,
  };
}

function oncePerSession<Calls>(create: (session: Session) => Calls): (session: Session) => Calls {
  const made = new WeakMap<Session, Calls>();
  return (session) => {
    const calls = made.get(session) ?? create(session);
    made.set(session, calls);
    return calls;
  };
}

function createReadTx(context: QueryContext): ReadTx {
  return {
    now: () => context.dialect.now(context.db),
    ...readDevices(context),
    ...readReplay(context),
    ...readIncidents(context),
    ...readRequests(context),
    ...readStages(context),
    ...readShifts(context),
    ...readDeliveries(context),
    ...readNotices(context),
    ...readReviews(context),
    ...readAlarms(context),
    ...readPacks(context),
    ...readBreakGlassEpochs(context),
    ...readDrills(context),
    ...readJournals(context),
    ...readPackUses(context),
    ...readHosts(context),
    ...readLogins(context),
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
    ...writeStages(context),
    ...writeShifts(context),
    ...writeDeliveries(context),
    ...writeNotices(context),
    ...writeReviews(context),
    ...writeAlarms(context),
    ...writePacks(context),
    ...writeBreakGlassEpochs(context),
    ...writeDrills(context),
    ...writeJournals(context),
    ...writePackUses(context),
    ...writeHosts(context),
    ...writeLogins(context),
    ...writeGrants(context),
    ...writeCredentials(context),
    ...writeRevocations(context),
    ...writeJobs(context),
    ...writeAudit(context),
  };
}
