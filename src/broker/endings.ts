/**
 * Ending what was granted. A grant ends in one transaction; its credentials then go `ending` → target (no new logins, end
 * live sessions, remove) → proof → `ended`. A row is `ended` only after proof taken past any call still in flight; what
 * cannot be proven is tried again with backoff and shown.
 */
import type { Issuer, Proof } from '../issuers/issuer.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { createId } from '../protocol/ids.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow, CredentialRow, GrantRow } from '../store/rows.ts';
import type { Store, Tx } from '../store/store.ts';
import { type Actor, type AuditLog, BROKER, type EmbeddedRequest } from './audit-log.ts';
import { subjectOf } from './credential-subject.ts';

export interface EndBy {
  cause: string;
  actor: Actor;
  reason?: string | undefined;
  embedded?: EmbeddedRequest | undefined;
}

export interface Endings {
  endGrant(tx: Tx, grant: GrantRow, by: EndBy): Promise<AuditRow>;
  endCredential(tx: Tx, credential: CredentialRow, by: EndBy): Promise<void>;
  /** The timer of a credential, and the reaper of what a crash left: one step, or when to look again. */
  credentialTimer(credentialId: string, signal: AbortSignal): Promise<number | undefined>;
}

/** A target that only stops by itself is asked again this often. */
const PROVE_AGAIN_MS = 15_000;
const PAGE = 1000;

export function createEndings(store: Store, issuers: ReadonlyMap<string, Issuer>, log: AuditLog): Endings {
  async function endCredential(tx: Tx, credential: CredentialRow, by: EndBy): Promise<void> {
    const nowMs = await tx.now();
    const moved = await tx.moveCredential(credential.id, ['issuing', 'live'], {
      state: 'ending',
      endCause: by.cause,
      endingAt: nowMs,
    });
    if (!moved) return;
    await tx.insertJob({
      id: createId('job', nowMs),
      kind: 'credential',
      subject: credential.id,
      dueAt: nowMs,
    });
    await log.record(tx, {
      event: 'credential.ending',
      actor: by.actor,
      subject: { credential: credential.id, grant: credential.grantId, handle: credential.handle },
      data: { cause: by.cause },
      embedded: by.embedded,
    });
  }

  async function endGrant(tx: Tx, grant: GrantRow, by: EndBy): Promise<AuditRow> {
    const nowMs = await tx.now();
    await tx.updateGrant(grant.id, { state: 'ended', endCause: by.cause, endedAt: nowMs });
    const audit = await log.record(tx, {
      event: 'grant.ended',
      actor: by.actor,
      subject: { grant: grant.id, user: grant.user, resource: grant.resource },
      data: { cause: by.cause, reason: by.reason ?? null },
      embedded: by.embedded,
    });
    const open = await tx.credentials({ grantId: grant.id, states: ['issuing', 'live'], limit: PAGE });
    for (const credential of open) await endCredential(tx, credential, { cause: by.cause, actor: by.actor });
    return audit;
  }

  /** Ends at the target and takes the proof; the row's next state follows from it. */
  async function endAtTarget(credential: CredentialRow, signal: AbortSignal): Promise<number | undefined> {
    const issuer = issuers.get(credential.kind);
    if (!issuer) throw new Error(`no issuer of kind ${credential.kind}`);
    const input = await store.read(async (tx) => ({
      subject: await subjectOf(tx, credential),
      handle: credential.handle,
      publicPart: (credential.publicPart ?? undefined) as never,
      expiresAtMs: credential.expiresAt,
      nowMs: await tx.now(),
      signal,
    }));
    const report = await issuer.end(input);
    const takenAt = await store.now();
    const proof = await issuer.prove({ ...input, nowMs: takenAt });
    const record = { end: report, proof } as unknown as Json;

    return store.write(async (tx) => {
      const nowMs = await tx.now();
      // A call that was in flight when the end began may still have acted after this proof: take another one later.
      if (proof.state !== 'proven' || takenAt < credential.leaseUntil) {
        await tx.moveCredential(credential.id, ['ending'], { proof: record });
        if (proof.state === 'expires' && isNews(credential)) await recordUnproven(tx, credential, record);
        if (proof.state === 'proven') return credential.leaseUntil;
        return proof.state === 'expires'
          ? Math.min(nowMs + (proof.lookAgainMs ?? PROVE_AGAIN_MS), Math.max(proof.expiresAtMs, nowMs + 1000))
          : nowMs + PROVE_AGAIN_MS;
      }
      const moved = await tx.moveCredential(credential.id, ['ending'], {
        state: 'ended',
        endedAt: nowMs,
        proof: record,
      });
      if (moved) {
        await log.record(tx, {
          event: 'credential.ended',
          actor: BROKER,
          subject: { credential: credential.id, grant: credential.grantId, handle: credential.handle },
          data: {
            cause: credential.endCause,
            ...(record as Record<string, Json>),
            provenAt: formatInstant(nowMs),
          },
        });
      }
      return undefined;
    });
  }

  /** What was done at a target that nobody can ask for proof: written down when it is done, not when its time has proven it. */
  async function recordUnproven(tx: Tx, credential: CredentialRow, record: Json): Promise<void> {
    await log.record(tx, {
      event: 'credential.end-unproven',
      actor: BROKER,
      subject: { credential: credential.id, grant: credential.grantId, handle: credential.handle },
      data: { cause: credential.endCause, ...(record as Record<string, Json>) },
    });
  }

  return {
    endGrant,
    endCredential,

    async credentialTimer(credentialId, signal) {
      const credential = await store.write(async (tx) => {
        const row = await tx.credential(credentialId);
        const nowMs = await tx.now();
        if (row?.state === 'issuing' && row.leaseUntil <= nowMs) {
          await endCredential(tx, row, { cause: 'issuing was interrupted', actor: BROKER });
        } else if (row?.state === 'live' && row.expiresAt <= nowMs) {
          await endCredential(tx, row, { cause: 'expired', actor: BROKER });
        }
        return tx.credential(credentialId);
      });
      switch (credential?.state) {
        case 'issuing':
          return credential.leaseUntil;
        case 'live':
          return credential.expiresAt;
        case 'ending':
          return endAtTarget(credential, signal);
        default:
          return undefined;
      }
    },
  };
}

/** Of an end that came before the login's own, seen for the first time. */
function isNews({ endCause, proof }: CredentialRow): boolean {
  const known = proof as unknown as { proof?: Proof } | null;
  return endCause !== 'expired' && known?.proof?.state !== 'expires';
}
