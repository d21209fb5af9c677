/** A longer window for a grant: within its hard end, at most so many times, and each time a fresh decision. */
import { AppError } from '../protocol/errors.ts';
import type { Extend } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import type { CurrentRules } from './rules.ts';
import { decideStanding, GLASS_NEVER_EXTENDS } from './standing.ts';
import { endOf } from './windows.ts';

export async function extendGrant(
  tx: Tx,
  rules: CurrentRules,
  log: AuditLog,
  caller: Caller,
  grantId: string,
  body: Extend,
): Promise<{ ref: string; audit: AuditRow }> {
  const nowMs = await tx.now();
  const grant = await tx.lockGrant(grantId);
  if (grant?.user !== caller.person.id)
    throw new AppError('not_found', `you have no grant '${grantId}'`, {
      hint: 'oncall grants shows those you have',
    });
  const resource = rules().catalogue.resources.get(grant.resource);
  if (grant.state !== 'active' || endOf(grant) <= nowMs || !resource) {
    throw new AppError('ended', `the grant on ${grant.resource} has ended`, {
      hint: `oncall request ${grant.resource}`,
    });
  }
  if (grant.via === 'break-glass') {
    throw new AppError('denied', GLASS_NEVER_EXTENDS, {
      hint: `oncall break-glass ${grant.resource}:${grant.role} --reason "…"`,
    });
  }
  if (grant.graceEndsAt !== null) {
    throw new AppError(
      'denied',
      `${grant.resource} ends, for ${grant.graceCause ?? 'what it was for is over'}`,
      {
        hint: `oncall request ${grant.resource}:${grant.role}`,
      },
    );
  }
  const again = `oncall request ${grant.resource}:${grant.role} asks for a new window when this one ends`;
  if (grant.extensions >= resource.session.maxExtensions) {
    throw new AppError(
      'denied',
      `${grant.resource} was extended ${grant.extensions} times, the most allowed`,
      { hint: again },
    );
  }
  const durationSeconds = body.durationSeconds ?? resource.session.defaultSeconds;
  const endsAt = Math.min(grant.endsAt + durationSeconds * 1000, grant.hardEndsAt);
  if (endsAt <= grant.endsAt) {
    throw new AppError(
      'denied',
      `the window cannot be longer than until ${formatInstant(grant.hardEndsAt)}`,
      { hint: again },
    );
  }
  const standing = await decideStanding(tx, rules(), 'extend', grant, caller.device, durationSeconds);
  if (!standing.allowed) {
    const because = standing.because === undefined ? '' : `: ${standing.because}`;
    throw new AppError('denied', `policy refuses to extend ${grant.resource}${because}`, { hint: again });
  }
  await tx.updateGrant(grant.id, { endsAt, extensions: grant.extensions + 1 });
  const audit = await log.record(tx, {
    event: 'grant.extended',
    actor: actorOf(caller),
    subject: { grant: grant.id, user: grant.user, resource: grant.resource },
    data: { from: formatInstant(grant.endsAt), to: formatInstant(endsAt) },
    embedded: caller.embedded,
  });
  return { ref: grant.id, audit };
}
