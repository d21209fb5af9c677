import { createRowCodec } from '../columns.ts';
import type { QueryContext } from '../dialect.ts';
import type { ApprovalRow, RequestRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const request = createRowCodec<RequestRow>({ targets: 'json', decision: 'json', chains: 'json' });
const approval = createRowCodec<ApprovalRow>({});

export function readRequests({ db }: QueryContext) {
  return {
    async request(id) {
      const found = await db.selectFrom('requests').selectAll().where('id', '=', id).executeTakeFirst();
      return found && request.toRow(found);
    },
    async requests({ user, state, limit }) {
      let query = db.selectFrom('requests').selectAll();
      if (user !== undefined) query = query.where('user_id', '=', user);
      if (state !== undefined) query = query.where('state', '=', state);
      const found = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
      return found.map(request.toRow);
    },
    async approvals(requestId) {
      const found = await db
        .selectFrom('approvals')
        .selectAll()
        .where('request_id', '=', requestId)
        .orderBy('at')
        .orderBy('approver')
        .execute();
      return found.map(approval.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeRequests({ db }: QueryContext) {
  return {
    async insertRequest(row) {
      await db.insertInto('requests').values(request.toColumns(row)).execute();
    },
    async settleRequest(id, change) {
      const { numUpdatedRows } = await db
        .updateTable('requests')
        .set(request.toChange(change))
        .where('id', '=', id)
        .where('state', '=', 'pending')
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
    async insertApproval(row) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('approvals')
        .values(approval.toColumns(row))
        .onConflict((conflict) => conflict.columns(['request_id', 'approver']).doNothing())
        .executeTakeFirstOrThrow();
      return numInsertedOrUpdatedRows === 1n;
    },
  } satisfies Partial<Tx>;
}
