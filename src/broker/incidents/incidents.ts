/** Incidents that people declare, resolve and open again. (Paging systems bring theirs through incident-feed.ts.) */
import { AppError } from '../../protocol/errors.ts';
import type { DeclareIncident } from '../../protocol/messages.ts';
import type { AuditRow, IncidentRow } from '../../store/rows.ts';
import type { Tx } from '../../store/store.ts';
import type { AuditLog } from '../audit-log.ts';
import { actorOf, type Caller } from '../caller.ts';
import { MANUAL } from '../facts.ts';
import { findIncident } from '../incident-refs.ts';
import type { CurrentRules } from '../rules.ts';
import type { IncidentConsequences } from './incident-feed.ts';

type Done = Promise<{ ref: string; audit: AuditRow }>;

export interface Incidents {
  declare(tx: Tx, caller: Caller, body: DeclareIncident): Done;
  resolve(tx: Tx, caller: Caller, typed: string): Done;
  /** Whoever opens it again counts as having declared it: it grants them nothing. */
  reopen(tx: Tx, caller: Caller, typed: string): Done;
}

export function createIncidents(
  rules: CurrentRules,
  log: AuditLog,
  consequences: IncidentConsequences,
): Incidents {
  async function record(tx: Tx, caller: Caller, event: string, id: string, data: DeclareIncident | null) {
    return log.record(tx, {
      event,
      actor: actorOf(caller),
      subject: { incident: id, user: caller.person.id },
      data,
      embedded: caller.embedded,
    });
  }

  async function held(tx: Tx, typed: string): Promise<IncidentRow> {
    const { id } = await findIncident(tx, typed);
    const incident = await tx.lockIncident(id);
    if (!incident) throw new AppError('internal', 'an incident has vanished');
    return incident;
  }

  return {
    async declare(tx, caller, body) {
      const { services } = rules().catalogue;
      if (!services.has(body.service)) {
        throw new AppError('not_found', `there is no service '${body.service}'`, {
          hint: `services: ${[...services.keys()].join(', ')}`,
        });
      }
      if ((await tx.incidentsByAlias(body.id, 1)).length > 0) {
        throw new AppError('conflict', `incident ${body.id} exists already`, {
          hint: `oncall incident show ${body.id}`,
        });
      }
      const nowMs = await tx.now();
      const incident: IncidentRow = {
        id: body.id,
        source: MANUAL,
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
        openedAt: nowMs,
        changedAt: nowMs,
        confirmedAt: null,
        resolvedAt: null,
        resolvedBy: null,
        reopenedBy: null,
      };
      await tx.insertIncident(incident);
      const audit = await record(tx, caller, 'incident.declared', incident.id, { ...body });
      await consequences.opened(tx, incident);
      return { ref: incident.id, audit };
    },

    async resolve(tx, caller, typed) {
      const incident = await held(tx, typed);
      if (incident.state === 'resolved')
        throw new AppError('conflict', `incident ${incident.id} is resolved already`, {
          hint: `oncall incident reopen ${incident.id}`,
        });
      const nowMs = await tx.now();
      const change = {
        state: 'resolved' as const,
        resolvedAt: nowMs,
        resolvedBy: caller.person.id,
        changedAt: nowMs,
      };
      await tx.updateIncident(incident.id, change);
      const audit = await record(tx, caller, 'incident.resolved', incident.id, null);
      await consequences.resolved(tx, { ...incident, ...change });
      return { ref: incident.id, audit };
    },

    async reopen(tx, caller, typed) {
      const incident = await held(tx, typed);
      if (incident.state === 'open')
        throw new AppError('conflict', `incident ${incident.id} is open already`, {
          hint: `oncall incident show ${incident.id}`,
        });
      const nowMs = await tx.now();
      const change = {
        state: 'open' as const,
        openedAt: nowMs,
        changedAt: nowMs,
        resolvedAt: null,
        resolvedBy: null,
        reopenedBy: caller.person.id,
      };
      await tx.updateIncident(incident.id, change);
      const audit = await record(tx, caller, 'incident.reopened', incident.id, null);
      await consequences.reopened(tx, { ...incident, ...change });
      return { ref: incident.id, audit };
    },
  };
}
