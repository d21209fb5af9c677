import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { ReviewRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const review = createRowCodec<ReviewRow>({ owners: 'json', about: 'json' });

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('reviews').selectAll().where('id', '=', id);

const filtered = (
  { db }: BuildContext,
  { state, user, resource, dueBefore, limit }: Parameters<ReadTx['reviews']>[0],
) => {
  let query = db.selectFrom('reviews').selectAll();
  if (state !== undefined) query = query.where('state', '=', state);
  if (user !== undefined) query = query.where('user_id', '=', user);
  if (resource !== undefined) query = query.where('resource', '=', resource);
  if (dueBefore !== undefined) query = query.where('state', '=', 'open').where('due_at', '<', dueBefore);
  return query.orderBy('opened_at', 'desc').orderBy('id', 'desc').limit(limit);
};

const insert = ({ db }: BuildContext, columns: Columns<ReviewRow>) =>
  db.insertInto('reviews').values(columns);

const close = ({ db }: BuildContext, { id, change }: { id: string; change: Partial<Columns<ReviewRow>> }) =>
  db
    .updateTable('reviews')
    .set({ ...change, state: 'closed' })
    .where('id', '=', id)
    .where('state', '=', 'open');

export function readReviews(context: QueryContext) {
  return {
    async review(id) {
      const found = await context.first(byId, { id });
      return found && review.toRow(found);
    },
    async reviews(filter) {
      return (await context.rows(filtered, filter)).map(review.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeReviews(context: QueryContext) {
  return {
    async insertReview(row) {
      await context.change(insert, review.toColumns(row));
    },
    async closeReview(id, change) {
      return (await context.change(close, { id, change: review.toChange(change) })) > 0n;
    },
  } satisfies Partial<Tx>;
}
