import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { PackRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const pack = createRowCodec<PackRow>({ slots: 'json' });

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('packs').selectAll().where('id', '=', id);

const insert = ({ db }: BuildContext, columns: Columns<PackRow>) => db.insertInto('packs').values(columns);

export function readPacks(context: QueryContext) {
  return {
    async pack(id) {
      const found = await context.first(byId, { id });
      return found && pack.toRow(found);
    },
  } satisfies Partial<ReadTx>;
}

export function writePacks(context: QueryContext) {
  return {
    async insertPack(row) {
      await context.change(insert, pack.toColumns(row));
    },
  } satisfies Partial<Tx>;
}
