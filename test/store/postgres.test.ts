import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { openPostgresStore } from '../../src/store/postgres.ts';
import { postgresDialect } from '../../src/store/postgres-dialect.ts';
import type { Schema } from '../../src/store/schema.ts';
import type { Store, Tx } from '../../src/store/store.ts';
import { part } from '../support/parts.ts';
import { ownServer, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { storeContract, type TestStore } from './contract.ts';
import { verifyLog } from './contract-audit.ts';
import { appendEntry, sampleGrant, sampleIncident, unique } from './sample-rows.ts';

let database: Promise<TestDatabase> | undefined;

/** A schema of its own: made in milliseconds, where a database takes a second. */
async function createTestStore(): Promise<TestStore> {
  database ??= testDatabase('store');
  const { url, sql } = await database;
  const schema = unique('store');
  await sql(`create schema ${schema}`);
  const connection = new URL(url);
  connection.searchParams.set('options', `-csearch_path=${schema}`);
  const opened: Store[] = [];
  return {
    target: { url: connection.href },
    async open() {
      const store = await openPostgresStore({ connectionString: connection.href, poolSize: 8 });
      opened.push(store);
      return store;
    },
    async inTransaction(work) {
      const pool = new pg.Pool({ connectionString: connection.href });
      const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
      try {
        return await db.transaction().execute((tx) => work({ db: tx, dialect: postgresDialect }));
      } finally {
        await db.destroy();
      }
    },
    async close() {
      for (const store of opened) await store.close();
    },
  };
}

describe.skipIf(!part('postgres'))('on a real server', () => {
  storeContract('PostgreSQL', createTestStore);

  describe('PostgreSQL', () => {
    it('says so when it cannot be reached', async () => {
      const open = openPostgresStore({ connectionString: 'postgresql://x@127.0.0.1:1/x', poolSize: 1 });
      await expect(open).rejects.toMatchObject({ code: 'internal' });
    });

    it('is backed up by its own tools', async () => {
      const store = await (await createTestStore()).open();
      await expect(store.backup('copy')).rejects.toMatchObject({ code: 'usage' });
      await store.close();
    });

    it('fails a write whose session is ended, leaves nothing of it, and then works again', async () => {
      const database = await testDatabase('store');
      const store = await openPostgresStore({ connectionString: database.url, poolSize: 2 });
      await store.migrate();
      const incident = sampleIncident();
      const write = store.write(async (tx) => {
        await tx.insertIncident(incident);
        await appendEntry(tx, 'incident.declared');
        await database.sql(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid()`,
        );
        await tx.incident(incident.id);
      });
      await expect(write).rejects.toMatchObject({ code: 'internal' });
      expect(await store.read((tx) => tx.incident(incident.id))).toBeUndefined();
      await store.write((tx) => appendEntry(tx, 'again'));
      expect((await verifyLog(store)).size).toBe(1);
      await store.close();
    });

    it('keeps what it acknowledged when the server crashes, and works again once it is back', async () => {
      const server = await ownServer();
      const database = await server.database('store');
      const store = await openPostgresStore({ connectionString: database.url, poolSize: 2 });
      await store.migrate();
      for (let n = 0; n < 20; n++) await store.write((tx) => appendEntry(tx, 'e'));
      await server.stop('crash');
      await expect(store.write((tx) => appendEntry(tx, 'lost'))).rejects.toMatchObject({ code: 'internal' });
      await server.start();
      expect((await verifyLog(store)).size).toBe(20);
      await store.write((tx) => appendEntry(tx, 'e'));
      expect((await verifyLog(store)).size).toBe(21);
      await store.close();
    });

    it.each([
      ['a grant', (tx: Tx, id: string): Promise<unknown> => tx.lockGrant(id)],
      ['an incident', (tx: Tx, id: string): Promise<unknown> => tx.lockIncident(id)],
    ])('does not wait for %s that nobody holds, and waits for one that somebody does', async (_, lock) => {
      const database = await testDatabase('store');
      const store = await openPostgresStore({ connectionString: database.url, poolSize: 4 });
      await store.migrate();
      const [held, free] = [unique('held'), unique('free')];
      await store.write(async (tx) => {
        for (const id of [held, free]) {
          await tx.insertGrant(sampleGrant({ id }), []);
          await tx.insertIncident(sampleIncident({ id }));
        }
      });
      const order: string[] = [];
      let waiting: Promise<unknown> | undefined;
      await store.write(async (tx) => {
        await lock(tx, held);
        waiting = store.write((late) => lock(late, held)).then(() => order.push('second'));
        await store.write((other) => lock(other, free));
        order.push('first');
      });
      await waiting;
      expect(order).toEqual(['first', 'second']);
      await store.close();
    });

    it('sets what its promises rest on in every session, against the defaults of the database', async () => {
      const database = await testDatabase('store');
      await database.sql(`alter database "${database.database}" set synchronous_commit = off`);
      const store = await openPostgresStore({ connectionString: database.url, poolSize: 1 });
      await store.migrate();
      await database.sql(`create table seen (value text);
        create function note() returns trigger language plpgsql as $$ begin
          insert into seen values (current_setting('synchronous_commit')),
            (current_setting('idle_in_transaction_session_timeout'));
          return new; end $$;
        create trigger note before insert on incidents for each row execute function note()`);
      await store.write((tx) => tx.insertIncident(sampleIncident()));
      expect(await database.sql('select value from seen')).toEqual([{ value: 'on' }, { value: '15s' }]);
      await store.close();
    });
  });
});
