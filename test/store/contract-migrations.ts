import { type Kysely, sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { appendLeaf, leafHash, type NodeRef, RootBuilder, rootOf, treeRoot } from '../../src/audit/merkle.ts';
import { applyMigrations } from '../../src/store/migrate.ts';
import { MIGRATIONS } from '../../src/store/migrations/index.ts';
import type { Schema } from '../../src/store/schema.ts';
import type { StoreContext } from './contract.ts';
import { sampleGrant, sampleIncident } from './sample-rows.ts';

const NAMES = MIGRATIONS.map(({ name }) => name);

/** As the version that knew 0001 alone wrote them. */
const ROWS_OF_0001 = [
  `insert into incidents values
    ('P1-1', 'manual', 'open', 'P1', 'orders', 'slow', 'grace', 10, null, null),
    ('P1-2', 'manual', 'resolved', 'P1', 'orders', 'slow', 'grace', 10, 20, 'ada')`,
  `insert into requests values ('req_1', 'ada', 'dev_1', 'granted', '[]', 'P1-1', null, 60, 'ab', 'null', '[]', 10, 20, 10, 'x')`,
  `insert into grants values
    ('gr_1', 'req_1', 'ada', 'db', 'read', 'active', 'approval', 10, 20, 30, 0, 25, null, null)`,
  "insert into grant_incidents values ('gr_1', 'P1-1')",
  "insert into jobs values ('job_1', 'end', 'gr_1', 10, 0, 2, 'target down', null, null)",
];

/** The log of a store of 0001, appended as that version did: each node under its number in its level. */
async function appendAt0001({ db }: { db: Kysely<Schema> }, entries: number): Promise<Uint8Array[]> {
  const leaves: Uint8Array[] = [];
  const nodes = new Map<string, Uint8Array>();
  const read = async (refs: readonly NodeRef[]) =>
    refs.map(({ level, index }) => nodes.get(`${level}/${index}`)!);
  for (let index = 0; index < entries; index += 1) {
    const leaf = leafHash(Buffer.from(`entry ${index}`));
    leaves.push(leaf);
    await sql`insert into audit_entries values (${index}, 10, 'e', ${`entry ${index}`})`.execute(db);
    for (const node of (await appendLeaf(read, index, leaf)).nodes) {
      nodes.set(`${node.level}/${node.index}`, node.hash);
      await sql`insert into audit_nodes values (${node.level}, ${node.index}, ${node.hash})`.execute(db);
    }
  }
  await sql`insert into audit_subjects values ('gr_1', 3)`.execute(db);
  await sql`update audit_head set size = ${entries}`.execute(db);
  return leaves;
}

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
        name: '9998-broken',
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

    it('keep what a store of the version before holds, and what it means', async () => {
      const { open, inTransaction } = await context.empty();
      const leaves: Uint8Array[] = [];
      await inTransaction(async (run) => {
        await applyMigrations(run, MIGRATIONS.slice(0, 1));
        for (const row of ROWS_OF_0001) await sql.raw(row).execute(run.db);
        leaves.push(...(await appendAt0001(run, 13)));
      });
      const store = await open();
      await expect(store.checkMigrations()).rejects.toMatchObject({ code: 'config_invalid' });
      expect(await store.migrate()).toEqual(NAMES.slice(1));
      await store.checkMigrations();
      await store.read(async (tx) => {
        const old = sampleIncident({ title: 'slow', assignees: [], url: '', labels: {}, startedAt: 10 });
        expect(await tx.incident('P1-1')).toEqual({
          ...old,
          id: 'P1-1',
          externalId: 'P1-1',
          openedAt: 10,
          changedAt: 10,
        });
        expect(await tx.incident('P1-2')).toEqual({
          ...old,
          id: 'P1-2',
          externalId: 'P1-2',
          state: 'resolved',
          openedAt: 10,
          changedAt: 20,
          resolvedAt: 20,
          resolvedBy: 'ada',
        });
        expect(await tx.incidentByExternalId('manual', 'P1-1')).toMatchObject({ id: 'P1-1' });
        expect(await tx.incidentsByAlias('P1-2', 9)).toMatchObject([{ id: 'P1-2' }]);
        expect(await tx.request('req_1')).toMatchObject({ bundle: null, state: 'granted', targets: [] });
        expect(await tx.stages('req_1')).toEqual([]);
        expect(await tx.grants({ states: ['active'], limit: 9 })).toEqual([
          sampleGrant({
            id: 'gr_1',
            requestId: 'req_1',
            user: 'ada',
            resource: 'db',
            via: 'approval',
            startsAt: 10,
            endsAt: 20,
            hardEndsAt: 30,
            shiftEndsAt: 25,
          }),
        ]);
        expect(await tx.incidentsOf('gr_1')).toEqual(['P1-1']);
        expect(await tx.nextJobAt(10, ['end'])).toBe(10);
        const root = new RootBuilder();
        for (const leaf of leaves) root.append(leaf);
        expect(await treeRoot((refs) => tx.auditNodes(refs), 13)).toEqual(root.root());
        expect(rootOf((await tx.auditHead()).peaks)).toEqual(root.root());
        expect((await tx.auditSearch({ event: 'e', limit: 99 })).map(({ index }) => index)).toHaveLength(13);
        expect(await tx.auditSearch({ subject: 'gr_1', limit: 9 })).toMatchObject([{ index: 3 }]);
      });
      const job = { id: 'job_1', kind: 'end', subject: 'gr_1', dueAt: 10, leaseUntil: 15, attempts: 3 };
      const taken = await store.write((tx) => tx.takeJobs(10, 5, 9));
      expect(taken).toEqual([{ ...job, lastError: 'target down' }]);
      // It goes on where it was.
      await store.write((tx) =>
        tx.appendAudit((index) => ({ event: 'next', subject: {}, bytes: Buffer.from(`entry ${index}`) })),
      );
      const longer = new RootBuilder();
      for (const leaf of [...leaves, leafHash(Buffer.from('entry 13'))]) longer.append(leaf);
      await store.read(async (tx) => {
        expect(await treeRoot((refs) => tx.auditNodes(refs), 14)).toEqual(longer.root());
        expect(rootOf((await tx.auditHead()).peaks)).toEqual(longer.root());
      });
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
