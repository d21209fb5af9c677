/**
 * Issuing, in the order that a crash cannot hurt: record → issue → record → reply. The first transaction writes down the
 * handle before the login exists; the second says `live` only if the row still is `issuing`, its lease has not run out and the
 * grant is active. Whatever a crash leaves between the two, the row's timer ends.
 */
import type { CredentialSubject, Issued, Issuer, KeyMaterial, PublicPart } from '../issuers/issuer.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { sealCredential } from '../protocol/credential-seal.ts';
import { AppError, isAppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { CredentialReply, IssueRequest } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow, CredentialRow, GrantRow } from '../store/rows.ts';
import type { ReadTx, Store, Tx } from '../store/store.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { decideCredential } from './credential-decision.ts';
import { subjectOf } from './credential-subject.ts';
import type { Endings } from './endings.ts';
import type { CurrentRules } from './rules.ts';
import { snapshotOf } from './target-snapshot.ts';
import { viewGrant } from './views.ts';
import { loginEndOf } from './windows.ts';

export interface Credentials {
  /** First transaction: decide afresh, write down the handle. A refusal is recorded too, and thrown after the commit. */
  begin(tx: Tx, caller: Caller, grantId: string, body: IssueRequest): Promise<Begun>;
  /** The call to the target and the second transaction, which ends with `look`. Throws what the client shall see. */
  complete<L>(begun: Plan, look: (tx: Tx, audit: AuditRow) => Promise<L>): Promise<L>;
  view(tx: ReadTx, credentialId: string): Promise<CredentialReply>;
}

export type Begun = { ref: string; audit: AuditRow; plan: Plan } | { refusal: AppError };

export interface Plan {
  row: CredentialRow;
  subject: CredentialSubject;
  prolong: boolean;
  /** It takes the place of one that the device holds, by either way. */
  isRenewal: boolean;
  material: KeyMaterial;
  /** The device's. */
  sealingKey: string;
}

/** The call to the target must be over well before the lease: after it, the row belongs to its timer. */
const LEASE_MS = 15_000;
const CALL_MS = 8_000;
const OLDER = 100;

