import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { DrillRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const drill = createRowCodec<DrillRow>({});

const ofResource = ({ db }: BuildContext, { resource, limit }: { resource: string; limit: number }) =>
  db
    .selectFrom('drills')
    .selectAll()
    .where('resource', '=', resource)
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit);

const insert = ({ db }: BuildContext, columns: Columns<DrillRow>) =>
  db
    .insertInto('drills')
    .values(columns)
    .onConflict((conflict) => conflict.column('id').doNothing());

export function readDrills(context: QueryContext) {
  return {
    async drills(resource, limit) {
      return (await context.rows(ofResource, { resource, limit })).map(drill.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeDrills(context: QueryContext) {
  return {
    async insertDrill(row) {
      return (await context.change(insert, drill.toColumns(row))) > 0n;
    },
  } satisfies Partial<Tx>;
}
