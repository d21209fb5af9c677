import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { DeviceRow, InviteRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const device = createRowCodec<DeviceRow>({});
const invite = createRowCodec<InviteRow>({});

const byId = ({ db }: BuildContext, { id }: { id: string }) =>
  db.selectFrom('devices').selectAll().where('id', '=', id);

const byKeyId = ({ db }: BuildContext, { keyId }: { keyId: string }) =>
  db.selectFrom('devices').selectAll().where('key_id', '=', keyId);

const byUser = ({ db }: BuildContext, { user }: { user: string }) =>
  db.selectFrom('devices').selectAll().where('user_id', '=', user).orderBy('created_at').orderBy('id');

const active = ({ db }: BuildContext) =>
  db.selectFrom('devices').selectAll().where('state', '=', 'active').orderBy('created_at').orderBy('id');

const inviteByHash = ({ db }: BuildContext, { codeHash }: { codeHash: string }) =>
  db.selectFrom('invites').selectAll().where('code_hash', '=', codeHash);

const insert = ({ db }: BuildContext, columns: Columns<DeviceRow>) =>
  db.insertInto('devices').values(columns);

const update = ({ db }: BuildContext, { id, change }: { id: string; change: Partial<Columns<DeviceRow>> }) =>
  db.updateTable('devices').set(change).where('id', '=', id);

const insertInvite = ({ db }: BuildContext, columns: Columns<InviteRow>) =>
  db.insertInto('invites').values(columns);

const useInvite = (
  { db }: BuildContext,
  { codeHash, deviceId, nowMs }: { codeHash: string; deviceId: string; nowMs: number },
) =>
  db
    .updateTable('invites')
    .set({ used_at: nowMs, device_id: deviceId })
    .where('code_hash', '=', codeHash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', nowMs);

export function readDevices(context: QueryContext) {
  return {
    async device(id) {
      const found = await context.first(byId, { id });
      return found && device.toRow(found);
    },
    async deviceByKeyId(keyId) {
      const found = await context.first(byKeyId, { keyId });
      return found && device.toRow(found);
    },
    async devicesOf(user) {
      return (await context.rows(byUser, { user })).map(device.toRow);
    },
    async activeDevices() {
      return (await context.rows(active, {})).map(device.toRow);
    },
    async invite(codeHash) {
      const found = await context.first(inviteByHash, { codeHash });
      return found && invite.toRow(found);
    },
  } satisfies Partial<ReadTx>;
}

export function writeDevices(context: QueryContext) {
  return {
    async insertDevice(row) {
      await context.change(insert, device.toColumns(row));
    },
    async updateDevice(id, change) {
      requireFound(await context.change(update, { id, change: device.toChange(change) }), 'device');
    },
    async insertInvite(row) {
      await context.change(insertInvite, invite.toColumns(row));
    },
    async useInvite(codeHash, deviceId, nowMs) {
      return (await context.change(useInvite, { codeHash, deviceId, nowMs })) > 0n;
    },
  } satisfies Partial<Tx>;
}
