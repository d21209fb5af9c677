import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { LoginRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

/** A login is of no use to anybody for longer: the log has what mattered. */
const KEPT_MS = 90 * 86_400_000;

const login = createRowCodec<LoginRow>({});

const filtered = (
  { db }: BuildContext,
  { host, matched, identity, serial, limit }: Parameters<ReadTx['logins']>[0],
) => {
  let query = db.selectFrom('logins').selectAll();
  if (matched !== undefined) query = query.where('matched', '=', matched);
  if (host !== undefined) query = query.where('host', '=', host);
  if (identity !== undefined) query = query.where('identity', '=', identity);
  if (serial !== undefined) query = query.where('serial', '=', serial);
  return query.orderBy('at', 'desc').orderBy('id').limit(limit);
};

const unmatched = ({ db }: BuildContext, { limit }: { limit: number }) =>
  db.selectFrom('logins').selectAll().where('matched', 'is', null).orderBy('at').orderBy('id').limit(limit);

const insert = ({ db }: BuildContext, columns: Columns<LoginRow>) =>
  db
    .insertInto('logins')
    .values(columns)
    .onConflict((conflict) => conflict.column('id').doNothing());

const match = ({ db }: BuildContext, { id, matched }: { id: string; matched: string }) =>
  db.updateTable('logins').set({ matched }).where('id', '=', id);

const sweep = ({ db }: BuildContext, { before }: { before: number }) =>
  db.deleteFrom('logins').where('received_at', '<', before);

export function readLogins(context: QueryContext) {
  return {
    async logins(filter) {
      return (await context.rows(filtered, filter)).map(login.toRow);
    },
    async unmatchedLogins(limit) {
      return (await context.rows(unmatched, { limit })).map(login.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeLogins(context: QueryContext) {
  return {
    async insertLogin(row) {
      return (await context.change(insert, login.toColumns(row))) > 0n;
    },
    async matchLogin(id, matched) {
      await context.change(match, { id, matched });
    },
    async sweepLogins(nowMs) {
      await context.change(sweep, { before: nowMs - KEPT_MS });
    },
  } satisfies Partial<Tx>;
}
