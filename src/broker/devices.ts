/** Invitations and devices. A code is single-use, expires, and is kept only as a hash; wrong guesses are limited. */
import { createHash, randomBytes } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { createId, encodeBase32 } from '../protocol/ids.ts';
import { keyThumbprint, parsePublicKey } from '../protocol/keys.ts';
import type { Enroll, InviteReply } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow, DeviceRow } from '../store/rows.ts';
import type { Store, Tx } from '../store/store.ts';
import type { Actor, AuditLog, EmbeddedRequest } from './audit-log.ts';
import type { Endings } from './endings.ts';
import { revokePacks } from './packs/revocation.ts';

/** Codes hold 130 random bits, so this is against noise, not against luck. */
const GUESSES = 10;
const GUESS_WINDOW_MS = 10 * 60_000;
const MAX_DEVICES = 10;
const PAGE = 1000;

/** Of the identity key's SHA-256, what an invitation carries: 128 bits against a second preimage. */
export function fingerprintOf(rawIdentityKey: Uint8Array): string {
  return encodeBase32(createHash('sha256').update(rawIdentityKey).digest().subarray(0, 16));
}

export interface Devices {
  invite(
    tx: Tx,
    by: { actor: Actor; embedded?: EmbeddedRequest },
    user: string,
    ttlSeconds: number,
  ): Promise<{
    reply: InviteReply;
    audit: AuditRow;
  }>;
  /** Throws `rate_limited` for an address that has guessed wrongly too often. */
  refuseGuessing(source: string): Promise<void>;
  /** A wrong guess, in a transaction of its own: the one that failed is gone. */
  countGuess(source: string): Promise<void>;
  /** `embedded` proves that the device holds the key it brings. */
  enroll(tx: Tx, body: Enroll, embedded: EmbeddedRequest): Promise<{ ref: string; audit: AuditRow }>;
  revoke(tx: Tx, by: { actor: Actor; embedded?: EmbeddedRequest }, device: DeviceRow): Promise<AuditRow>;
}

export function createDevices(
  store: Store,
  log: AuditLog,
  endings: Endings,
  invitation: { publicUrl: string; rawIdentityKey: Uint8Array },
  isPerson: (user: string) => boolean,
): Devices {
  return {
    async invite(tx, by, user, ttlSeconds) {
      if (!isPerson(user)) {
        throw new AppError('not_found', `'${user}' is not in the catalogue`, {
          hint: 'add the person to catalogue.yaml first',
        });
      }
      const secret = encodeBase32(randomBytes(16));
      const nowMs = await tx.now();
      const expiresAt = nowMs + ttlSeconds * 1000;
      await tx.insertInvite({
        codeHash: hashOf(secret),
        user,
        createdBy: by.actor.id,
        createdAt: nowMs,
        expiresAt,
        usedAt: null,
        deviceId: null,
      });
      const audit = await log.record(tx, {
        event: 'device.invited',
        ...by,
        subject: { user },
        data: { expiresAt: formatInstant(expiresAt) },
      });
      const url = `${invitation.publicUrl.replace(/\/$/, '')}/#${secret}-${fingerprintOf(invitation.rawIdentityKey)}`;
      return { reply: { url, expiresAt: formatInstant(expiresAt) }, audit };
    },

    async refuseGuessing(source) {
      const count = await store.read(async (tx) => tx.attempts(`enroll:${source}`, await tx.now()));
      if (count >= GUESSES) {
        throw new AppError('rate_limited', 'too many wrong codes from this address', {
          hint: 'wait ten minutes',
        });
      }
    },

    async countGuess(source) {
      await store.write(async (tx) => tx.countAttempt(`enroll:${source}`, GUESS_WINDOW_MS, await tx.now()));
    },

    async enroll(tx, body, embedded) {
      parsePublicKey(body.sealingKey);
      const nowMs = await tx.now();
      const id = createId('dev', nowMs);
      const codeHash = hashOf(body.secret);
      const invite = await tx.invite(codeHash);
      const keyId = keyThumbprint(body.signingKey);
      const same = await tx.deviceByKeyId(keyId);
      if (same?.state === 'active' && invite?.deviceId === same.id) return enrolledBefore(tx, same.id);
      // One answer for a wrong, a used and an expired code.
      if (!invite || !isPerson(invite.user) || !(await tx.useInvite(codeHash, id, nowMs))) {
        throw new AppError('invite_invalid', 'the invitation is not valid: wrong, used or expired', {
          hint: 'ask for a new one: oncall devices add on another device, or oncall broker invite',
        });
      }
      const devices = (await tx.devicesOf(invite.user)).filter(({ state }) => state === 'active');
      if (devices.length >= MAX_DEVICES) {
        throw new AppError('conflict', `${invite.user} has ${MAX_DEVICES} devices already`, {
          hint: 'oncall devices revoke',
        });
      }
      if (same) throw new AppError('conflict', 'this key is registered already');
      await tx.insertDevice({
        id,
        user: invite.user,
        name: body.deviceName,
        keyId,
        signingKey: body.signingKey,
        sealingKey: body.sealingKey,
        keystore: body.keystore,
        state: 'active',
        createdAt: nowMs,
        revokedAt: null,
        lastSeenAt: null,
      });
      const audit = await log.record(tx, {
        event: 'device.enrolled',
        actor: { kind: 'user', id: invite.user, device: id },
        subject: { user: invite.user, device: id },
        data: {
          publicKey: body.signingKey,
          sealingKey: body.sealingKey,
          name: body.deviceName,
          keystore: body.keystore,
          invitedBy: invite.createdBy,
        },
        embedded,
      });
      return { ref: id, audit };
    },

    async revoke(tx, by, device) {
      const nowMs = await tx.now();
      await tx.updateDevice(device.id, { state: 'revoked', revokedAt: nowMs });
      const audit = await log.record(tx, {
        event: 'device.revoked',
        ...by,
        subject: { user: device.user, device: device.id },
        data: null,
      });
      const open = await tx.credentials({ deviceId: device.id, states: ['issuing', 'live'], limit: PAGE });
      for (const credential of open) {
        await endings.endCredential(tx, credential, { cause: 'device revoked', actor: by.actor });
      }
      await revokePacks(tx, log, { deviceId: device.id }, { cause: 'device revoked', actor: by.actor });
      return audit;
    },
  };
}

/** The same device with the same code again: its first reply was lost. */
async function enrolledBefore(tx: Tx, deviceId: string): Promise<{ ref: string; audit: AuditRow }> {
  const [audit] = await tx.auditSearch({ event: 'device.enrolled', subject: deviceId, limit: 1 });
  if (!audit) throw new AppError('internal', 'an enrolled device without its entry');
  return { ref: deviceId, audit };
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret.toLowerCase()).digest('hex');
}
