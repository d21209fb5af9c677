import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { DeliveryRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';
import { sweep, sweeping } from './sweep.ts';

const DONE_KEPT_MS = 30 * 24 * 60 * 60_000;

const delivery = createRowCodec<DeliveryRow>({ incidents: 'json' });
const done = sweeping({ table: 'deliveries', keys: ['id'], until: 'done_at' });

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('deliveries').selectAll().where('id', '=', id);

const insert = ({ db }: BuildContext, columns: Columns<DeliveryRow>) =>
  db
    .insertInto('deliveries')
    .values(columns)
    .onConflict((conflict) => conflict.columns(['source', 'delivery_id']).doNothing());

const finish = (
  { db }: BuildContext,
  { id, doneAt, outcome }: { id: string; doneAt: number; outcome: string },
) => db.updateTable('deliveries').set({ done_at: doneAt, outcome }).where('id', '=', id);

export function readDeliveries(context: QueryContext) {
  return {
    async delivery(id) {
      const found = await context.first(byId, { id });
      return found && delivery.toRow(found);
    },
  } satisfies Partial<ReadTx>;
}

export function writeDeliveries(context: QueryContext) {
  return {
    async insertDelivery(row) {
      await sweep(context, done, row.receivedAt - DONE_KEPT_MS);
      return (await context.change(insert, delivery.toColumns(row))) === 1n;
    },
    async finishDelivery(id, doneAt, outcome) {
      requireFound(await context.change(finish, { id, doneAt, outcome }), 'delivery');
    },
  } satisfies Partial<Tx>;
}
