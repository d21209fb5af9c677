/** From what was asked to a settled request: granted at once, waiting for people, or refused with the rules' words. */
import { AppError } from '../protocol/errors.ts';
import type { AskRequest, RequestView } from '../protocol/messages.ts';
import type { AuditRow, RequestRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { decide, overallEffect, recordDecision, resolveAsked, shiftsOf } from './decisions.ts';
import { openGrants } from './grants.ts';
import {
  beginWaiting,
  draftRequest,
  findUnfetched,
  findWaiting,
  recordRepeat,
  recordRequest,
  refuseHopeless,
} from './new-request.ts';
import { lockRequest } from './request-lock.ts';
import type { CurrentRules } from './rules.ts';
import type { Settlements } from './settlements.ts';
import type { Stages } from './stages.ts';
import { nextStepOf, viewRequest } from './views.ts';

const MOST_PENDING = 5000;

export interface Requests {
  /** Records the decision and what follows from it in one transaction. */
  ask(tx: Tx, caller: Caller, body: AskRequest): Promise<{ ref: string; audit: AuditRow }>;
  /** Decides and records nothing. */
  dryRun(tx: ReadTx, caller: Caller, body: AskRequest): Promise<RequestView>;
  cancel(tx: Tx, caller: Caller, id: string): Promise<{ ref: string; audit: AuditRow }>;
  /** The timer of a pending request. */
  expire(tx: Tx, id: string): Promise<void>;
  /** What waits for an incident that is over waits no longer. */
  incidentResolved(tx: Tx, incident: string): Promise<void>;
}

export function createRequests(
  rules: CurrentRules,
  log: AuditLog,
  stages: Stages,
  settlements: Settlements,
): Requests {
  async function consider(tx: ReadTx, caller: Caller, body: AskRequest) {
    const current = rules();
    const nowMs = await tx.now();
    const asked = await resolveAsked(tx, current, caller.person.id, caller.device, body);
    const decided = decide(current, asked, nowMs);
    const effect = overallEffect(decided);
    const chains =
      effect === 'ask' ? [...new Set(decided.flatMap(({ decision }) => decision.chains))].sort() : [];
    const decision = recordDecision(current, decided);
    const request = draftRequest(current, asked, { decision, effect, chains, outcome: 'by policy' }, nowMs);
    return { request, decided, nowMs };
  }

  return {
    async ask(tx, caller, body) {
      const { request, decided, nowMs } = await consider(tx, caller, body);
      if (request.state === 'pending') {
        await refuseHopeless(tx, rules(), request);
        const same = (await findWaiting(tx, request)) ?? (await findUnfetched(tx, request));
        if (same) return { ref: same.id, audit: await recordRepeat(tx, log, caller, same) };
      }
      const audit = await recordRequest(tx, log, caller, request);
      if (request.state === 'granted') {
        await openGrants(tx, rules(), log, request, {
          via: 'policy',
          durationSeconds: request.durationSeconds,
          actor: BROKER,
          shiftOf: shiftsOf(rules(), request.user, decided, nowMs),
        });
      }
      if (request.state === 'pending') await beginWaiting(tx, stages, request);
      return { ref: request.id, audit };
    },

    async dryRun(tx, caller, body) {
      const { request, nowMs } = await consider(tx, caller, body);
      return {
        ...(await viewRequest(tx, rules(), { ...request, state: 'pending' })),
        ...(await nextStepOf(tx, rules(), request, nowMs)),
        id: '',
        state: request.state,
      };
    },

    async cancel(tx, caller, id) {
      const request = await lockRequest(tx, id);
      if (request?.user !== caller.person.id)
        throw new AppError('not_found', `you have no request '${id}'`, {
          hint: 'oncall status --refresh shows what waits',
        });
      await settle(tx, request, { state: 'cancelled', outcome: `cancelled by ${caller.person.id}` });
      const audit = await log.record(tx, {
        event: 'request.cancelled',
        actor: actorOf(caller),
        subject: { request: id, user: request.user },
        data: null,
        embedded: caller.embedded,
      });
      return { ref: id, audit };
    },

    async expire(tx, id) {
      const request = await lockRequest(tx, id);
      if (request?.state !== 'pending') return;
      await settlements.end(tx, request, {
        state: 'expired',
        outcome: 'nobody answered in time',
        event: 'request.expired',
      });
    },

    async incidentResolved(tx, incident) {
      for (const { id } of await tx.requests({ state: 'pending', limit: MOST_PENDING })) {
        const request = await lockRequest(tx, id);
        if (request?.state !== 'pending' || request.incident !== incident) continue;
        const outcome = `incident ${incident} is resolved`;
        await settlements.end(tx, request, { state: 'denied', outcome, event: 'request.denied' });
      }
    },
  };

  async function settle(
    tx: Tx,
    request: RequestRow,
    to: { state: RequestRow['state']; outcome: string },
  ): Promise<void> {
    const done = await tx.settleRequest(request.id, { ...to, decidedAt: await tx.now() });
    if (!done)
      throw new AppError('conflict', `the request is ${request.state} already`, {
        hint: `oncall wait ${request.id}`,
      });
  }
}
