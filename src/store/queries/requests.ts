import { sql } from 'kysely';
import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { ApprovalRow, RequestRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const request = createRowCodec<RequestRow>({ targets: 'json', decision: 'json', chains: 'json' });
const approval = createRowCodec<ApprovalRow>({});

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('requests').selectAll().where('id', '=', id);

const byOrigin = ({ db }: BuildContext, { origin }: { origin: string }) =>
  db.selectFrom('requests').selectAll().where('origin', '=', origin);

type Filter = Parameters<ReadTx['requests']>[0];

const filtered = ({ db }: BuildContext, { user, state, limit }: Filter) => {
  let query = db.selectFrom('requests').selectAll();
  if (user !== undefined) query = query.where('user_id', '=', user);
  if (state !== undefined) query = query.where('state', '=', state);
  return query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit);
};

/** The same, all of them pending: an index holds only those. */
const filteredPending = (context: BuildContext, filter: Omit<Filter, 'state'>) =>
  filtered(context, filter).where('state', '=', sql.lit('pending'));

const approvalsOf = ({ db }: BuildContext, { requestId }: { requestId: string }) =>
  db
    .selectFrom('approvals')
    .selectAll()
    .where('request_id', '=', requestId)
    .orderBy('at')
    .orderBy('approver');

const insert = ({ db }: BuildContext, columns: Columns<RequestRow>) =>
  db.insertInto('requests').values(columns);

const settle = ({ db }: BuildContext, { id, change }: { id: string; change: Partial<Columns<RequestRow>> }) =>
  db.updateTable('requests').set(change).where('id', '=', id).where('state', '=', 'pending');

const insertApproval = ({ db }: BuildContext, columns: Columns<ApprovalRow>) =>
  db
    .insertInto('approvals')
    .values(columns)
    .onConflict((conflict) => conflict.columns(['request_id', 'approver']).doNothing());

export function readRequests(context: QueryContext) {
  return {
    async request(id) {
      const found = await context.first(byId, { id });
      return found && request.toRow(found);
    },
    async requestByOrigin(origin) {
      const found = await context.first(byOrigin, { origin });
      return found && request.toRow(found);
    },
    async requests({ state, ...rest }) {
      const found =
        state === 'pending'
          ? await context.rows(filteredPending, rest)
          : await context.rows(filtered, { ...rest, ...(state !== undefined && { state }) });
      return found.map(request.toRow);
    },
    async approvals(requestId) {
      return (await context.rows(approvalsOf, { requestId })).map(approval.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeRequests(context: QueryContext) {
  return {
    async insertRequest(row) {
      await context.change(insert, request.toColumns(row));
    },
    async settleRequest(id, change) {
      return (await context.change(settle, { id, change: request.toChange(change) })) > 0n;
    },
    async insertApproval(row) {
      return (await context.change(insertApproval, approval.toColumns(row))) === 1n;
    },
  } satisfies Partial<Tx>;
}
