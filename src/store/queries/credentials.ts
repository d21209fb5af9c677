import { sql } from 'kysely';
import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { CredentialRow, CredentialState } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const credential = createRowCodec<CredentialRow>({ target: 'json', publicPart: 'json', proof: 'json' });

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('credentials').selectAll().where('id', '=', id);

const filtered = (
  { db }: BuildContext,
  {
    grantId,
    deviceId,
    kind,
    handle,
    resource,
    states,
    endingBefore,
    limit,
  }: Parameters<ReadTx['credentials']>[0],
) => {
  let query = db.selectFrom('credentials').selectAll();
  if (grantId !== undefined) query = query.where('grant_id', '=', grantId);
  if (deviceId !== undefined) query = query.where('device_id', '=', deviceId);
  if (kind !== undefined) query = query.where('kind', '=', kind);
  if (handle !== undefined) query = query.where('handle', '=', handle);
  if (resource !== undefined) {
    query = query.where('grant_id', 'in', (nested) =>
      nested.selectFrom('grants').select('id').where('resource', '=', resource),
    );
  }
  if (states !== undefined) query = query.where('state', 'in', [...states]);
  if (endingBefore !== undefined) query = query.where('ending_at', '<', endingBefore);
  return query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit);
};

/** The same without those that have ended, which are most: an index by device holds only these. */
const filteredOpen = (context: BuildContext, filter: Parameters<ReadTx['credentials']>[0]) =>
  filtered(context, filter).where('state', '<>', sql.lit('ended'));

const insert = ({ db }: BuildContext, columns: Columns<CredentialRow>) =>
  db.insertInto('credentials').values(columns);

const move = (
  { db }: BuildContext,
  {
    id,
    from,
    change,
  }: { id: string; from: readonly CredentialState[]; change: Partial<Columns<CredentialRow>> },
) =>
  db
    .updateTable('credentials')
    .set(change)
    .where('id', '=', id)
    .where('state', 'in', [...from]);

export function readCredentials(context: QueryContext) {
  return {
    async credential(id) {
      const found = await context.first(byId, { id });
      return found && credential.toRow(found);
    },
    async credentials(filter) {
      // PostgreSQL takes no empty list.
      if (filter.states?.length === 0) return [];
      const isOpen = filter.states !== undefined && !filter.states.includes('ended');
      return (await context.rows(isOpen ? filteredOpen : filtered, filter)).map(credential.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeCredentials(context: QueryContext) {
  return {
    async insertCredential(row) {
      await context.change(insert, credential.toColumns(row));
    },
    async moveCredential(id, from, change) {
      if (from.length === 0) return false;
      return (await context.change(move, { id, from, change: credential.toChange(change) })) > 0n;
    },
  } satisfies Partial<Tx>;
}
