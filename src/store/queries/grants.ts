import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { GrantRow } from '../rows.ts';
import type { GrantFilter, ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const grant = createRowCodec<GrantRow>({});

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('grants').selectAll().where('id', '=', id);

const locked = ({ db, dialect }: BuildContext, { id }: { id: string }) =>
  db
    .selectFrom('grants')
    .selectAll()
    .where('id', '=', id)
    .$if(dialect.rowLocks, (query) => query.forUpdate());

const filtered = (
  { db }: BuildContext,
  { user, resource, role, incident, requestId, states, rule, limit }: GrantFilter,
) => {
  let query = db.selectFrom('grants').selectAll();
  if (user !== undefined) query = query.where('user_id', '=', user);
  if (resource !== undefined) query = query.where('resource', '=', resource);
  if (role !== undefined) query = query.where('role', '=', role);
  if (requestId !== undefined) query = query.where('request_id', '=', requestId);
  if (states !== undefined) query = query.where('state', 'in', [...states]);
  if (rule !== undefined) query = query.where('rule', '=', rule);
  if (incident !== undefined) {
    query = query.where('id', 'in', (nested) =>
      nested.selectFrom('grant_incidents').select('grant_id').where('incident', '=', incident),
    );
  }
  return query.orderBy('starts_at', 'desc').orderBy('id', 'desc').limit(limit);
};

const incidentsOf = ({ db }: BuildContext, { grantId }: { grantId: string }) =>
  db.selectFrom('grant_incidents').select('incident').where('grant_id', '=', grantId).orderBy('incident');

const insert = ({ db }: BuildContext, columns: Columns<GrantRow>) => db.insertInto('grants').values(columns);

const update = ({ db }: BuildContext, { id, change }: { id: string; change: Partial<Columns<GrantRow>> }) =>
  db.updateTable('grants').set(change).where('id', '=', id);

const insertIncidents = (
  { db }: BuildContext,
  { links }: { links: readonly { grant_id: string; incident: string }[] },
) =>
  db
    .insertInto('grant_incidents')
    .values(links)
    .onConflict((conflict) => conflict.columns(['grant_id', 'incident']).doNothing());

export function readGrants(context: QueryContext) {
  return {
    async grant(id) {
      const found = await context.first(byId, { id });
      return found && grant.toRow(found);
    },
    async grants(filter) {
      // PostgreSQL takes no empty list.
      if (filter.states?.length === 0) return [];
      return (await context.rows(filtered, filter)).map(grant.toRow);
    },
    async incidentsOf(grantId) {
      return (await context.rows(incidentsOf, { grantId })).map(({ incident }) => incident);
    },
  } satisfies Partial<ReadTx>;
}

export function writeGrants(context: QueryContext) {
  async function addIncidents(grantId: string, incidents: readonly string[]): Promise<void> {
    if (incidents.length === 0) return;
    await context.change(insertIncidents, {
      links: incidents.map((incident) => ({ grant_id: grantId, incident })),
    });
  }
  return {
    async insertGrant(row, incidents) {
      await context.change(insert, grant.toColumns(row));
      await addIncidents(row.id, incidents);
    },
    async lockGrant(id) {
      const found = await context.first(locked, { id });
      return found && grant.toRow(found);
    },
    async lockTarget(user, resource, role) {
      await context.dialect.lockName(context.db, JSON.stringify(['target', user, resource, role]));
    },
    async updateGrant(id, change) {
      requireFound(await context.change(update, { id, change: grant.toChange(change) }), 'grant');
    },
    async addIncident(grantId, incident) {
      await addIncidents(grantId, [incident]);
    },
  } satisfies Partial<Tx>;
}
