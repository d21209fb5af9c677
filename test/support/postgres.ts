import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { atEnd } from './at-end.ts';
import { requirePart } from './parts.ts';
import type { PostgresPackage } from './postgres-programs.ts';
import { type PostgresAddress, type PostgresServer, postgresUrl, startPostgres } from './postgres-server.ts';
import { noteProcess } from './run-folder.ts';

export interface TestDatabase extends PostgresAddress {
  database: string;
  /** Address for the superuser; no TLS unless `sslmode` is added. */
  url: string;
  /** Runs SQL as the superuser in this database and gives the rows (those of the last statement, if several). */
  sql<Row extends Record<string, unknown> = Record<string, unknown>>(
    text: string,
    params?: unknown[],
  ): Promise<Row[]>;
  /** The address for another login. */
  urlFor(user: string, password: string): string;
  /** Ends all sessions in it and removes it; done at the end of the test file if not before. */
  drop(): Promise<void>;
}

/**
 * A fresh database on the run's server. Roles belong to the whole server, which the whole run shares: give them names of
 * your own, or take `ownServer`.
 */
export async function testDatabase(name = 'test'): Promise<TestDatabase> {
  requirePart('postgres');
  const server = inject('postgres');
  if (!server) throw new Error('this run has no PostgreSQL server');
  return await createDatabase(server, name);
}

export interface OwnServer extends PostgresServer {
  /** A fresh database on this server. */
  database(name?: string): Promise<TestDatabase>;
}

/** A private server, for tests that stop, crash or pause their target, or count on nobody else's roles. */
export async function ownServer(npmPackage?: PostgresPackage): Promise<OwnServer> {
  requirePart('postgres');
  const folder = inject('runFolder');
  const server = await startPostgres({
    folder,
    npmPackage,
    onSpawn: (pid) => noteProcess(folder, pid),
  });
  atEnd(() => server.stop('crash'));
  // Not a spread copy: `port` and `pid` are read when asked for.
  return Object.assign(server, { database: (name = 'test') => createDatabase(server, name) });
}

async function createDatabase(server: PostgresAddress, name: string): Promise<TestDatabase> {
  const database = `${name}_${randomBytes(4).toString('hex')}`;
  const { host, port, user, password, caFile } = server;
  await query(postgresUrl(server, 'postgres'), `create database ${pg.escapeIdentifier(database)}`);
  const pool = new pg.Pool({ connectionString: postgresUrl(server, database), max: 4 });
  // A server that a test stops breaks idle connections: the next query says so, this process lives on.
  pool.on('error', () => {});
  let dropped = false;

  async function drop(): Promise<void> {
    if (dropped) return;
    dropped = true;
    await pool.end();
    await query(
      postgresUrl(server, 'postgres'),
      `drop database ${pg.escapeIdentifier(database)} with (force)`,
    );
  }
  // A server that a test stopped or paused takes the database with it.
  atEnd(() => drop().catch(() => {}));
  return {
    host,
    port,
    user,
    password,
    caFile,
    database,
    url: postgresUrl(server, database),
    urlFor: (login, secret) => postgresUrl({ host, port, user: login, password: secret }, database),
    async sql<Row extends Record<string, unknown>>(text: string, params?: unknown[]) {
      const result: pg.QueryResult<Row> | pg.QueryResult<Row>[] = await pool.query<Row>(text, params);
      return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
    },
    drop,
  };
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
