import { createRowCodec } from '../columns.ts';
import type { QueryContext } from '../dialect.ts';
import type { CredentialRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const credential = createRowCodec<CredentialRow>({ target: 'json', publicPart: 'json', proof: 'json' });

export function readCredentials({ db }: QueryContext) {
  return {
    async credential(id) {
      const found = await db.selectFrom('credentials').selectAll().where('id', '=', id).executeTakeFirst();
      return found && credential.toRow(found);
    },
    async credentials({ grantId, deviceId, kind, handle, states, limit }) {
      // PostgreSQL takes no empty list.
      if (states?.length === 0) return [];
      let query = db.selectFrom('credentials').selectAll();
      if (grantId !== undefined) query = query.where('grant_id', '=', grantId);
      if (deviceId !== undefined) query = query.where('device_id', '=', deviceId);
      if (kind !== undefined) query = query.where('kind', '=', kind);
      if (handle !== undefined) query = query.where('handle', '=', handle);
      if (states !== undefined) query = query.where('state', 'in', [...states]);
      const found = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
      return found.map(credential.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeCredentials({ db }: QueryContext) {
  return {
    async insertCredential(row) {
      await db.insertInto('credentials').values(credential.toColumns(row)).execute();
    },
    async moveCredential(id, from, change) {
      if (from.length === 0) return false;
      const { numUpdatedRows } = await db
        .updateTable('credentials')
        .set(credential.toChange(change))
        .where('id', '=', id)
        .where('state', 'in', [...from])
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  } satisfies Partial<Tx>;
}
