import type { Kysely, RawBuilder } from 'kysely';
import type { Schema } from './schema.ts';

/**
 * All that differs between the databases. The queries are written once and ask here.
 */
export interface Dialect {
  readonly name: 'sqlite' | 'postgres';
  /** Whether `for update` and `skip locked` exist. SQLite has one writer at a time and needs neither. */
  readonly rowLocks: boolean;
  /** How often a transaction that lost against another is run before the caller hears `busy`. */
  readonly maxRuns: number;
  /** Names for the migrations. `integer` holds milliseconds since 1970; `endOfKeyed` ends a table that is stored by its key. */
  readonly types: {
    readonly integer: string;
    readonly bytes: string;
    readonly endOfTable: string;
    readonly endOfKeyed: string;
  };

  now(db: Kysely<Schema>): Promise<number>;
  /** The clock where it is this process's own, to be handed to `nowExpression`. */
  ownClock(): number;
  /** The same clock as an expression, to save a round trip. */
  nowExpression(ownClock: number): RawBuilder<number>;
  /** Holds `name` until the transaction ends. */
  lockName(db: Kysely<Schema>, name: string): Promise<void>;
  tableExists(db: Kysely<Schema>, table: string): Promise<boolean>;
  failureOf(error: unknown): StoreFailure;
}

export type StoreFailure =
  /** It lost against another transaction: run it again. */
  | 'lost'
  /** A unique constraint. */
  | 'conflict'
  | 'disk_full'
  | 'other';

export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
