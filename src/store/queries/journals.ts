import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { JournalRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const journal = createRowCodec<JournalRow>({});

const ofDevice = ({ db }: BuildContext, { deviceId }: { deviceId: string }) =>
  db.selectFrom('journals').selectAll().where('device_id', '=', deviceId);

const broken = ({ db }: BuildContext) =>
  db
    .selectFrom('journals')
    .selectAll()
    .where('broken_at', 'is not', null)
    .orderBy('broken_at')
    .orderBy('device_id');

const put = ({ db }: BuildContext, columns: Columns<JournalRow>) =>
  db
    .insertInto('journals')
    .values(columns)
    .onConflict((conflict) => conflict.column('device_id').doUpdateSet(columns));

export function readJournals(context: QueryContext) {
  return {
    async journal(deviceId) {
      const found = await context.first(ofDevice, { deviceId });
      return found && journal.toRow(found);
    },
    async brokenJournals() {
      return (await context.rows(broken, {})).map(journal.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeJournals(context: QueryContext) {
  return {
    async putJournal(row) {
      await context.change(put, journal.toColumns(row));
    },
  } satisfies Partial<Tx>;
}
