import type { DeviceRow, GrantRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';

/**
 * The device that stands in where something is decided without one asking: the grant's last, else the one that the person used
 * last. What it stands in for is decided again when a device asks.
 */
export async function standInDevice(
  tx: ReadTx,
  user: string,
  grant?: Pick<GrantRow, 'id'>,
): Promise<DeviceRow | undefined> {
  const [last] = grant ? await tx.credentials({ grantId: grant.id, limit: 1 }) : [];
  const used = last && (await tx.device(last.deviceId));
  if (used?.state === 'active') return used;
  const seenAt = ({ lastSeenAt, createdAt }: DeviceRow) => lastSeenAt ?? createdAt;
  const devices = (await tx.devicesOf(user)).filter(({ state }) => state === 'active');
  return devices.toSorted((a, b) => seenAt(b) - seenAt(a))[0];
}
