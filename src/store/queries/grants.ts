import { createRowCodec } from '../columns.ts';
import type { QueryContext } from '../dialect.ts';
import type { GrantRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const grant = createRowCodec<GrantRow>({});

export function readGrants({ db }: QueryContext) {
  return {
    async grant(id) {
      const found = await db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirst();
      return found && grant.toRow(found);
    },
    async grants({ user, resource, role, incident, requestId, state, limit }) {
      let query = db.selectFrom('grants').selectAll();
      if (user !== undefined) query = query.where('user_id', '=', user);
      if (resource !== undefined) query = query.where('resource', '=', resource);
      if (role !== undefined) query = query.where('role', '=', role);
      if (requestId !== undefined) query = query.where('request_id', '=', requestId);
      if (state !== undefined) query = query.where('state', '=', state);
      if (incident !== undefined) {
        query = query.where('id', 'in', (nested) =>
          nested.selectFrom('grant_incidents').select('grant_id').where('incident', '=', incident),
        );
      }
      const found = await query.orderBy('starts_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
      return found.map(grant.toRow);
    },
    async incidentsOf(grantId) {
      const found = await db
        .selectFrom('grant_incidents')
        .select('incident')
        .where('grant_id', '=', grantId)
        .orderBy('incident')
        .execute();
      return found.map(({ incident }) => incident);
    },
  } satisfies Partial<ReadTx>;
}

export function writeGrants({ db, dialect }: QueryContext) {
  async function addIncidents(grantId: string, incidents: readonly string[]): Promise<void> {
    if (incidents.length === 0) return;
    await db
      .insertInto('grant_incidents')
      .values(incidents.map((incident) => ({ grant_id: grantId, incident })))
      .onConflict((conflict) => conflict.columns(['grant_id', 'incident']).doNothing())
      .execute();
  }
  return {
    async insertGrant(row, incidents) {
      await db.insertInto('grants').values(grant.toColumns(row)).execute();
      await addIncidents(row.id, incidents);
    },
    async lockGrant(id) {
      const found = await db
        .selectFrom('grants')
        .selectAll()
        .where('id', '=', id)
        .$if(dialect.rowLocks, (query) => query.forUpdate())
        .executeTakeFirst();
      return found && grant.toRow(found);
    },
    async lockTarget(user, resource, role) {
      await dialect.lockName(db, JSON.stringify(['target', user, resource, role]));
    },
    async updateGrant(id, change) {
      const { numUpdatedRows } = await db
        .updateTable('grants')
        .set(grant.toChange(change))
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      requireFound(numUpdatedRows, 'grant');
    },
    async addIncident(grantId, incident) {
      await addIncidents(grantId, [incident]);
    },
  } satisfies Partial<Tx>;
}
