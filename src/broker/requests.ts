/** From what was asked to a settled request: granted at once, waiting for people, or refused with the rules' words. */
import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { AskRequest, RequestView, Target } from '../protocol/messages.ts';
import type { AuditRow, RequestRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import {
  type Asked,
  decide,
  digestOf,
  overallEffect,
  recordDecision,
  resolveAsked,
  shiftsOf,
} from './decisions.ts';
import { openGrants } from './grants.ts';
import { lockRequest } from './request-lock.ts';
import type { CurrentRules } from './rules.ts';
import type { Settlements } from './settlements.ts';
import { isHopeless } from './stage-progress.ts';
import type { Stages } from './stages.ts';
import { viewRequest } from './views.ts';
import { endOf } from './windows.ts';

const MAX_PENDING = 50;
const MOST_PENDING = 5000;
/** What was refused or granted at once has nothing left to expire. */
const DEFAULT_EXPIRES_SECONDS = 3600;

/** What makes two requests the same: who asks from where, for what, why and for how long. */
function askedOf({ deviceId, targets, incident, reason, durationSeconds }: RequestRow): string {
  return canonicalJson({ deviceId, targets, incident, reason, durationSeconds });
}

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
  function draft(
    asked: Asked,
    decision: Json,
    effect: 'grant' | 'ask' | 'deny',
    chains: string[],
    nowMs: number,
  ): RequestRow {
    const { catalogue } = rules();
    const expiresSeconds = Math.min(
      ...chains.map((id) => catalogue.chains.get(id)?.expiresSeconds ?? DEFAULT_EXPIRES_SECONDS),
      DEFAULT_EXPIRES_SECONDS * 24,
    );
    const request = {
      id: createId('req', nowMs),
      user: asked.user,
      deviceId: asked.device?.id ?? '',
      targets: asked.targets.map(({ target }) => ({ ...target })),
      incident: asked.incident?.id ?? null,
      reason: asked.reason ?? null,
      durationSeconds: asked.durationSeconds,
    };
    const state = effect === 'grant' ? 'granted' : effect === 'ask' ? 'pending' : 'denied';
    return {
      ...request,
      bundle: asked.bundle ?? null,
      origin: null,
      state,
      digest: digestOf(request),
      decision,
      chains,
      createdAt: nowMs,
      expiresAt: nowMs + (chains.length > 0 ? expiresSeconds : DEFAULT_EXPIRES_SECONDS) * 1000,
      decidedAt: state === 'pending' ? null : nowMs,
      outcome: state === 'pending' ? null : `by policy`,
    };
  }

  async function consider(tx: ReadTx, caller: Caller, body: AskRequest) {
    const current = rules();
    const nowMs = await tx.now();
    const asked = await resolveAsked(tx, current, caller.person.id, caller.device, body);
    const decided = decide(current, asked, nowMs);
    const effect = overallEffect(decided);
    const chains =
      effect === 'ask' ? [...new Set(decided.flatMap(({ decision }) => decision.chains))].sort() : [];
    const request = draft(asked, recordDecision(current, decided), effect, chains, nowMs);
    return { request, decided, nowMs };
  }

  return {
    async ask(tx, caller, body) {
      const { request, decided, nowMs } = await consider(tx, caller, body);
      if (request.state === 'pending') {
        await refuseHopeless(tx, request);
        const same = (await findWaiting(tx, request)) ?? (await findUnfetched(tx, request));
        if (same) return { ref: same.id, audit: await recordRepeat(tx, caller, same) };
      }
      await tx.insertRequest(request);
      const audit = await log.record(tx, {
        event: `request.${request.state}`,
        actor: actorOf(caller),
        subject: { request: request.id, user: request.user, device: caller.device.id },
        data: {
          targets: request.targets,
          incident: request.incident,
          reason: request.reason,
          durationSeconds: request.durationSeconds,
          digest: request.digest,
          decision: request.decision,
        },
        embedded: caller.embedded,
      });
      if (request.state === 'granted') {
        await openGrants(tx, rules(), log, request, {
          via: 'policy',
          durationSeconds: request.durationSeconds,
          actor: BROKER,
          shiftOf: shiftsOf(rules(), request.user, decided, nowMs),
        });
      }
      if (request.state === 'pending') {
        await tx.insertJob({
          id: createId('job', nowMs),
          kind: 'expire-request',
          subject: request.id,
          dueAt: request.expiresAt,
        });
        await stages.begin(tx, request);
      }
      return { ref: request.id, audit };
    },

    async dryRun(tx, caller, body) {
      const { request } = await consider(tx, caller, body);
      return {
        ...(await viewRequest(tx, rules(), { ...request, state: 'pending' })),
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

  /** A request that nobody could answer must not wait, and one person's pile of them must not grow without bound. */
  async function refuseHopeless(tx: ReadTx, request: RequestRow): Promise<void> {
    if (isHopeless(rules(), request, request.createdAt)) {
      const chains = (request.chains as string[]).join(', ');
      throw new AppError('denied', `nobody but you could approve this on ${chains}`, {
        hint: 'oncall explain shows what would be granted without approval',
      });
    }
    const pending = await tx.requests({ user: request.user, state: 'pending', limit: MAX_PENDING });
    if (pending.length >= MAX_PENDING) {
      throw new AppError('rate_limited', `${MAX_PENDING} of your requests are waiting already`, {
        hint: 'oncall cancel <id>',
      });
    }
  }

  /** Asked again while it waits: the same question does not go to the approvers twice. */
  async function findWaiting(tx: ReadTx, request: RequestRow): Promise<RequestRow | undefined> {
    const pending = await tx.requests({ user: request.user, state: 'pending', limit: MAX_PENDING });
    return pending.find(
      (other) => other.expiresAt > request.createdAt && askedOf(other) === askedOf(request),
    );
  }

  /**
   * A yes that came when nobody was waiting any more: whoever types the same again means it. Once this device has used what was
   * opened, asking again asks people again, for a new window.
   */
  async function findUnfetched(tx: ReadTx, request: RequestRow): Promise<RequestRow | undefined> {
    const granted = await tx.requests({ user: request.user, state: 'granted', limit: MAX_PENDING });
    const [latest] = granted.filter((other) => askedOf(other) === askedOf(request));
    if (latest === undefined) return undefined;
    const targets = latest.targets as unknown as Target[];
    const opened = { requestId: latest.id, states: ['active'] as const, limit: targets.length };
    const grants = await tx.grants(opened);
    if (grants.length < targets.length) return undefined;
    for (const grant of grants) {
      const used = await tx.credentials({ grantId: grant.id, deviceId: request.deviceId, limit: 1 });
      if (endOf(grant) <= request.createdAt || used.length > 0) return undefined;
    }
    return latest;
  }

  function recordRepeat(tx: Tx, caller: Caller, { id, user }: RequestRow): Promise<AuditRow> {
    return log.record(tx, {
      event: 'request.repeated',
      actor: actorOf(caller),
      subject: { request: id, user, device: caller.device.id },
      data: null,
      embedded: caller.embedded,
    });
  }

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
