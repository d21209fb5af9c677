/** A request as it comes into being, whichever way it was asked. */
import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { Target } from '../protocol/messages.ts';
import type { AuditRow, RequestRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { isBreakGlass } from './break-glass-decision.ts';
import { actorOf, type Caller } from './caller.ts';
import { type Asked, digestOf } from './decisions.ts';
import type { Rules } from './rules.ts';
import { isHopeless } from './stage-progress.ts';
import { endOf } from './windows.ts';

const MAX_PENDING = 50;
/** What was refused or granted at once has nothing left to expire. */
const DEFAULT_EXPIRES_SECONDS = 3600;

export interface Outcome {
  decision: Json;
  effect: 'grant' | 'ask' | 'deny';
  chains: string[];
  /** Of what is granted or denied at once. */
  outcome: string;
}

export function draftRequest(
  { catalogue }: Rules,
  asked: Asked,
  decided: Outcome,
  nowMs: number,
): RequestRow {
  const { decision, effect, chains, outcome } = decided;
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
    outcome: state === 'pending' ? null : outcome,
  };
}

/** Keeps the request and what was decided about it. */
export async function recordRequest(
  tx: Tx,
  log: AuditLog,
  caller: Caller,
  request: RequestRow,
): Promise<AuditRow> {
  await tx.insertRequest(request);
  return log.record(tx, {
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
}

/** A request that nobody could answer must not wait, and one person's pile of them must not grow without bound. */
export async function refuseHopeless(tx: ReadTx, rules: Rules, request: RequestRow): Promise<void> {
  if (isHopeless(rules, request, request.createdAt)) {
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
export async function findWaiting(tx: ReadTx, request: RequestRow): Promise<RequestRow | undefined> {
  const pending = await tx.requests({ user: request.user, state: 'pending', limit: MAX_PENDING });
  return pending.find((other) => other.expiresAt > request.createdAt && askedOf(other) === askedOf(request));
}

/**
 * A yes that came when nobody was waiting any more: whoever types the same again means it. Once this device has used what was
 * opened, asking again asks people again, for a new window.
 */
export async function findUnfetched(tx: ReadTx, request: RequestRow): Promise<RequestRow | undefined> {
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

/** What makes two requests the same: who asks from where, for what, why, for how long and which way. */
function askedOf({ deviceId, targets, incident, reason, durationSeconds, decision }: RequestRow): string {
  const glass = isBreakGlass({ decision });
  return canonicalJson({ deviceId, targets, incident, reason, durationSeconds, glass });
}

export function recordRepeat(
  tx: Tx,
  log: AuditLog,
  caller: Caller,
  { id, user }: RequestRow,
): Promise<AuditRow> {
  return log.record(tx, {
    event: 'request.repeated',
    actor: actorOf(caller),
    subject: { request: id, user, device: caller.device.id },
    data: null,
    embedded: caller.embedded,
  });
}

/** From now on it waits for people, until it expires. */
export async function beginWaiting(
  tx: Tx,
  stages: { begin(tx: Tx, request: RequestRow): Promise<void> },
  request: RequestRow,
): Promise<void> {
  await tx.insertJob({
    id: createId('job', request.createdAt),
    kind: 'expire-request',
    subject: request.id,
    dueAt: request.expiresAt,
  });
  await stages.begin(tx, request);
}
