import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { IncidentRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const incident = createRowCodec<IncidentRow>({});

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('incidents').selectAll().where('id', '=', id);

const filtered = (
  { db }: BuildContext,
  { state, service, limit }: { state?: 'open' | 'resolved'; service?: string; limit: number },
) => {
  let query = db.selectFrom('incidents').selectAll();
  if (state !== undefined) query = query.where('state', '=', state);
  if (service !== undefined) query = query.where('service', '=', service);
  return query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit);
};

const insert = ({ db }: BuildContext, columns: Columns<IncidentRow>) =>
  db.insertInto('incidents').values(columns);

const update = (
  { db }: BuildContext,
  { id, change }: { id: string; change: Partial<Columns<IncidentRow>> },
) => db.updateTable('incidents').set(change).where('id', '=', id);

export function readIncidents(context: QueryContext) {
  return {
    async incident(id) {
      const found = await context.first(byId, { id });
      return found && incident.toRow(found);
    },
    async incidents(filter) {
      return (await context.rows(filtered, filter)).map(incident.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeIncidents(context: QueryContext) {
  return {
    async insertIncident(row) {
      await context.change(insert, incident.toColumns(row));
    },
    async updateIncident(id, change) {
      requireFound(await context.change(update, { id, change: incident.toChange(change) }), 'incident');
    },
  } satisfies Partial<Tx>;
}
