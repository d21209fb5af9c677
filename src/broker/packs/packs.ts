/**
 * Packs for the time without a broker. A pack is recorded, with the serials of its certificates, before any of them is signed:
 * what is signed afterwards can always be revoked, and a lost reply is made again from the record.
 */
import { deviceWebhookKey, planSlots, sealPart, signPack } from '../../break-glass/pack.ts';
import type { SecretRef } from '../../catalogue/types.ts';
import { breakGlassKeyId, breakGlassName } from '../../protocol/break-glass-names.ts';
import { AppError } from '../../protocol/errors.ts';
import { createId } from '../../protocol/ids.ts';
import type { Pack, PackPlan, PackView, RequestPack } from '../../protocol/messages.ts';
import { formatInstant, parseInstant } from '../../protocol/time.ts';
import type { AuditRow, PackRow } from '../../store/rows.ts';
import type { ReadTx, Tx } from '../../store/store.ts';
import type { AuditLog } from '../audit-log.ts';
import { actorOf, type Caller } from '../caller.ts';
import { requirePermission } from '../permissions.ts';
import { type CurrentRules, resolveTarget } from '../rules.ts';
import { holdEpochs } from '../taints.ts';
import { type BreakGlassIssuers, duePacks, livePacks, packFor } from './plan.ts';
import { revokePacks, slotsOf, subjectOf } from './revocation.ts';

interface Done {
  ref: string;
  audit: AuditRow;
}

export interface Packs {
  plan(tx: ReadTx, caller: Caller): Promise<PackPlan>;
  /** Records one that the plan of this device has. */
  issue(tx: Tx, caller: Caller, body: RequestPack): Promise<Done>;
  /** Signs what was recorded; to be called when that is in the store for good. */
  seal(tx: ReadTx, caller: Caller, id: string, material: RequestPack['material']): Promise<Pack>;
  /** The device has it on its disk. */
  confirm(tx: Tx, caller: Caller, id: string): Promise<Done>;
  /** Throws `not_found` for another device's. */
  view(tx: ReadTx, caller: Caller, id: string): Promise<PackView>;
  /** A new epoch for what was cleaned up: packs of the old one are revoked. */
  rotate(tx: Tx, caller: Caller, resource: string): Promise<Done>;
}

const HOUR_MS = 3_600_000;
/** An agent asks for a new one every few hours; a device that forgets all it is given must not fill lists of revocations. */
const MOST_AN_HOUR = { device: 200, pack: 10 };

