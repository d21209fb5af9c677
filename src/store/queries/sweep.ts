import { sql } from 'kysely';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { Schema } from '../schema.ts';

/** Sweeping more than one at a time, now and then, costs less than sweeping at each call and keeps up all the same. */
const SWEEP_CHANCE = 1 / 16;
const SWEEP_BATCH = 200;

/** Rows whose `until` is past have done their service; those where it is null never have. `until` needs an index. */
interface Swept<Table extends keyof Schema & string> {
  readonly table: Table;
  /** The primary key. */
  readonly keys: readonly (keyof Schema[Table] & string)[];
  readonly until: keyof Schema[Table] & string;
}

/** Drops a batch of rows whose `until` is past. Rows that another sweep holds are left to it. */
export const sweeping =
  <Table extends keyof Schema & string>({ table, keys, until }: Swept<Table>) =>
  ({ db, dialect }: BuildContext, { beforeMs }: { beforeMs: number }) => {
    const key = sql.join(keys.map((name) => sql.ref(name)));
    const skipLocked = dialect.rowLocks ? sql` for update skip locked` : sql``;
    const query = sql`
      with old as (
        select ${key} from ${sql.table(table)} where ${sql.ref(until)} < ${beforeMs}
        order by ${sql.ref(until)} limit ${SWEEP_BATCH}${skipLocked}
      )
      delete from ${sql.table(table)} where (${key}) in (select ${key} from old)
    `;
    return { compile: () => query.compile(db) };
  };

/** Now and then runs what {@link sweeping} made. */
export async function sweep(
  context: QueryContext,
  old: ReturnType<typeof sweeping>,
  beforeMs: number,
): Promise<void> {
  if (Math.random() < SWEEP_CHANCE) await context.change(old, { beforeMs });
}
