import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { PackUseRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const use = createRowCodec<PackUseRow>({});

const ofSlot = ({ db }: BuildContext, { packId, slot }: { packId: string; slot: number }) =>
  db.selectFrom('pack_uses').selectAll().where('pack_id', '=', packId).where('slot', '=', slot);

const insert = ({ db }: BuildContext, columns: Columns<PackUseRow>) =>
  db
    .insertInto('pack_uses')
    .values(columns)
    .onConflict((conflict) => conflict.columns(['pack_id', 'slot']).doNothing());

export function readPackUses(context: QueryContext) {
  return {
    async packUse(packId, slot) {
      const found = await context.first(ofSlot, { packId, slot });
      return found && use.toRow(found);
    },
  } satisfies Partial<ReadTx>;
}

export function writePackUses(context: QueryContext) {
  return {
    async insertPackUse(row) {
      return (await context.change(insert, use.toColumns(row))) > 0n;
    },
  } satisfies Partial<Tx>;
}
