import { sql } from 'kysely';
import { AppError } from '../protocol/errors.ts';
import type { Migration } from './migrations/migration.ts';
import type { BuildContext } from './query-context.ts';

const TABLE = 'store_migrations';

/**
 * Applies what is missing, oldest first, and returns its names. To be called inside one transaction: all or nothing. Brokers that
 * start at once queue here. Throws `config_invalid` for a store that a newer version wrote, before anything is touched.
 */
export async function applyMigrations(
  { db, dialect }: BuildContext,
  migrations: readonly Migration[],
): Promise<readonly string[]> {
  await dialect.lockName(db, 'oncall migrations');
  const { integer, endOfTable } = dialect.types;
  await sql
    .raw(
      `create table if not exists ${TABLE} (name text primary key, applied_at ${integer} not null)${endOfTable}`,
    )
    .execute(db);
  const missing = await missingMigrations({ db, dialect }, migrations);
  for (const migration of missing) {
    await migration.apply(db, dialect.types);
    await db
      .insertInto(TABLE)
      .values({ name: migration.name, applied_at: await dialect.now(db) })
      .execute();
  }
  return missing.map(({ name }) => name);
}

/** Throws `config_invalid` if a migration is missing, or applied and unknown here. */
export async function requireCurrent(context: BuildContext, migrations: readonly Migration[]): Promise<void> {
  const missing = (await context.dialect.tableExists(context.db, TABLE))
    ? await missingMigrations(context, migrations)
    : migrations;
  if (missing.length === 0) return;
  throw new AppError('config_invalid', `the store lacks ${missing.map(({ name }) => name).join(', ')}`, {
    hint: 'back it up, then run `oncall broker migrate`',
  });
}

async function missingMigrations(
  { db }: BuildContext,
  migrations: readonly Migration[],
): Promise<readonly Migration[]> {
  const applied = new Set((await db.selectFrom(TABLE).select('name').execute()).map(({ name }) => name));
  const missing = migrations.filter(({ name }) => !applied.delete(name));
  if (applied.size > 0) {
    throw new AppError('config_invalid', `the store is newer than this broker: ${[...applied].join(', ')}`, {
      hint: 'install the version of oncall that wrote it',
    });
  }
  return missing;
}
