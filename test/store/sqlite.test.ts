import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { connectSqlite } from '../../src/store/sqlite-connection.ts';
import { createSqliteDialect } from '../../src/store/sqlite-dialect.ts';
import { prepareDatabaseFile } from '../../src/store/sqlite-file.ts';
import type { Store } from '../../src/store/store.ts';
import { tempDir } from '../support/temp.ts';
import { storeContract, type TestStore } from './contract.ts';
import { verifyLog } from './contract-audit.ts';
import { appendEntry, sampleIncident } from './sample-rows.ts';

async function createTestStore(): Promise<TestStore> {
  const file = join(tempDir(), 'oncall.db');
  const opened: Store[] = [];
  return {
    target: { file },
    async open() {
      const store = await openSqliteStore({ file, now: Date.now });
      opened.push(store);
      return store;
    },
    async inTransaction(work) {
      await prepareDatabaseFile(file);
      const { transaction, close } = await connectSqlite(file, 'write');
      const dialect = createSqliteDialect(Date.now);
      try {
        return await transaction(({ db }) => work({ db, dialect }));
      } finally {
        await close();
      }
    },
    async close() {
      for (const store of opened) await store.close();
    },
  };
}

async function freshStore(): Promise<{ store: Store; folder: string; file: string }> {
  const folder = tempDir();
  const file = join(folder, 'oncall.db');
  const store = await openSqliteStore({ file, now: Date.now });
  await store.migrate();
  return { store, folder, file };
}

const mode = (path: string) => statSync(path).mode & 0o777;

storeContract('SQLite', createTestStore);

describe('a SQLite file', () => {
  it('and those beside it are closed to others, whatever the umask', async () => {
    const umask = process.umask(0);
    try {
      const file = join(tempDir(), 'made', 'oncall.db');
      const store = await openSqliteStore({ file, now: Date.now });
      await store.migrate();
      for (const suffix of ['', '-wal', '-shm']) expect(mode(`${file}${suffix}`)).toBe(0o600);
      expect(mode(join(file, '..'))).toBe(0o700);
      await store.close();
    } finally {
      process.umask(umask);
    }
  });

  it('that others can read, or in a folder that others can enter, is refused', async () => {
    const folder = tempDir();
    const file = join(folder, 'oncall.db');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    const open = () => openSqliteStore({ file, now: Date.now });
    await expect(open()).rejects.toMatchObject({ code: 'unsafe_file' });
    chmodSync(file, 0o600);
    chmodSync(folder, 0o755);
    await expect(open()).rejects.toMatchObject({ code: 'unsafe_file' });
    chmodSync(folder, 0o700);
    await (await open()).close();
  });

  it('that is no database is refused', async () => {
    const file = join(tempDir(), 'oncall.db');
    writeFileSync(file, 'x'.repeat(8192), { mode: 0o600 });
    await expect(openSqliteStore({ file, now: Date.now })).rejects.toMatchObject({ code: 'internal' });
  });

  it('is opened durable every time', async () => {
    const { store, file } = await freshStore();
    await store.close();
    const { db, close } = await connectSqlite(file, 'write');
    const { sql } = await import('kysely');
    const value = async (pragma: string) =>
      Object.values((await sql.raw<object>(`pragma ${pragma}`).execute(db)).rows[0]!)[0];
    expect(await value('journal_mode')).toBe('wal');
    expect(await value('synchronous')).toBe(2);
    expect(await value('foreign_keys')).toBe(1);
    await close();
  });

  it('cannot be written through the connection for reading', async () => {
    const { store, file } = await freshStore();
    const { db, close } = await connectSqlite(file, 'read');
    await expect(db.deleteFrom('audit_head').execute()).rejects.toThrow(/readonly/);
    await close();
    await store.close();
  });

  it('is read while another transaction writes', async () => {
    const { store } = await freshStore();
    await store.write(async (tx) => {
      await appendEntry(tx, 'e');
      expect(await store.read((reading) => reading.auditSize())).toBe(0);
    });
    expect(await store.read((tx) => tx.auditSize())).toBe(1);
    await store.close();
  });
});

describe('a backup', () => {
  it('is a whole, closed copy of a store in use', async () => {
    const { store, folder } = await freshStore();
    for (let n = 0; n < 10; n++) await store.write((tx) => appendEntry(tx, 'e'));
    const target = join(folder, 'copy.db');
    await store.backup(target);
    await store.write((tx) => appendEntry(tx, 'later'));
    expect(mode(target)).toBe(0o600);
    const copy = await openSqliteStore({ file: target, now: Date.now });
    await copy.checkMigrations();
    expect((await verifyLog(copy)).size).toBe(10);
    await copy.close();
    await store.close();
  });

  it('never replaces a file, and leaves none where it fails', async () => {
    const { store, folder } = await freshStore();
    const target = join(folder, 'precious');
    writeFileSync(target, 'precious');
    await expect(store.backup(target)).rejects.toMatchObject({ code: 'usage' });
    expect(statSync(target).size).toBe(8);
    await expect(store.backup(join(folder, 'missing', 'copy.db'))).rejects.toMatchObject({
      code: 'internal',
    });
    expect(existsSync(join(folder, 'missing'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
    await store.close();
  });
});

describe('a full disk', () => {
  it('is named, leaves nothing of the write, and is over when there is room', async () => {
    const { store, file } = await freshStore();
    const connection = await connectSqlite(file, 'write');
    const { db, close } = connection;
    await store.close();
    const { sql } = await import('kysely');
    const { createSqlStore } = await import('../../src/store/sql-store.ts');
    const small = createSqlStore({
      dialect: createSqliteDialect(Date.now),
      writer: connection,
      reader: connection,
      backup: async () => {},
      close,
    });
    await sql.raw('pragma max_page_count = 1').execute(db);
    const incident = sampleIncident({ title: 'x'.repeat(5_000_000) });
    const write = small.write(async (tx) => {
      await appendEntry(tx, 'incident.declared');
      await tx.insertIncident(incident);
    });
    await expect(write).rejects.toMatchObject({ code: 'disk_full' });
    expect((await verifyLog(small)).size).toBe(0);
    await sql.raw('pragma max_page_count = 1000000').execute(db);
    await small.write((tx) => tx.insertIncident(incident));
    await small.close();
  });
});
