import { AppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import { formatInstant } from '../protocol/time.ts';
import type { GrantRow, RequestRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import type { Actor, AuditLog } from './audit-log.ts';
import type { Rules } from './rules.ts';

/**
 * Opens what a settled request allows; the window starts now, not when it was asked. What is held already stays as it is and
 * gains the incident.
 */
export async function openGrants(
  tx: Tx,
  { catalogue }: Rules,
  log: AuditLog,
  request: RequestRow,
  how: { via: GrantRow['via']; durationSeconds: number; actor: Actor },
): Promise<void> {
  const nowMs = await tx.now();
  for (const { resource: name, role } of request.targets as unknown as {
    resource: string;
    role: string;
  }[]) {
    const resource = catalogue.resources.get(name);
    if (!resource?.roles.includes(role))
      throw new AppError('ended', `${name}:${role} has left the catalogue`);
    await tx.lockTarget(request.user, name, role);
    const [held] = await tx.grants({
      user: request.user,
      resource: name,
      role,
      states: ['active'],
      limit: 1,
    });
    if (held && held.endsAt > nowMs) {
      if (request.incident !== null) await tx.addIncident(held.id, request.incident);
      await log.record(tx, {
        event: 'grant.reused',
        actor: how.actor,
        subject: { grant: held.id, request: request.id, user: request.user, resource: name },
        data: { incident: request.incident },
      });
      continue;
    }
    const hardEndsAt = nowMs + resource.session.maxSeconds * 1000;
    const grant: GrantRow = {
      id: createId('gr', nowMs),
      requestId: request.id,
      user: request.user,
      resource: name,
      role,
      state: 'active',
      via: how.via,
      rule: null,
      startsAt: nowMs,
      endsAt: Math.min(nowMs + how.durationSeconds * 1000, hardEndsAt),
      hardEndsAt,
      extensions: 0,
      shiftSchedule: null,
      shiftLevel: null,
      shiftEndsAt: null,
      graceEndsAt: null,
      graceCause: null,
      endCause: null,
      endedAt: null,
    };
    await tx.insertGrant(grant, request.incident === null ? [] : [request.incident]);
    await tx.insertJob({
      id: createId('job', nowMs),
      kind: 'end-grant',
      subject: grant.id,
      dueAt: grant.endsAt,
    });
    await log.record(tx, {
      event: 'grant.created',
      actor: how.actor,
      subject: { grant: grant.id, request: request.id, user: request.user, resource: name },
      data: {
        role,
        via: how.via,
        incident: request.incident,
        startsAt: formatInstant(grant.startsAt),
        endsAt: formatInstant(grant.endsAt),
        hardEndsAt: formatInstant(hardEndsAt),
      },
    });
  }
}
