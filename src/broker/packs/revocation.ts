/** Taking packs back: their certificates go on the lists of the break-glass CAs, and targets refuse them once they have pulled those. */
import type { RevocationList } from '../../issuers/revocations.ts';
import { formatInstant } from '../../protocol/time.ts';
import type { PackRow } from '../../store/rows.ts';
import type { Tx } from '../../store/store.ts';
import type { Actor, AuditLog, EmbeddedRequest } from '../audit-log.ts';

/** A slot as its row has it: instants are milliseconds since 1970. */
export interface StoredSlot {
  number: number;
  notBefore: number;
  notAfter: number;
  serial: string;
}

export interface TakenBack {
  cause: string;
  actor: Actor;
  embedded?: EmbeddedRequest | undefined;
}

/** A target whose clock is slow takes a certificate for so long after its end. */
const SKEW_MS = 60_000;
const MOST = 10_000;

export function slotsOf({ slots }: Pick<PackRow, 'slots'>): readonly StoredSlot[] {
  return slots as unknown as StoredSlot[];
}

/** All that could be used from now on. */
export async function revokePack(tx: Tx, log: AuditLog, pack: PackRow, by: TakenBack): Promise<void> {
  const nowMs = await tx.now();
  const { cause, ...who } = by;
  await tx.updatePack(pack.id, { state: 'revoked', revokedAt: nowMs });
  const revoked = await listSlots(tx, pack, nowMs, 0);
  await log.record(tx, {
    event: 'pack.revoked',
    ...who,
    subject: subjectOf(pack),
    data: { cause, role: pack.role, serials: revoked },
  });
}

/** Its time ends sooner: what begins after it is revoked, and the rest stays good. */
export async function shortenPack(
  tx: Tx,
  log: AuditLog,
  pack: PackRow,
  endsAtMs: number,
  by: TakenBack,
): Promise<void> {
  const { cause, ...who } = by;
  await tx.updatePack(pack.id, { endsAt: endsAtMs });
  const revoked = await listSlots(tx, pack, await tx.now(), endsAtMs);
  await log.record(tx, {
    event: 'pack.shortened',
    ...who,
    subject: subjectOf(pack),
    data: { cause, role: pack.role, endsAt: formatInstant(endsAtMs), serials: revoked },
  });
}

/** Those of a device, or at a resource. */
export async function revokePacks(
  tx: Tx,
  log: AuditLog,
  of: { deviceId: string } | { resource: string },
  by: TakenBack,
): Promise<void> {
  // The last slot begins before the pack's end and outlives it.
  const endsAfter = (await tx.now()) - 3_600_000;
  for (const pack of await tx.packs({ ...of, state: 'active', endsAfter, limit: MOST }))
    await revokePack(tx, log, pack, by);
}

export function subjectOf(pack: Pick<PackRow, 'id' | 'user' | 'deviceId' | 'resource'>) {
  return { pack: pack.id, user: pack.user, device: pack.deviceId, resource: pack.resource };
}

/** Answers the serials that went on the list. */
async function listSlots(tx: Tx, pack: PackRow, nowMs: number, fromMs: number): Promise<string[]> {
  const list: RevocationList = pack.kind === 'ssh' ? 'break-glass-ssh' : 'break-glass-x509';
  const slots = slotsOf(pack).filter(
    ({ notBefore, notAfter }) => notBefore >= fromMs && notAfter + SKEW_MS > nowMs,
  );
  const entries = slots.map(({ serial, notAfter }) => ({ serial, expiresAt: notAfter + SKEW_MS }));
  if (entries.length > 0) await tx.addRevocations(list, entries);
  return slots.map(({ serial }) => serial);
}
