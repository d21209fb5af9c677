/**
 * People's answers. Nobody answers their own request; an answer signs the digest of what was asked; an approver may shorten
 * what they approve, never lengthen it; what is granted is decided again in that moment.
 */
import { AppError } from '../protocol/errors.ts';
import type { Approve, Deny, Target } from '../protocol/messages.ts';
import type { AuditRow, RequestRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { gatherFacts } from './facts.ts';
import { lockRequest } from './request-lock.ts';
import type { CurrentRules } from './rules.ts';
import type { Settlements } from './settlements.ts';
import { isAsked } from './stage-progress.ts';
import type { Stages } from './stages.ts';

export interface Approvals {
  approve(tx: Tx, caller: Caller, id: string, body: Approve): Promise<{ ref: string; audit: AuditRow }>;
  deny(tx: Tx, caller: Caller, id: string, body: Deny): Promise<{ ref: string; audit: AuditRow }>;
  /** Pending requests that this person is asked about. */
  waitingFor(tx: ReadTx, user: string): Promise<readonly RequestRow[]>;
}

const MOST_PENDING = 500;

export function createApprovals(
  rules: CurrentRules,
  log: AuditLog,
  stages: Stages,
  settlements: Settlements,
): Approvals {
  /** The request, if this person may answer it now. */
  async function answerable(tx: Tx, caller: Caller, id: string, digest: string): Promise<RequestRow> {
    const request = await lockRequest(tx, id);
    if (request?.user === caller.person.id) {
      throw new AppError('forbidden', 'nobody answers their own request', { hint: `oncall cancel ${id}` });
    }
    const nowMs = await tx.now();
    if (!request || !(await isAsked(tx, rules(), request, caller.person.id, nowMs))) {
      throw new AppError('not_found', `no request '${id}' waits for you`, { hint: 'oncall approvals' });
    }
    if (request.state !== 'pending' || request.expiresAt <= nowMs) {
      throw new AppError(
        'ended',
        `the request is ${request.state === 'pending' ? 'expired' : request.state} already`,
        { hint: 'oncall approvals shows what waits still' },
      );
    }
    if (request.digest !== digest) {
      throw new AppError('conflict', 'what you answer is not what was asked', { hint: `oncall approvals` });
    }
    requirePermission(caller, request, nowMs);
    return request;
  }

  function requirePermission(caller: Caller, request: RequestRow, nowMs: number): void {
    const current = rules();
    for (const { resource: name, role } of request.targets as unknown as Target[]) {
      const facts = gatherFacts(current, {
        user: caller.person.id,
        device: caller.device,
        resource: current.catalogue.resources.get(name),
        incident: undefined,
        nowMs,
      });
      const about = { resource: name, role, user: request.user };
      const answer = current.policy.isPermitted({
        action: 'approve',
        user: caller.person.id,
        about,
        facts,
        nowMs,
      });
      if (!answer.allowed) {
        const because = answer.rules.map((rule) => rule.because ?? rule.id).join('; ');
        throw new AppError('forbidden', `policy does not let you approve this${because && `: ${because}`}`, {
          hint: 'oncall approvals shows what waits for you',
        });
      }
    }
  }

  async function record(
    tx: Tx,
    caller: Caller,
    request: RequestRow,
    verdict: 'approve' | 'deny',
    rest: {
      durationSeconds: number | null;
      reason: string | null;
    },
  ): Promise<AuditRow> {
    const at = await tx.now();
    const first = await tx.insertApproval({
      requestId: request.id,
      approver: caller.person.id,
      verdict,
      at,
      ...rest,
    });
    if (!first)
      throw new AppError('conflict', 'you have answered this request already', {
        hint: 'oncall approvals shows what waits still',
      });
    return log.record(tx, {
      event: verdict === 'approve' ? 'request.approved' : 'request.refused',
      actor: actorOf(caller),
      subject: { request: request.id, user: request.user, approver: caller.person.id },
      data: { digest: request.digest, ...rest },
      embedded: caller.embedded,
    });
  }

  return {
    async approve(tx, caller, id, body) {
      const request = await answerable(tx, caller, id, body.digest);
      const durationSeconds = body.durationSeconds ?? request.durationSeconds;
      if (durationSeconds > request.durationSeconds) {
        throw new AppError('invalid_request', 'an approval may shorten what was asked, not lengthen it', {
          hint: 'leave --for away, or make it shorter',
        });
      }
      const audit = await record(tx, caller, request, 'approve', { durationSeconds, reason: null });
      await stages.afterAnswer(tx, request);
      return { ref: id, audit };
    },

    async deny(tx, caller, id, body) {
      const request = await answerable(tx, caller, id, body.digest);
      const audit = await record(tx, caller, request, 'deny', { durationSeconds: null, reason: body.reason });
      const outcome = `refused by ${caller.person.id}: ${body.reason}`;
      await settlements.end(tx, request, { state: 'denied', outcome });
      return { ref: id, audit };
    },

    async waitingFor(tx, user) {
      const nowMs = await tx.now();
      const waiting: RequestRow[] = [];
      for (const request of await tx.requests({ state: 'pending', limit: MOST_PENDING })) {
        if (request.expiresAt > nowMs && (await isAsked(tx, rules(), request, user, nowMs)))
          waiting.push(request);
      }
      return waiting;
    },
  };
}
