import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { applyMigrations } from '../../src/store/migrate.ts';
import { MIGRATIONS } from '../../src/store/migrations/index.ts';
import type { StoreContext } from './contract.ts';

const NAMES = MIGRATIONS.map(({ name }) => name);

export function migrationContract(context: StoreContext): void {
  describe('migrations', () => {
    it('are required, applied once, and then enough', async () => {
      const { open } = await context.empty();
      const store = await open();
      await expect(store.checkMigrations()).rejects.toMatchObject({ code: 'config_invalid' });
      expect(await store.migrate()).toEqual(NAMES);
      await store.checkMigrations();
      expect(await store.migrate()).toEqual([]);
    });

    it('are applied once when two brokers start together', async () => {
      const { open } = await context.empty();
      const applied = await Promise.all([await open(), await open()].map((store) => store.migrate()));
      expect(applied.flat()).toEqual(NAMES);
    });

    it('that fail half-way leave nothing', async () => {
      const { open, inTransaction } = await context.empty();
      const broken = {
        name: '0002-broken',
        async apply(db: Parameters<(typeof MIGRATIONS)[number]['apply']>[0]) {
          await sql`create table half (id text primary key)`.execute(db);
          await sql`insert into nowhere values (1)`.execute(db);
        },
      };
      const migrate = inTransaction((run) => applyMigrations(run, [...MIGRATIONS, broken]));
      await expect(migrate).rejects.toThrow();
      await expect(inTransaction(({ db, dialect }) => dialect.tableExists(db, 'half'))).resolves.toBe(false);
      const store = await open();
      await expect(store.checkMigrations()).rejects.toMatchObject({ code: 'config_invalid' });
      expect(await store.migrate()).toEqual(NAMES);
    });

    it('of a newer version are refused before anything is done', async () => {
      const { store, other } = await context.fresh();
      const newer = { name: '9999-newer', apply: async () => {} };
      await other.inTransaction((run) => applyMigrations(run, [...MIGRATIONS, newer]));
      await expect(store.checkMigrations()).rejects.toMatchObject({ code: 'config_invalid' });
      await expect(store.migrate()).rejects.toMatchObject({ code: 'config_invalid' });
    });
  });
}
