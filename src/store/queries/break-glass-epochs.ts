import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { BreakGlassEpochRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const epoch = createRowCodec<BreakGlassEpochRow>({});

const all = ({ db }: BuildContext) => db.selectFrom('break_glass_epochs').selectAll().orderBy('resource');

const byResource = ({ db }: BuildContext, { resource }: { resource: string }) =>
  db.selectFrom('break_glass_epochs').selectAll().where('resource', '=', resource);

const put = ({ db }: BuildContext, columns: Columns<BreakGlassEpochRow>) =>
  db
    .insertInto('break_glass_epochs')
    .values(columns)
    .onConflict((conflict) =>
      conflict.column('resource').doUpdateSet({
        epoch: columns.epoch,
        rotated_at: columns.rotated_at,
        tainted_at: columns.tainted_at,
      }),
    );

export function readBreakGlassEpochs(context: QueryContext) {
  return {
    async breakGlassEpoch(resource) {
      const found = await context.first(byResource, { resource });
      return found ? epoch.toRow(found) : { resource, epoch: 1, rotatedAt: null, taintedAt: null };
    },
    async breakGlassEpochs() {
      return (await context.rows(all, {})).map(epoch.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeBreakGlassEpochs(context: QueryContext) {
  return {
    async putBreakGlassEpoch(row) {
      await context.change(put, epoch.toColumns(row));
    },
  } satisfies Partial<Tx>;
}
