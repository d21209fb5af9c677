import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { PackRow } from '../rows.ts';
import type { PackFilter, ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const pack = createRowCodec<PackRow>({ slots: 'json' });

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('packs').selectAll().where('id', '=', id);

const filtered = (
  { db }: BuildContext,
  { user, deviceId, resource, state, endsAfter, limit }: PackFilter,
) => {
  let query = db.selectFrom('packs').selectAll();
  if (user !== undefined) query = query.where('user_id', '=', user);
  if (deviceId !== undefined) query = query.where('device_id', '=', deviceId);
  if (resource !== undefined) query = query.where('resource', '=', resource);
  if (state !== undefined) query = query.where('state', '=', state);
  if (endsAfter !== undefined) query = query.where('ends_at', '>', endsAfter);
  return query.orderBy('issued_at', 'desc').orderBy('id', 'desc').limit(limit);
};

const insert = ({ db }: BuildContext, columns: Columns<PackRow>) => db.insertInto('packs').values(columns);

const update = ({ db }: BuildContext, { id, change }: { id: string; change: Partial<Columns<PackRow>> }) =>
  db.updateTable('packs').set(change).where('id', '=', id);

export function readPacks(context: QueryContext) {
  return {
    async pack(id) {
      const found = await context.first(byId, { id });
      return found && pack.toRow(found);
    },
    async packs(filter) {
      return (await context.rows(filtered, filter)).map(pack.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writePacks(context: QueryContext) {
  return {
    async insertPack(row) {
      await context.change(insert, pack.toColumns(row));
    },
    async updatePack(id, change) {
      requireFound(await context.change(update, { id, change: pack.toChange(change) }), 'pack');
    },
  } satisfies Partial<Tx>;
}
