import type { Kysely } from 'kysely';
import type { Dialect } from '../dialect.ts';
import type { Schema } from '../schema.ts';

/** One step of the schema. Once released it never changes. Runs inside a transaction, which it must not end. */
export interface Migration {
  /** Sorts after all that came before: `0001-initial`. */
  readonly name: string;
  apply(db: Kysely<Schema>, types: Dialect['types']): Promise<void>;
}
