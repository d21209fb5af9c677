import { createRowCodec } from '../columns.ts';
import type { QueryContext } from '../dialect.ts';
import type { IncidentRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const incident = createRowCodec<IncidentRow>({});

export function readIncidents({ db }: QueryContext) {
  return {
    async incident(id) {
      const found = await db.selectFrom('incidents').selectAll().where('id', '=', id).executeTakeFirst();
      return found && incident.toRow(found);
    },
    async incidents({ state, service, limit }) {
      let query = db.selectFrom('incidents').selectAll();
      if (state !== undefined) query = query.where('state', '=', state);
      if (service !== undefined) query = query.where('service', '=', service);
      const found = await query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
      return found.map(incident.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeIncidents({ db }: QueryContext) {
  return {
    async insertIncident(row) {
      await db.insertInto('incidents').values(incident.toColumns(row)).execute();
    },
    async updateIncident(id, change) {
      const { numUpdatedRows } = await db
        .updateTable('incidents')
        .set(incident.toChange(change))
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      requireFound(numUpdatedRows, 'incident');
    },
  } satisfies Partial<Tx>;
}
