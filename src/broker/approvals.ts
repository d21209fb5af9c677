/**
 * People's answers. Nobody answers their own request; an answer signs the digest of what was asked; an approver may shorten
 * what they approve, never lengthen it; what is granted is decided again in that moment.
 */
import { AppError } from '../protocol/errors.ts';
import type { Approve, Deny } from '../protocol/messages.ts';
import type { AuditRow, RequestRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { decide } from './decisions.ts';
import { gatherFacts } from './facts.ts';
import { openGrants } from './grants.ts';
import { lockRequest } from './requests.ts';
import { approversOf, type CurrentRules, resolveTarget } from './rules.ts';

export interface Approvals {
  approve(tx: Tx, caller: Caller, id: string, body: Approve): Promise<{ ref: string; audit: AuditRow }>;
  deny(tx: Tx, caller: Caller, id: string, body: Deny): Promise<{ ref: string; audit: AuditRow }>;
  /** Pending requests that this person could answer. */
  waitingFor(tx: ReadTx, user: string): Promise<readonly RequestRow[]>;
}

export function createApprovals(rules: CurrentRules, log: AuditLog): Approvals {
  /** The request, if this person may answer it now. */
  async function answerable(tx: Tx, caller: Caller, id: string, digest: string): Promise<RequestRow> {
    const request = await lockRequest(tx, id);
    if (request?.user === caller.person.id) {
      throw new AppError('forbidden', 'nobody answers their own request', { hint: `oncall cancel ${id}` });
    }
    if (!request || !mayAnswer(request, caller.person.id)) {
      throw new AppError('not_found', `no request '${id}' waits for you`, { hint: 'oncall approvals' });
    }
    if (request.state !== 'pending' || request.expiresAt <= (await tx.now())) {
      throw new AppError(
        'ended',
        `the request is ${request.state === 'pending' ? 'expired' : request.state} already`,
      );
    }
    if (request.digest !== digest) {
      throw new AppError('conflict', 'what you answer is not what was asked', { hint: `oncall approvals` });
    }
    requirePermission(caller, request, await tx.now());
    return request;
  }

  function mayAnswer(request: RequestRow, user: string): boolean {
    const { catalogue } = rules();
    return (
      request.user !== user &&
      (request.chains as string[]).some((chain) => approversOf(catalogue, chain, request.user).includes(user))
    );
  }

  function requirePermission(caller: Caller, request: RequestRow, nowMs: number): void {
    const { catalogue, policy } = rules();
    for (const { resource: name, role } of request.targets as unknown as {
      resource: string;
      role: string;
    }[]) {
      const resource = catalogue.resources.get(name);
      const facts = gatherFacts(catalogue, {
        user: caller.person.id,
        device: caller.device,
        resource,
        incident: undefined,
        nowMs,
      });
      const about = { resource: name, role, user: request.user };
      const answer = policy.isPermitted({ action: 'approve', user: caller.person.id, about, facts, nowMs });
      if (!answer.allowed) {
        const because = answer.rules.map((rule) => rule.because ?? rule.id).join('; ');
        throw new AppError('forbidden', `policy does not let you approve this${because && `: ${because}`}`);
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
    if (!first) throw new AppError('conflict', 'you have answered this request already');
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
        throw new AppError('invalid_request', 'an approval may shorten what was asked, not lengthen it');
      }
      const audit = await record(tx, caller, request, 'approve', { durationSeconds, reason: null });
      const answers = (await tx.approvals(id)).filter(({ verdict }) => verdict === 'approve');
      const { catalogue } = rules();
      const satisfied = (request.chains as string[]).every((chain) =>
        answers.some(({ approver }) => approversOf(catalogue, chain, request.user).includes(approver)),
      );
      if (!satisfied) return { ref: id, audit };
      const shortest = Math.min(
        ...answers.map((answer) => answer.durationSeconds ?? request.durationSeconds),
      );
      await settleApproved(tx, caller, request, shortest);
      return { ref: id, audit };
    },

    async deny(tx, caller, id, body) {
      const request = await answerable(tx, caller, id, body.digest);
      const audit = await record(tx, caller, request, 'deny', { durationSeconds: null, reason: body.reason });
      const outcome = `refused by ${caller.person.id}: ${body.reason}`;
      await tx.settleRequest(id, { state: 'denied', decidedAt: await tx.now(), outcome });
      return { ref: id, audit };
    },

    async waitingFor(tx, user) {
      const nowMs = await tx.now();
      const pending = await tx.requests({ state: 'pending', limit: 500 });
      return pending.filter((request) => request.expiresAt > nowMs && mayAnswer(request, user));
    },
  };

  /** The world may have changed since it was asked: a yes opens only what policy still lets be asked for. */
  async function settleApproved(
    tx: Tx,
    caller: Caller,
    request: RequestRow,
    durationSeconds: number,
  ): Promise<void> {
    const current = rules();
    const nowMs = await tx.now();
    const incident = request.incident === null ? undefined : await tx.incident(request.incident);
    const device = await tx.device(request.deviceId);
    const targets = (request.targets as unknown as { resource: string; role: string }[]).map((target) =>
      resolveTarget(current.catalogue, target),
    );
    const again = decide(
      current,
      { user: request.user, device, targets, incident, reason: request.reason ?? undefined, durationSeconds },
      nowMs,
    );
    const refused = again.find(({ decision }) => decision.effect === 'deny');
    const lost =
      device?.state !== 'active'
        ? 'the device was revoked'
        : incident?.state === 'resolved'
          ? 'the incident is resolved'
          : undefined;
    if (refused || lost !== undefined) {
      const outcome = lost ?? `policy refuses ${refused?.target.resource} now`;
      await tx.settleRequest(request.id, { state: 'denied', decidedAt: nowMs, outcome });
      await log.record(tx, {
        event: 'request.denied',
        actor: { kind: 'broker', id: 'broker' },
        subject: { request: request.id, user: request.user },
        data: { outcome },
      });
      return;
    }
    await tx.settleRequest(request.id, {
      state: 'granted',
      decidedAt: nowMs,
      outcome: `approved by ${caller.person.id}`,
      durationSeconds,
    });
    await openGrants(tx, current, log, request, { via: 'approval', durationSeconds, actor: actorOf(caller) });
  }
}
