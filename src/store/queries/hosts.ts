import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { HostRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const host = createRowCodec<HostRow>({});

const all = ({ db }: BuildContext) => db.selectFrom('hosts').selectAll().orderBy('id');

const insert = ({ db }: BuildContext, columns: Columns<HostRow>) => db.insertInto('hosts').values(columns);

const update = ({ db }: BuildContext, { id, change }: { id: string; change: Partial<Columns<HostRow>> }) =>
  db.updateTable('hosts').set(change).where('id', '=', id);

export function readHosts(context: QueryContext) {
  return {
    async hosts() {
      return (await context.rows(all, {})).map(host.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeHosts(context: QueryContext) {
  return {
    async insertHost(row) {
      await context.change(insert, host.toColumns(row));
    },
    async updateHost(id, change) {
      requireFound(await context.change(update, { id, change: host.toChange(change) }), 'host');
    },
  } satisfies Partial<Tx>;
}
