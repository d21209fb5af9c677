/** A longer window for a grant: within its hard end, at most so many times, and each time a fresh decision. */
import { AppError } from '../protocol/errors.ts';
import type { Extend } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { gatherFacts } from './facts.ts';
import type { CurrentRules } from './rules.ts';

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
  if (grant?.user !== caller.person.id) throw new AppError('not_found', `you have no grant '${grantId}'`);
  const { catalogue, policy } = rules();
  const resource = catalogue.resources.get(grant.resource);
  if (grant.state !== 'active' || grant.endsAt <= nowMs || !resource) {
    throw new AppError('ended', `the grant on ${grant.resource} has ended`, {
      hint: `oncall request ${grant.resource}`,
    });
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
  const endsAt = Math.min(Math.max(grant.endsAt, nowMs + durationSeconds * 1000), grant.hardEndsAt);
  if (endsAt <= grant.endsAt) {
    throw new AppError(
      'denied',
      `the window cannot be longer than until ${formatInstant(grant.hardEndsAt)}`,
      { hint: again },
    );
  }
  const incidents = await Promise.all((await tx.incidentsOf(grant.id)).map((id) => tx.incident(id)));
  const answers = (incidents.length > 0 ? incidents : [undefined]).map((incident) =>
    policy.isAllowed('extend', {
      user: grant.user,
      target: { resource: grant.resource, role: grant.role },
      durationSeconds,
      hasReason: true,
      facts: gatherFacts(catalogue, { user: grant.user, device: caller.device, resource, incident, nowMs }),
      nowMs,
    }),
  );
  if (!answers.some(({ allowed }) => allowed)) {
    const because = answers.flatMap((answer) => answer.rules.map((rule) => rule.because ?? rule.id))[0];
    throw new AppError(
      'denied',
      `policy refuses to extend ${grant.resource}${because ? `: ${because}` : ''}`,
      { hint: again },
    );
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
