import { createRowCodec } from '../columns.ts';
import type { QueryContext } from '../dialect.ts';
import type { DeviceRow, InviteRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { requireFound } from './require-found.ts';

const device = createRowCodec<DeviceRow>({});
const invite = createRowCodec<InviteRow>({});

export function readDevices({ db }: QueryContext) {
  const devices = db.selectFrom('devices').selectAll();
  return {
    async device(id) {
      const found = await devices.where('id', '=', id).executeTakeFirst();
      return found && device.toRow(found);
    },
    async deviceByKeyId(keyId) {
      const found = await devices.where('key_id', '=', keyId).executeTakeFirst();
      return found && device.toRow(found);
    },
    async devicesOf(user) {
      const found = await devices.where('user_id', '=', user).orderBy('created_at').orderBy('id').execute();
      return found.map(device.toRow);
    },
    async activeDevices() {
      const found = await devices.where('state', '=', 'active').orderBy('created_at').orderBy('id').execute();
      return found.map(device.toRow);
    },
    async invite(codeHash) {
      const found = await db
        .selectFrom('invites')
        .selectAll()
        .where('code_hash', '=', codeHash)
        .executeTakeFirst();
      return found && invite.toRow(found);
    },
  } satisfies Partial<ReadTx>;
}

export function writeDevices({ db }: QueryContext) {
  return {
    async insertDevice(row) {
      await db.insertInto('devices').values(device.toColumns(row)).execute();
    },
    async updateDevice(id, change) {
      const { numUpdatedRows } = await db
        .updateTable('devices')
        .set(device.toChange(change))
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      requireFound(numUpdatedRows, 'device');
    },
    async insertInvite(row) {
      await db.insertInto('invites').values(invite.toColumns(row)).execute();
    },
    async useInvite(codeHash, deviceId, nowMs) {
      const { numUpdatedRows } = await db
        .updateTable('invites')
        .set({ used_at: nowMs, device_id: deviceId })
        .where('code_hash', '=', codeHash)
        .where('used_at', 'is', null)
        .where('expires_at', '>', nowMs)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  } satisfies Partial<Tx>;
}
