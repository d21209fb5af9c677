import type { SqliteDatabase, SqliteStatement } from 'kysely';
import type Database from 'libsql';

/** More texts than the queries have; only inserts of many rows differ from call to call. */
const MAX_STATEMENTS = 256;

/**
 * libsql as Kysely wants a database. Statements are kept: preparing takes longer than running. Blobs come as ArrayBuffer from
 * the driver and as Buffer, as on PostgreSQL, from here.
 */
export class LibsqlDatabase implements SqliteDatabase {
  readonly #database: Database.Database;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: Database.Database) {
    this.#database = database;
  }

  get inTransaction(): boolean {
    return this.#database.inTransaction;
  }

  /**
   * Runs `begin`, `commit` and the like. Not through a statement: one that met a busy database counts as in progress until it is
   * collected, and no transaction can be committed beside it.
   */
  execute(command: string): void {
    this.#database.exec(command);
  }

  prepare(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const prepared = this.#database.prepare(sql);
    // Not to be reused after an error: whatever state it is in, it goes.
    const run = <T>(call: () => T): T => {
      try {
        return call();
      } catch (error) {
        this.#statements.delete(sql);
        throw error;
      }
    };
    const statement: SqliteStatement = {
      reader: prepared.reader,
      all: (parameters) => run(() => prepared.all(parameters).map(withBuffers)),
      run: (parameters) => run(() => prepared.run(parameters)),
      iterate: (parameters) => prepared.iterate(parameters),
    };
    if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.open) this.#database.close();
  }
}

function withBuffers(row: unknown): unknown {
  const columns = row as Record<string, unknown>;
  for (const name in columns) {
    const value = columns[name];
    if (value instanceof ArrayBuffer) columns[name] = Buffer.from(value);
  }
  return columns;
}
