import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { OutboxRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';
import { sweep, sweeping } from './sweep.ts';

const ENDED_KEPT_MS = 30 * 24 * 60 * 60_000;

const notice = createRowCodec<OutboxRow>({ notice: 'json' });
const sent = sweeping({ table: 'outbox', keys: ['id'], until: 'sent_at' });
const failed = sweeping({ table: 'outbox', keys: ['id'], until: 'failed_at' });

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('outbox').selectAll().where('id', '=', id);

const filtered = (
  { db }: BuildContext,
  { subject, channel, limit }: { subject?: string; channel?: string; limit: number },
) => {
  let query = db.selectFrom('outbox').selectAll();
  if (subject !== undefined) query = query.where('subject', '=', subject);
  if (channel !== undefined) query = query.where('channel', '=', channel);
  return query.orderBy('created_at').orderBy('id').limit(limit);
};

const waiting = (context: BuildContext, filter: Parameters<typeof filtered>[1]) =>
  filtered(context, filter).where('sent_at', 'is', null).where('failed_at', 'is', null);

/** Two lists and no `or`: SQLite would read the whole history for that. */
const counts = ({ db }: BuildContext, { sinceMs }: { sinceMs: number }) => {
  const columns = db.selectFrom('outbox').select(['channel', 'created_at', 'failed_at']);
  const waits = columns.where('sent_at', 'is', null).where('failed_at', 'is', null);
  return db
    .selectFrom(waits.unionAll(columns.where('failed_at', '>=', sinceMs)).as('counted'))
    .select(({ fn }) => [
      'channel',
      fn.countAll<number>().filterWhere('failed_at', 'is', null).as('waiting'),
      fn.min<number | null>('created_at').filterWhere('failed_at', 'is', null).as('oldestAt'),
      fn.count<number>('failed_at').as('failed'),
    ])
    .groupBy('channel')
    .orderBy('channel');
};

const insert = ({ db }: BuildContext, columns: Columns<OutboxRow>) =>
  db
    .insertInto('outbox')
    .values(columns)
    .onConflict((conflict) => conflict.column('id').doNothing());

const update = ({ db }: BuildContext, { id, change }: { id: string; change: Partial<Columns<OutboxRow>> }) =>
  db.updateTable('outbox').set(change).where('id', '=', id);

export function readNotices(context: QueryContext) {
  return {
    async notice(id) {
      const found = await context.first(byId, { id });
      return found && notice.toRow(found);
    },
    async notices({ unsent, ...filter }) {
      return (await context.rows(unsent === true ? waiting : filtered, filter)).map(notice.toRow);
    },
    countNotices: (sinceMs) => context.rows(counts, { sinceMs }),
  } satisfies Partial<ReadTx>;
}

export function writeNotices(context: QueryContext) {
  return {
    async insertNotice(row) {
      await sweep(context, sent, row.createdAt - ENDED_KEPT_MS);
      await sweep(context, failed, row.createdAt - ENDED_KEPT_MS);
      return (await context.change(insert, notice.toColumns(row))) === 1n;
    },
    async updateNotice(id, change) {
      requireFound(await context.change(update, { id, change: notice.toChange(change) }), 'notice');
    },
  } satisfies Partial<Tx>;
}
