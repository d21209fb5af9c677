import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { AlarmRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const alarm = createRowCodec<AlarmRow>({ handles: 'json' });

const all = ({ db }: BuildContext) => db.selectFrom('alarms').selectAll().orderBy('raised_at').orderBy('id');

const insert = ({ db }: BuildContext, columns: Columns<AlarmRow>) =>
  db
    .insertInto('alarms')
    .values(columns)
    .onConflict((conflict) => conflict.column('id').doNothing());

const update = ({ db }: BuildContext, { id, handles, count }: Columns<AlarmRow>) =>
  db.updateTable('alarms').set({ handles, count }).where('id', '=', id);

const remove = ({ db }: BuildContext, { id }: { id: string }) => db.deleteFrom('alarms').where('id', '=', id);

export function readAlarms(context: QueryContext) {
  return {
    async alarms() {
      return (await context.rows(all, {})).map(alarm.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeAlarms(context: QueryContext) {
  return {
    async raiseAlarm(row) {
      const columns = alarm.toColumns(row);
      if ((await context.change(insert, columns)) > 0n) return true;
      await context.change(update, columns);
      return false;
    },
    async clearAlarm(id) {
      return (await context.change(remove, { id })) > 0n;
    },
  } satisfies Partial<Tx>;
}