export function createCredentials(
  store: Store,
  rules: CurrentRules,
  issuers: ReadonlyMap<string, Issuer>,
  log: AuditLog,
  endings: Endings,
): Credentials {
  function issuerFor(kind: string): Issuer {
    const issuer = issuers.get(kind);
    if (!issuer) throw new AppError('internal', `no issuer of kind ${kind}`);
    return issuer;
  }

  async function endOlder(tx: Tx, grant: GrantRow, caller: Caller): Promise<void> {
    const states = ['issuing', 'live'] as const;
    const filter = { grantId: grant.id, deviceId: caller.device.id, states, limit: OLDER };
    for (const credential of await tx.credentials(filter)) {
      await endings.endCredential(tx, credential, { cause: 'replaced', actor: actorOf(caller) });
    }
  }

  return {
    async begin(tx, caller, grantId, body) {
      const nowMs = await tx.now();
      const decided = await decideCredential(tx, rules, log, caller, grantId);
      if ('refusal' in decided) return decided;
      const { grant } = decided;
      const subjectIds = {
        grant: grant.id,
        user: grant.user,
        resource: grant.resource,
        device: caller.device.id,
      };
      const resource = rules().catalogue.resources.get(grant.resource);
      if (!resource)
        throw new AppError('ended', `${grant.resource} has left the catalogue`, {
          hint: 'oncall resources shows what there is now',
        });
      if (body.material.kind !== resource.target.kind) {
        throw new AppError(
          'invalid_request',
          `${grant.resource} takes key material of kind ${resource.target.kind}`,
        );
      }
      const issuer = issuerFor(resource.target.kind);
      const expiresAt = Math.min(
        nowMs + resource.credentialSeconds * 1000,
        loginEndOf(grant, rules().catalogue.grace.shiftSeconds),
      );
      const incidents = await tx.incidentsOf(grant.id);
      const details = { incident: incidents[0] ?? null, expiresAt: formatInstant(expiresAt) };

      const held = body.renews === undefined ? undefined : await tx.credential(body.renews);
      if (held && issuer.renewal === 'prolong' && isHeldBy(held, grant, caller)) {
        await tx.moveCredential(held.id, ['live'], { expiresAt });
        const audit = await log.record(tx, {
          event: 'credential.renewing',
          actor: actorOf(caller),
          subject: { ...subjectIds, credential: held.id, handle: held.handle },
          data: details,
          embedded: caller.embedded,
        });
        return {
          ref: held.id,
          audit,
          plan: {
            row: { ...held, expiresAt },
            subject: await subjectOf(tx, held),
            prolong: true,
            isRenewal: true,
            material: body.material,
            sealingKey: caller.device.sealingKey,
          },
        };
      }

      const id = createId('cr', nowMs);
      const subject: CredentialSubject = {
        credentialId: id,
        grantId: grant.id,
        user: grant.user,
        resource,
        role: grant.role,
        incident: incidents[0],
      };
      const row: CredentialRow = {
        id,
        grantId: grant.id,
        deviceId: caller.device.id,
        kind: issuer.kind,
        handle: issuer.chooseHandle(subject),
        state: 'issuing',
        target: snapshotOf(resource),
        publicPart: null,
        createdAt: nowMs,
        leaseUntil: nowMs + LEASE_MS,
        expiresAt,
        endCause: null,
        endingAt: null,
        endedAt: null,
        proof: null,
      };
      // A device that renews nothing has lost what it had under the grant. One that renews goes on using it for a moment.
      if (!(held && isHeldBy(held, grant, caller))) await endOlder(tx, grant, caller);
      await tx.insertCredential(row);
      await tx.insertJob({
        id: createId('job', nowMs),
        kind: 'credential',
        subject: id,
        dueAt: row.leaseUntil,
      });
      const audit = await log.record(tx, {
        event: 'credential.issuing',
        actor: actorOf(caller),
        subject: { ...subjectIds, credential: id, handle: row.handle },
        data: { kind: issuer.kind, role: grant.role, ...details },
        embedded: caller.embedded,
      });
      const { material, renews } = body;
      const isRenewal = renews !== undefined;
      const { sealingKey } = caller.device;
      return { ref: id, audit, plan: { row, subject, prolong: false, isRenewal, material, sealingKey } };
    },

    async complete({ row, subject, prolong, material, sealingKey }, look) {
      const nowMs = await store.now();
      const issuer = issuerFor(row.kind);
      const call = {
        subject,
        handle: row.handle,
        expiresAtMs: row.expiresAt,
        nowMs,
        deadlineMs: prolong ? nowMs + LEASE_MS : row.leaseUntil,
        signal: AbortSignal.timeout(CALL_MS),
      };
      let issued: Issued;
      try {
        const seal = (secret: Uint8Array) => sealCredential(sealingKey, row.id, secret);
        issued = prolong ? await issuer.renew(call) : await issuer.issue({ ...call, material, seal });
      } catch (error) {
        // Whether the target acted is not known: the row goes to its end either way, unless it was live before.
        const lost = !prolong || isAppError(error, 'ended');
        if (lost)
          await store.write((tx) => endings.endCredential(tx, row, { cause: causeOf(error), actor: BROKER }));
        throw error;
      }
      return finish(row, issued, prolong, look);
    },

    async view(tx, credentialId) {
      const row = await tx.credential(credentialId);
      const grant = row && (await tx.grant(row.grantId));
      if (!row || !grant) throw new AppError('not_found', 'the credential has vanished');
      if (row.state === 'issuing') {
        throw new AppError('busy', 'the credential is still being issued', {
          hint: 'try again in a few seconds',
        });
      }
      if (row.state !== 'live' || row.publicPart === null) {
        throw new AppError('ended', `the credential has ended: ${row.endCause ?? 'unknown cause'}`);
      }
      return {
        credentialId: row.id,
        grant: await viewGrant(tx, rules(), grant),
        prolonged: false,
        handle: row.handle,
        publicPart: row.publicPart as unknown as CredentialReply['publicPart'],
        // As of this reply: what is left of a credential's life is the difference, whatever the device's clock says.
        issuedAt: formatInstant(await tx.now()),
        expiresAt: formatInstant(row.expiresAt),
      };
    },
  };

  async function finish<L>(
    row: CredentialRow,
    issued: Issued,
    prolong: boolean,
    look: (tx: Tx, audit: AuditRow) => Promise<L>,
  ): Promise<L> {
    const outcome = await store.write(async (tx) => {
      const nowMs = await tx.now();
      const grant = await tx.lockGrant(row.grantId);
      const device = await tx.device(row.deviceId);
      const late = !prolong && nowMs >= row.leaseUntil;
      const allowed = grant?.state === 'active' && device?.state === 'active' && !late;
      // The call is over, so nothing of it can act later: an end from now on is final at its first proof.
      const change = {
        state: 'live' as const,
        publicPart: toJson(issued.publicPart),
        expiresAt: issued.expiresAtMs,
        leaseUntil: nowMs,
      };
      if (allowed && (await tx.moveCredential(row.id, [prolong ? 'live' : 'issuing'], change))) {
        // The lease is over, so nothing is to be looked at before the credential's own end.
        await tx.deferJob({
          id: createId('job', nowMs),
          kind: 'credential',
          subject: row.id,
          dueAt: issued.expiresAtMs,
        });
        const audit = await log.record(tx, {
          event: prolong ? 'credential.renewed' : 'credential.live',
          actor: BROKER,
          subject: { credential: row.id, grant: row.grantId, handle: row.handle },
          data: { expiresAt: formatInstant(issued.expiresAtMs) },
        });
        return { found: await look(tx, audit) };
      }
      const cause = late ? 'issuing took too long' : (grant?.endCause ?? 'ended while it was being issued');
      await endings.endCredential(tx, row, { cause, actor: BROKER });
      return { cause };
    });
    if ('found' in outcome) return outcome.found;
    throw new AppError('ended', `no credential: ${outcome.cause}`);
  }
}

function isHeldBy(credential: CredentialRow, grant: GrantRow, caller: Caller): boolean {
  return (
    credential.state === 'live' && credential.grantId === grant.id && credential.deviceId === caller.device.id
  );
}

function causeOf(error: unknown): string {
  return isAppError(error) ? error.code : 'issuing failed';
}

function toJson(part: PublicPart): Json {
  return part as unknown as Json;
}
