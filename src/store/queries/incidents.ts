import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { IncidentRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const incident = createRowCodec<IncidentRow>({ assignees: 'json', labels: 'json' });

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('incidents').selectAll().where('id', '=', id);

const byExternalId = ({ db }: BuildContext, { source, externalId }: { source: string; externalId: string }) =>
  db.selectFrom('incidents').selectAll().where('source', '=', source).where('external_id', '=', externalId);

/** One list of ids, and no `or`: PostgreSQL would read the whole table for that. */
const byAlias = ({ db }: BuildContext, { alias, limit }: { alias: string; limit: number }) =>
  db
    .selectFrom('incidents')
    .selectAll()
    .where('id', 'in', (nested) =>
      nested
        .selectFrom('incident_aliases')
        .select('incident_id')
        .where('alias', '=', alias)
        .unionAll(nested.selectFrom('incidents').select('id as incident_id').where('id', '=', alias)),
    )
    .orderBy('started_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit);

const locked = (context: BuildContext, { id }: { id: string }) =>
  byId(context, { id }).$if(context.dialect.rowLocks, (query) => query.forUpdate());

const filtered = (
  { db }: BuildContext,
  { state, service, source, limit }: Parameters<ReadTx['incidents']>[0],
) => {
  let query = db.selectFrom('incidents').selectAll();
  if (state !== undefined) query = query.where('state', '=', state);
  if (service !== undefined) query = query.where('service', '=', service);
  if (source !== undefined) query = query.where('source', '=', source);
  return query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit);
};

const insert = ({ db }: BuildContext, columns: Columns<IncidentRow>) =>
  db.insertInto('incidents').values(columns);

const update = (
  { db }: BuildContext,
  { id, change }: { id: string; change: Partial<Columns<IncidentRow>> },
) => db.updateTable('incidents').set(change).where('id', '=', id);

const insertAliases = (
  { db }: BuildContext,
  { aliases }: { aliases: readonly { alias: string; incident_id: string }[] },
) =>
  db
    .insertInto('incident_aliases')
    .values(aliases)
    .onConflict((conflict) => conflict.columns(['alias', 'incident_id']).doNothing());

export function readIncidents(context: QueryContext) {
  return {
    async incident(id) {
      const found = await context.first(byId, { id });
      return found && incident.toRow(found);
    },
    async incidentByExternalId(source, externalId) {
      const found = await context.first(byExternalId, { source, externalId });
      return found && incident.toRow(found);
    },
    async incidentsByAlias(alias, limit) {
      return (await context.rows(byAlias, { alias, limit })).map(incident.toRow);
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
    async lockIncident(id) {
      const found = await context.first(locked, { id });
      return found && incident.toRow(found);
    },
    async updateIncident(id, change) {
      requireFound(await context.change(update, { id, change: incident.toChange(change) }), 'incident');
    },
    async addIncidentAliases(id, aliases) {
      if (aliases.length === 0) return;
      await context.change(insertAliases, {
        aliases: aliases.map((alias) => ({ alias, incident_id: id })),
      });
    },
  } satisfies Partial<Tx>;
}
