import { type RawBuilder, sql } from 'kysely';
import { createRowCodec } from '../columns.ts';
import type { QueryContext } from '../dialect.ts';
import type { JobRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

/**
 * Due work under leases. A job is free (`lease_until` 0) or taken: by a runner that is at it, or by one that died, which shows
 * once the lease has run out. `attempts` numbers the takings of one id, so that a runner that lost its lease is told so.
 *
 * Work that is asked for while the job is taken must not be lost in the finishing of a run that may have looked before: it is
 * kept in `next_id` and `next_due_at`, as a new job that begins where this one is finished. A later taking of the same job that
 * begins after `next_due_at` covers it.
 */
const job = createRowCodec<JobRow>({});

export function readJobs({ db }: QueryContext) {
  return {
    async nextJobAt(nowMs) {
      const found = await db
        .selectFrom('jobs')
        .select('due_at')
        .where('lease_until', '<=', nowMs)
        .orderBy('due_at')
        .limit(1)
        .executeTakeFirst();
      return found?.due_at;
    },
    async countJobs() {
      return db
        .selectFrom('jobs')
        .select(({ fn }) => [
          'kind',
          fn.countAll<number>().as('count'),
          fn.min<number>('due_at').as('oldestDueAt'),
        ])
        .groupBy('kind')
        .orderBy('kind')
        .execute();
    },
  } satisfies Partial<ReadTx>;
}

export function writeJobs({ db, dialect }: QueryContext) {
  const takenBy = (id: string, attempts: number) =>
    db.updateTable('jobs').where('id', '=', id).where('attempts', '=', attempts).where('lease_until', '>', 0);
  async function ask(
    { id, kind, subject, dueAt }: { id: string; kind: string; subject: string; dueAt: number },
    freeMoves: RawBuilder<boolean>,
  ): Promise<void> {
    await db
      .insertInto('jobs')
      .values({ id, kind, subject, due_at: dueAt, lease_until: 0, attempts: 0, last_error: null })
      .onConflict((conflict) =>
        conflict.columns(['kind', 'subject']).doUpdateSet({
          due_at: sql`case when jobs.lease_until = 0 and ${freeMoves}
            then excluded.due_at else jobs.due_at end`,
          next_id: sql`case when jobs.lease_until = 0 then jobs.next_id
            else coalesce(jobs.next_id, excluded.id) end`,
          next_due_at: sql`case when jobs.lease_until = 0 or jobs.next_due_at <= excluded.due_at
            then jobs.next_due_at else excluded.due_at end`,
        }),
      )
      .execute();
  }
  return {
    insertJob: (job) => ask(job, sql`excluded.due_at < jobs.due_at`),
    deferJob: (job) => ask(job, sql`true`),
    async takeJobs(nowMs, leaseMs, limit) {
      const taken = await db
        .with('due', (nested) =>
          nested
            .selectFrom('jobs')
            .select('id')
            .where('due_at', '<=', nowMs)
            .where('lease_until', '<=', nowMs)
            .orderBy('due_at')
            .limit(limit)
            .$if(dialect.rowLocks, (query) => query.forUpdate().skipLocked()),
        )
        .updateTable('jobs')
        .set((to) => ({
          lease_until: nowMs + leaseMs,
          attempts: to('attempts', '+', 1),
          next_id: sql`case when next_due_at <= ${nowMs} then null else next_id end`,
          next_due_at: sql`case when next_due_at <= ${nowMs} then null else next_due_at end`,
        }))
        .where('id', 'in', (nested) => nested.selectFrom('due').select('id'))
        .returning(['id', 'kind', 'subject', 'due_at', 'lease_until', 'attempts', 'last_error'])
        .execute();
      return taken.map(job.toRow).sort((a, b) => a.dueAt - b.dueAt);
    },
    async finishJob(id, attempts) {
      const { numDeletedRows } = await db
        .deleteFrom('jobs')
        .where('id', '=', id)
        .where('attempts', '=', attempts)
        .where('lease_until', '>', 0)
        .where('next_id', 'is', null)
        .executeTakeFirstOrThrow();
      if (numDeletedRows > 0n) return true;
      const { numUpdatedRows } = await takenBy(id, attempts)
        .set({
          id: sql`next_id`,
          due_at: sql`next_due_at`,
          next_id: null,
          next_due_at: null,
          lease_until: 0,
          attempts: 0,
          last_error: null,
        })
        .where('next_id', 'is not', null)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
    async retryJob(id, attempts, dueAt, error) {
      const { numUpdatedRows } = await takenBy(id, attempts)
        .set({
          due_at: sql`case when next_due_at < ${dueAt} then next_due_at else ${dueAt} end`,
          next_id: null,
          next_due_at: null,
          lease_until: 0,
          last_error: error,
        })
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  } satisfies Partial<Tx>;
}
