import { type RawBuilder, sql } from 'kysely';
import { createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
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

type Taking = Parameters<Tx['finishJob']>[0];

type Kinds = readonly string[] | undefined;

const nextDue = ({ db }: BuildContext, { nowMs, kinds }: { nowMs: number; kinds: Kinds }) =>
  db
    .selectFrom('jobs')
    .select('due_at')
    .where('lease_until', '<=', nowMs)
    .$if(kinds !== undefined, (query) => query.where('kind', 'in', kinds ?? []))
    .orderBy('due_at')
    .limit(1);

const counts = ({ db }: BuildContext) =>
  db
    .selectFrom('jobs')
    .select(({ fn }) => [
      'kind',
      fn.countAll<number>().as('count'),
      fn.min<number>('due_at').as('oldestDueAt'),
    ])
    .groupBy('kind')
    .orderBy('kind');

const ask =
  (freeMoves: RawBuilder<boolean>) =>
  (
    { db }: BuildContext,
    { id, kind, subject, dueAt }: { id: string; kind: string; subject: string; dueAt: number },
  ) =>
    db
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
      );

const insert = ask(sql`excluded.due_at < jobs.due_at`);
const defer = ask(sql`true`);

const take = (
  { db, dialect }: BuildContext,
  { nowMs, leaseUntil, limit, kinds }: { nowMs: number; leaseUntil: number; limit: number; kinds: Kinds },
) =>
  db
    .with('due', (nested) =>
      nested
        .selectFrom('jobs')
        .select(['subject', 'kind'])
        .where('due_at', '<=', nowMs)
        .where('lease_until', '<=', nowMs)
        .$if(kinds !== undefined, (query) => query.where('kind', 'in', kinds ?? []))
        .orderBy('due_at')
        .limit(limit)
        .$if(dialect.rowLocks, (query) => query.forUpdate().skipLocked()),
    )
    .updateTable('jobs')
    .set((to) => ({
      lease_until: leaseUntil,
      attempts: to('attempts', '+', 1),
      next_id: sql`case when next_due_at <= ${nowMs} then null else next_id end`,
      next_due_at: sql`case when next_due_at <= ${nowMs} then null else next_due_at end`,
    }))
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('subject', 'kind'),
        'in',
        selectFrom('due').select(['subject', 'kind']).$asTuple('subject', 'kind'),
      ),
    )
    .returning(['id', 'kind', 'subject', 'due_at', 'lease_until', 'attempts', 'last_error']);

const remove = ({ db }: BuildContext, { id, kind, subject, attempts }: Taking) =>
  db
    .deleteFrom('jobs')
    .where('subject', '=', subject)
    .where('kind', '=', kind)
    .where('id', '=', id)
    .where('attempts', '=', attempts)
    .where('lease_until', '>', 0)
    .where('next_id', 'is', null);

const taken = ({ db }: BuildContext, { id, kind, subject, attempts }: Taking) =>
  db
    .updateTable('jobs')
    .where('subject', '=', subject)
    .where('kind', '=', kind)
    .where('id', '=', id)
    .where('attempts', '=', attempts)
    .where('lease_until', '>', 0);

const beginNext = (context: BuildContext, taking: Taking) =>
  taken(context, taking)
    .set({
      id: sql`next_id`,
      due_at: sql`next_due_at`,
      next_id: null,
      next_due_at: null,
      lease_until: 0,
      attempts: 0,
      last_error: null,
    })
    .where('next_id', 'is not', null);

const retry = (
  context: BuildContext,
  { dueAt, error, ...taking }: Taking & { dueAt: number; error: string },
) =>
  taken(context, taking).set({
    due_at: sql`case when next_due_at < ${dueAt} then next_due_at else ${dueAt} end`,
    next_id: null,
    next_due_at: null,
    lease_until: 0,
    last_error: error,
  });

export function readJobs(context: QueryContext) {
  return {
    async nextJobAt(nowMs, kinds) {
      return (await context.first(nextDue, { nowMs, kinds }))?.due_at;
    },
    countJobs: () => context.rows(counts, {}),
  } satisfies Partial<ReadTx>;
}

export function writeJobs(context: QueryContext) {
  return {
    async insertJob(asked) {
      await context.change(insert, asked);
    },
    async deferJob(asked) {
      await context.change(defer, asked);
    },
    async takeJobs(nowMs, leaseMs, limit, kinds) {
      const found = await context.rows(take, { nowMs, leaseUntil: nowMs + leaseMs, limit, kinds });
      return found.map(job.toRow).sort((a, b) => a.dueAt - b.dueAt);
    },
    async finishJob({ id, kind, subject, attempts }) {
      const taking = { id, kind, subject, attempts };
      if ((await context.change(remove, taking)) > 0n) return true;
      return (await context.change(beginNext, taking)) > 0n;
    },
    async retryJob({ id, kind, subject, attempts }, dueAt, error) {
      return (await context.change(retry, { id, kind, subject, attempts, dueAt, error })) > 0n;
    },
  } satisfies Partial<Tx>;
}
