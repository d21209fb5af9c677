import type { SqliteDatabase, SqliteStatement } from 'kysely';
import type Database from 'libsql';

/** More texts than the queries have; only inserts of many rows differ from call to call. */
const MAX_STATEMENTS = 256;

export interface LibsqlStatement extends SqliteStatement {
  /** The first row alone: half the work of `all`. A change is made whole before it answers. */
  first(parameters: readonly unknown[]): unknown;
}

/**
 * libsql as Kysely wants a database. Statements are kept: preparing takes longer than running. The driver hands out rows as bare
 * values, and what names them is read once a statement: naming them is most of its work otherwise. Blobs come as ArrayBuffer
 * from the driver and as Buffer, as on PostgreSQL, from here.
 */
export class LibsqlDatabase implements SqliteDatabase {
  readonly #database: Database.Database;
  readonly #statements = new Map<string, LibsqlStatement>();

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

  prepare(sql: string): LibsqlStatement {
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
    const { reader } = prepared;
    const names = reader
      ? prepared
          .raw()
          .columns()
          .map(({ name }) => name)
      : [];
    const named = (values: unknown) => nameValues(names, values as readonly unknown[]);
    const statement: LibsqlStatement = {
      reader,
      all: (parameters) => run(() => prepared.all(parameters).map(named)),
      first(parameters) {
        const values = run(() => prepared.get(parameters));
        return values === undefined ? undefined : named(values);
      },
      run: (parameters) => run(() => prepared.run(parameters)),
      *iterate(parameters) {
        for (const values of prepared.iterate(parameters)) yield named(values);
      },
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

function nameValues(names: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  names.forEach((name, i) => {
    const value = values[i];
    row[name] = value instanceof ArrayBuffer ? Buffer.from(value) : value;
  });
  return row;
}
