import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { StageRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const stage = createRowCodec<StageRow>({ asked: 'json' });

const stagesOf = ({ db }: BuildContext, { requestId }: { requestId: string }) =>
  db
    .selectFrom('stages')
    .selectAll()
    .where('request_id', '=', requestId)
    .orderBy('started_at')
    .orderBy('chain')
    .orderBy('stage');

const insert = ({ db }: BuildContext, columns: Columns<StageRow>) =>
  db
    .insertInto('stages')
    .values(columns)
    .onConflict((conflict) => conflict.columns(['request_id', 'chain', 'stage']).doNothing());

const close = (
  { db }: BuildContext,
  {
    requestId,
    chain,
    stage: number,
    outcome,
  }: { requestId: string; chain: string; stage: number; outcome: string },
) =>
  db
    .updateTable('stages')
    .set({ outcome })
    .where('request_id', '=', requestId)
    .where('chain', '=', chain)
    .where('stage', '=', number)
    .where('outcome', 'is', null);

export function readStages(context: QueryContext) {
  return {
    async stages(requestId) {
      return (await context.rows(stagesOf, { requestId })).map(stage.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeStages(context: QueryContext) {
  return {
    async insertStage(row) {
      return (await context.change(insert, stage.toColumns(row))) === 1n;
    },
    async closeStage(requestId, chain, number, outcome) {
      return (await context.change(close, { requestId, chain, stage: number, outcome })) > 0n;
    },
  } satisfies Partial<Tx>;
}
