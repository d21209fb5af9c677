/**
 * May this device have a credential under this grant now? Each renewal is a fresh decision; so is the first credential, for the
 * world may have changed since the grant. What opened by itself is decided in full here for the first time, with the device
 * that asks, and its window begins.
 */
import { AppError } from '../protocol/errors.ts';
import type { GrantRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { activate } from './grants.ts';
import { hasBrokenJournal, isAutomatic } from './journal-breaks.ts';
import { hasOverdueReview } from './reviews.ts';
import type { CurrentRules } from './rules.ts';
import { decideStanding } from './standing.ts';
import { endOf, loginEndOf, windowSeconds } from './windows.ts';

/** A credential that would end at once helps nobody. */
const SHORTEST_MS = 5_000;

/** A refusal is recorded, and is to be thrown after the commit. Throws `not_found`, `ended`. */
export async function decideCredential(
  tx: Tx,
  rules: CurrentRules,
  log: AuditLog,
  caller: Caller,
  grantId: string,
): Promise<{ grant: GrantRow } | { refusal: AppError }> {
  const grant = await usableGrant(tx, rules, caller, grantId);
  const resource = rules().catalogue.resources.get(grant.resource);
  if (!resource)
    throw new AppError('ended', `${grant.resource} has left the catalogue`, {
      hint: 'oncall resources shows what there is now',
    });
  const isFirst = grant.state === 'ready';
  const durationSeconds = windowSeconds(grant, resource);
  const action = isFirst ? 'grant' : 'renew';
  const withheld = await whyWithheld(tx, grant, caller.device.id);
  const standing = withheld
    ? { allowed: false, because: withheld }
    : await decideStanding(tx, rules(), action, grant, caller.device, durationSeconds);
  if (standing.allowed) {
    return {
      grant: isFirst ? await activate(tx, log, grant, resource, actorOf(caller), durationSeconds) : grant,
    };
  }
  const target = `${grant.resource}:${grant.role}`;
  const refusal = new AppError('denied', `policy refuses to ${isFirst ? 'open' : 'renew'} ${target}`, {
    hint: standing.because ?? `oncall explain ${target}`,
  });
  await log.record(tx, {
    event: 'credential.refused',
    actor: actorOf(caller),
    subject: { grant: grant.id, user: grant.user, resource: grant.resource, device: caller.device.id },
    data: { message: refusal.message, hint: refusal.hint ?? null },
    embedded: caller.embedded,
  });
  return { refusal };
}

/** Why what opened by itself is not for this device now. What a person asks for is decided as ever. */
async function whyWithheld(tx: Tx, grant: GrantRow, deviceId: string): Promise<string | undefined> {
  if (isAutomatic(grant) && (await hasBrokenJournal(tx, deviceId)))
    return `the journal of this device does not add up: nothing opens for it by itself until somebody has looked; to ask for it: oncall release ${grant.id}, and oncall request ${grant.resource}:${grant.role}`;
  if (grant.state === 'ready' && (await hasOverdueReview(tx, grant.user, await tx.now())))
    return 'a review of your access is overdue: nothing opens for you by itself';
  return undefined;
}

/** The grant, if it is this person's and not over. */
async function usableGrant(tx: Tx, rules: CurrentRules, caller: Caller, grantId: string): Promise<GrantRow> {
  const grant = await tx.lockGrant(grantId);
  if (grant?.user !== caller.person.id) {
    throw new AppError('not_found', `you have no grant '${grantId}'`, { hint: 'oncall grants' });
  }
  const nowMs = await tx.now();
  if (grant.state === 'ended' || endOf(grant) - nowMs < SHORTEST_MS) {
    const cause = grant.endCause ?? grant.graceCause ?? 'its window has ended';
    throw new AppError('ended', `the grant on ${grant.resource} has ended: ${cause}`, {
      hint: `oncall request ${grant.resource}:${grant.role}`,
    });
  }
  if (loginEndOf(grant, rules().catalogue.grace.shiftSeconds) - nowMs < SHORTEST_MS) {
    // The same person's next shift may go on with it: its timer finds out.
    throw new AppError('busy', 'the shift is changing', { hint: 'try again in a few seconds' });
  }
  return grant;
}