export function createPacks(
  rules: CurrentRules,
  log: AuditLog,
  issuers: BreakGlassIssuers,
  deps: { sign: (message: Uint8Array) => Uint8Array; resolveSecret: (ref: SecretRef) => Promise<string> },
): Packs {
  async function ownPack(tx: ReadTx, { device }: Caller, id: string): Promise<PackRow> {
    const pack = await tx.pack(id);
    if (pack?.deviceId !== device.id) throw new AppError('not_found', `this device has no pack '${id}'`);
    return pack;
  }

  /** A pack that could be used without anybody hearing of it is not made. */
  async function webhookSecret(): Promise<{ url: string; secret: string } | undefined> {
    const { webhook } = rules().catalogue.breakGlass;
    if (webhook === undefined) return undefined;
    const secret = await deps.resolveSecret(webhook.secret).catch((cause: unknown) => {
      throw new AppError('config_invalid', 'the broker is not set up for break-glass', {
        hint: 'ask your administrators to run oncall broker check',
        cause,
      });
    });
    return { url: webhook.url, secret };
  }

  async function webhookOf(device: Caller['device'], pack: string): Promise<Pack['webhook']> {
    const webhook = await webhookSecret();
    if (webhook === undefined) return null;
    const key = deviceWebhookKey(webhook.secret, device.id);
    return { url: webhook.url, sealed: await sealPart(device.sealingKey, pack, 'webhook', key) };
  }

  return {
    async plan(tx, { person, device }) {
      const nowMs = await tx.now();
      const packs = await livePacks(tx, { deviceId: device.id }, nowMs);
      const due = duePacks(rules(), issuers, { user: person.id, device }, nowMs);
      return {
        packs: await Promise.all(
          due.map(async (one) => ({
            resource: one.resource.id,
            role: one.role,
            material: one.issuer.material,
            epoch: (await tx.breakGlassEpoch(one.resource.id)).epoch,
            startsAt: formatInstant(one.startsAtMs),
            endsAt: formatInstant(one.endsAtMs),
            pack: (await packFor(tx, one, packs))?.id ?? null,
          })),
        ),
      };
    },

    async issue(tx, caller, body) {
      const { person, device } = caller;
      const nowMs = await tx.now();
      const due = duePacks(rules(), issuers, { user: person.id, device }, nowMs).filter(
        ({ resource, role }) => resource.id === body.resource && role === body.role,
      );
      const one = due.find(({ startsAtMs }) => startsAtMs === parseInstant(body.startsAt));
      if (!one) throw notPlanned(body, due.length > 0);
      const { resource, role, issuer, startsAtMs, endsAtMs } = one;
      issuer.checkMaterial(body.material);
      // What could not be handed out is not recorded either.
      await Promise.all([issuer.placeOf(resource, role), webhookSecret()]);
      await requireShare(tx, device.id, `${resource.id}:${role}`, nowMs);
      // Nobody gets one of an epoch that is being rotated.
      await tx.lockTarget('break-glass', resource.id, 'epoch');
      const { epoch } = await tx.breakGlassEpoch(resource.id);
      const times = planSlots(startsAtMs, endsAtMs);
      const serials = issuer.chooseSerials(times.length);
      const pack: PackRow = {
        id: createId('bg', nowMs),
        user: person.id,
        deviceId: device.id,
        resource: resource.id,
        role,
        kind: resource.target.kind,
        epoch,
        slots: times.map(({ number, notBeforeMs, notAfterMs }) => ({
          ...{ number, notBefore: notBeforeMs, notAfter: notAfterMs },
          serial: serials[number] ?? '',
        })),
        issuedAt: nowMs,
        startsAt: startsAtMs,
        endsAt: endsAtMs,
        confirmedAt: null,
        state: 'active',
        revokedAt: null,
      };
      await tx.insertPack(pack);
      const audit = await log.record(tx, {
        event: 'pack.issued',
        actor: actorOf(caller),
        subject: subjectOf(pack),
        data: {
          ...{ role, kind: pack.kind, epoch, name: breakGlassName(pack) },
          shift: { schedule: one.shift.schedule, level: one.shift.level },
          startsAt: formatInstant(startsAtMs),
          endsAt: formatInstant(endsAtMs),
          serials: { first: serials[0] ?? '', count: serials.length },
        },
        embedded: caller.embedded,
      });
      return { ref: pack.id, audit };
    },

    async seal(tx, caller, id, material) {
      const { device, person } = caller;
      const row = await ownPack(tx, caller, id);
      if (row.state === 'revoked') throw new AppError('ended', `pack ${id} has been revoked`);
      const resource = rules().catalogue.resources.get(row.resource);
      const issuer = resource && issuers.get(resource.target.kind);
      if (!resource || issuer?.kind !== row.kind)
        throw new AppError('ended', `${row.resource} is no longer what the pack was made for`);
      const { role, epoch } = row;
      const name = breakGlassName(row);
      const slots = slotsOf(row).map(async ({ number, notBefore, notAfter, serial }) => {
        const keyId = breakGlassKeyId({ user: person.id, pack: id, slot: number });
        const times = { notBeforeMs: notBefore, notAfterMs: notAfter };
        const certificate = await issuer.sign({ resource, role, name, keyId, serial, ...times }, material);
        return {
          number,
          notBefore: formatInstant(notBefore),
          notAfter: formatInstant(notAfter),
          serial,
          sealed: await sealPart(device.sealingKey, id, number, Buffer.from(certificate)),
        };
      });
      return signPack(
        {
          schema: 'oncall.pack/v1',
          ...{ id, user: person.id, device: device.id, resource: row.resource, role },
          ...{ kind: issuer.kind, epoch, name, material },
          place: await issuer.placeOf(resource, role),
          webhook: await webhookOf(device, id),
          issuedAt: formatInstant(row.issuedAt),
          startsAt: formatInstant(row.startsAt),
          endsAt: formatInstant(row.endsAt),
          slots: await Promise.all(slots),
        },
        deps.sign,
      );
    },

    async confirm(tx, caller, id) {
      const pack = await ownPack(tx, caller, id);
      if (pack.state === 'revoked') throw new AppError('ended', `pack ${id} has been revoked`);
      const event = 'pack.confirmed';
      const [before] =
        pack.confirmedAt === null ? [] : await tx.auditSearch({ event, subject: id, limit: 1 });
      if (before) return { ref: id, audit: before };
      await tx.updatePack(id, { confirmedAt: await tx.now() });
      const audit = await log.record(tx, {
        event,
        actor: actorOf(caller),
        subject: subjectOf(pack),
        data: null,
        embedded: caller.embedded,
      });
      return { ref: id, audit };
    },

    view: async (tx, caller, id) => viewPack(await ownPack(tx, caller, id)),

    async rotate(tx, caller, name) {
      const { resource } = resolveTarget(rules().catalogue, { resource: name });
      await requirePermission(rules(), caller, tx, 'rotate', { resource: resource.id });
      await holdEpochs(tx, [resource.id]);
      const before = await tx.breakGlassEpoch(resource.id);
      const epoch = before.epoch + 1;
      await tx.putBreakGlassEpoch({ ...before, epoch, rotatedAt: await tx.now() });
      const actor = actorOf(caller);
      await revokePacks(tx, log, { resource: resource.id }, { cause: 'the epoch was rotated', actor });
      const audit = await log.record(tx, {
        event: 'break-glass.rotated',
        actor,
        subject: { resource: resource.id },
        data: { epoch },
        embedded: caller.embedded,
      });
      return { ref: resource.id, audit };
    },
  };
}

export function viewPack(row: PackRow): PackView {
  const { id, user, deviceId: device, resource, role, epoch, state, confirmedAt } = row;
  return {
    ...{ id, user, device, resource, role, epoch, state },
    issuedAt: formatInstant(row.issuedAt),
    startsAt: formatInstant(row.startsAt),
    endsAt: formatInstant(row.endsAt),
    confirmedAt: confirmedAt === null ? null : formatInstant(confirmedAt),
  };
}

function notPlanned({ resource, role, startsAt }: RequestPack, isPlanned: boolean): AppError {
  if (isPlanned)
    return new AppError('conflict', `no pack for ${resource}:${role} begins at ${startsAt} any more`);
  return new AppError('denied', `no break-glass pack for ${resource}:${role} is planned for you`, {
    hint: 'packs are for whoever is on call, or will be within a day, where policy permits break-glass',
  });
}

async function requireShare(tx: Tx, device: string, target: string, nowMs: number): Promise<void> {
  const all = await tx.countAttempt(`packs:${device}`, HOUR_MS, nowMs);
  const same = await tx.countAttempt(`packs:${device}:${target}`, HOUR_MS, nowMs);
  if (all > MOST_AN_HOUR.device || same > MOST_AN_HOUR.pack)
    throw new AppError('rate_limited', 'this device has been given too many packs within the hour', {
      hint: 'is its disk full, or oncall older than the broker?',
    });
}
