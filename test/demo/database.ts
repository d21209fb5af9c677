// The demo's target: a real PostgreSQL, asked as people ask it.
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import pg from 'pg';
import { type PostgresServer, postgresUrl, startPostgres } from '../support/postgres-server.ts';
import { TARGET_SQL } from './setting.ts';
import { atEnd, detail, type OncallOptions, oncall, until } from './stage.ts';

export interface Login {
  user: string;
  password: string;
}

export async function startTarget(folder: string, brokerPassword: string): Promise<PostgresServer> {
  const postgres = await startPostgres({ folder });
  atEnd(() => postgres.stop());
  await query(postgres, 'postgres', 'CREATE DATABASE orders');
  await query(postgres, 'orders', TARGET_SQL(brokerPassword));
  return postgres;
}

export async function query(postgres: PostgresServer, database: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl(postgres, database) });
  await client.connect();
  await client.query(sql);
  await client.end();
}

/** `psql`, or the smallest client where there is none. */
export async function runQuery(person: string, target: string, sql: string): Promise<void> {
  const hasPsql = (process.env.PATH ?? '').split(delimiter).some((path) => existsSync(join(path, 'psql')));
  const client = hasPsql ? ['psql', '-XAtc'] : [process.execPath, resolve('dist/test/query.js')];
  await oncall(person, ['run', target, '--', ...client, sql]);
}

/** The very login that `run` uses: to be tried again after its end. */
export async function loginOf(person: string, target: string, options: OncallOptions = {}): Promise<Login> {
  const { output } = await oncall(person, ['credential', target, '--format', 'json'], {
    ...options,
    quiet: true,
  });
  return JSON.parse(output) as Login;
}

/** Where a grant ends by itself, its login is removed a moment after. */
export async function untilRefused(postgres: PostgresServer, { user, password }: Login): Promise<void> {
  let refusal = '';
  await until('the login to be refused', async () => {
    const client = new pg.Client({
      connectionString: postgresUrl({ ...postgres, port: postgres.port, user, password }, 'orders'),
      ssl: { ca: readFileSync(postgres.caFile, 'utf8') },
    });
    // The broker may cut this very session.
    client.on('error', () => {});
    refusal = await client.connect().then(
      () => '',
      (error: Error) => error.message,
    );
    await client.end();
    return refusal !== '';
  });
  detail(`the same user and password again: ${refusal}`);
}
