/** Incidents that people declare. (Paging systems bring theirs through their own sources.) */
import { AppError } from '../protocol/errors.ts';
import type { DeclareIncident } from '../protocol/messages.ts';
import type { AuditRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { findIncident } from './decisions.ts';
import type { CurrentRules } from './rules.ts';

export async function declareIncident(
  tx: Tx,
  rules: CurrentRules,
  log: AuditLog,
  caller: Caller,
  body: DeclareIncident,
): Promise<{ ref: string; audit: AuditRow }> {
  if (!rules().catalogue.services.has(body.service)) {
    throw new AppError('not_found', `there is no service '${body.service}'`, {
      hint: `services: ${[...rules().catalogue.services.keys()].join(', ')}`,
    });
  }
  if (await tx.incident(body.id)) {
    throw new AppError('conflict', `incident ${body.id} exists already`, {
      hint: `oncall incident show ${body.id}`,
    });
  }
  const nowMs = await tx.now();
  await tx.insertIncident({
    id: body.id,
    source: 'manual',
    externalId: body.id,
    state: 'open',
    priority: body.priority,
    service: body.service,
    title: body.title ?? '',
    declaredBy: caller.person.id,
    assignees: [],
    url: '',
    labels: {},
    startedAt: nowMs,
    changedAt: nowMs,
    confirmedAt: null,
    resolvedAt: null,
    resolvedBy: null,
    reopenedBy: null,
  });
  const audit = await log.record(tx, {
    event: 'incident.declared',
    actor: actorOf(caller),
    subject: { incident: body.id, user: caller.person.id },
    data: { ...body },
    embedded: caller.embedded,
  });
  return { ref: body.id, audit };
}

export async function resolveIncident(
  tx: Tx,
  log: AuditLog,
  caller: Caller,
  id: string,
): Promise<{ ref: string; audit: AuditRow }> {
  const incident = await findIncident(tx, id);
  if (incident.state === 'resolved') throw new AppError('conflict', `incident ${id} is resolved already`);
  const nowMs = await tx.now();
  await tx.updateIncident(id, {
    state: 'resolved',
    changedAt: nowMs,
    resolvedAt: nowMs,
    resolvedBy: caller.person.id,
  });
  const audit = await log.record(tx, {
    event: 'incident.resolved',
    actor: actorOf(caller),
    subject: { incident: id, user: caller.person.id },
    data: null,
    embedded: caller.embedded,
  });
  return { ref: id, audit };
}
