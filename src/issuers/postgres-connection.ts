/**
 * Connections to PostgreSQL targets: a few per database, kept for seconds. Every statement runs under the server's own
 * timeouts, so that it ends there even when this process is gone or paused; an abort drops the connection.
 */
import { checkServerIdentity } from 'node:tls';
import pg from 'pg';
import type { PostgresSettings, Resource, SecretRef } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';

const CONNECTIONS_PER_DATABASE = 4;
const CONNECT_MS = 5_000;
const STATEMENT_MS = 10_000;
const LOCK_MS = 3_000;
const IDLE_MS = 5_000;

export interface PostgresAccess {
  resolveSecret: (ref: SecretRef) => Promise<string>;
  /** PEM text of a CA file named in the catalogue. */
  readCa: (file: string) => Promise<string>;
}

export interface TargetSession {
  /** `server_version_num`: 180004 for 18.4. */
  version: number;
  /** The target's clock, milliseconds since 1970, as read at the start of the session. */
  targetNowMs: number;
  query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

export interface SessionOptions {
  signal: AbortSignal;
  /** Another database of the same server than the catalogue's. */
  database?: string;
}

export interface PostgresTargets {
  /**
   * Runs `work` on a connection of its own. Throws AppError `target_unreachable` or `target_refused`; what PostgreSQL
   * said is only in `cause`.
   */
  use<T>(
    resource: Resource,
    options: SessionOptions,
    work: (session: TargetSession) => Promise<T>,
  ): Promise<T>;
  close(): Promise<void>;
}

export function createPostgresTargets(access: PostgresAccess): PostgresTargets {
  const pools = new Map<string, pg.Pool>();

  async function poolOf(settings: PostgresSettings, database: string): Promise<pg.Pool> {
    const ssl = await tlsOptions(settings, access.readCa);
    // Anything that changes in the catalogue or in the CA file leads to a new pool; the old one's connections idle out.
    const key = JSON.stringify([
      settings.host,
      settings.port,
      database,
      settings.broker,
      settings.sslMode,
      ssl,
    ]);
    const known = pools.get(key);
    if (known) return known;
    const { user, password } = settings.broker;
    const pool = new pg.Pool({
      host: settings.host,
      port: settings.port,
      database,
      user,
      // Asked at every connect, so that a rotated password is picked up.
      ...(password && { password: () => access.resolveSecret(password) }),
      ssl,
      enableChannelBinding: true,
      application_name: 'oncall broker',
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: IDLE_MS,
      max: CONNECTIONS_PER_DATABASE,
      allowExitOnIdle: true,
    });
    // An idle connection that breaks has left the pool already.
    pool.on('error', () => undefined);
    pools.set(key, pool);
    return pool;
  }

  return {
    async use(resource, { signal, database }, work) {
      const settings = postgresSettings(resource);
      try {
        const pool = await poolOf(settings, database ?? settings.database);
        return await withClient(pool, signal, async (client) => work(await openSession(client)));
      } catch (error) {
        throw toAppError(error, resource.id, signal);
      }
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.end()));
      pools.clear();
    },
  };
}

export function postgresSettings(resource: Resource): PostgresSettings {
  if (resource.target.kind !== 'postgres') throw new AppError('internal', 'not a postgres resource');
  return resource.target;
}

/** PostgreSQL's five-character SQLSTATE, where the error came from a statement. */
export function sqlState(error: unknown): string | undefined {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof pg.DatabaseError ? cause.code : undefined;
}

export const quoteName = pg.escapeIdentifier;
export const quoteText = pg.escapeLiteral;

async function withClient<T>(
  pool: pg.Pool,
  signal: AbortSignal,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await acquire(pool, signal);
  let released = false;
  const release = (destroy: boolean): void => {
    if (released) return;
    released = true;
    signal.removeEventListener('abort', abort);
    client.release(destroy);
  };
  const abort = (): void => release(true);
  // A connection that breaks between two statements is seen by the next one.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const result = await work(client);
    release(false);
    return result;
  } catch (error) {
    // Whatever transaction or setting it was in dies with it.
    release(true);
    throw error;
  } finally {
    client.off('error', ignore);
  }
}

async function acquire(pool: pg.Pool, signal: AbortSignal): Promise<pg.PoolClient> {
  signal.throwIfAborted();
  const pending = pool.connect();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(signal.reason);
      pending.then(
        (client) => client.release(),
        () => undefined,
      );
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([pending, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function openSession(client: pg.PoolClient): Promise<TargetSession> {
  // The search path keeps what others put into schemas from standing in for functions and operators used here.
  await client.query(
    `set search_path = pg_catalog; set statement_timeout = ${STATEMENT_MS}; set lock_timeout = ${LOCK_MS};
     set idle_in_transaction_session_timeout = ${STATEMENT_MS}`,
  );
  const { rows } = await client.query<{ version: number; now: number }>(
    `select current_setting('server_version_num')::int as version,
            (extract(epoch from clock_timestamp()) * 1000)::float8 as now`,
  );
  const [first] = rows;
  if (!first) throw new AppError('target_refused', 'the target does not behave like PostgreSQL');
  return {
    version: first.version,
    targetNowMs: first.now,
    async query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]> {
      const result = await client.query(text, values && [...values]);
      return result.rows as Row[];
    },
  };
}

export async function tlsOptions(
  { host, sslMode, caFile }: PostgresSettings,
  readCa: PostgresAccess['readCa'],
): Promise<pg.ClientConfig['ssl'] & (object | false)> {
  if (sslMode === 'disable') return false;
  if (sslMode === 'require') return { rejectUnauthorized: false };
  return {
    rejectUnauthorized: true,
    ...(caFile !== undefined && { ca: await readCa(caFile) }),
    // node-pg names no host to TLS where the host is an address, and TLS would then check against `localhost`.
    checkServerIdentity: (_name: string, certificate) => checkServerIdentity(host, certificate),
  };
}

/** Classes of SQLSTATE that may be gone at the next try: connection, conflict, resources, locks, shutdown, our deadline. */
const PASSING = /^(08|40|53|55|57|58|XX|OC)/;

function toAppError(error: unknown, resource: string, signal: AbortSignal): AppError {
  if (error instanceof AppError) return error;
  if (signal.aborted) {
    return new AppError('target_unreachable', `${resource} did not answer in time`, { cause: error });
  }
  const state = sqlState(error);
  if (state !== undefined && !PASSING.test(state)) {
    return new AppError('target_refused', `${resource} refused (SQLSTATE ${state})`, {
      hint: `on the broker's host: oncall broker target ${resource} --check`,
      cause: error,
    });
  }
  const message = state === undefined ? 'cannot be reached' : `is not ready (SQLSTATE ${state})`;
  return new AppError('target_unreachable', `${resource} ${message}`, { cause: error });
}
