/** Opening what a settled request allows. */
import type { Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { Target } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { GrantRow, RequestRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import type { Actor, AuditLog } from './audit-log.ts';
import type { RecordedShift } from './facts.ts';
import type { Rules } from './rules.ts';
import { activeWindow, endOf, nextLook } from './windows.ts';

export interface OpenBy {
  via: GrantRow['via'];
  durationSeconds: number;
  actor: Actor;
  /** The shift that a target's decision rested on; undefined where it rested on none, or on one without an end. */
  shiftOf: (target: Target) => RecordedShift | undefined;
  /** Opened by itself, by this rule: the window begins when it is used first, before this instant (milliseconds). */
  ready?: { rule: string; until: number } | undefined;
}

/** Break-glass has its own cap, and its window never becomes longer: to go on, the glass is broken again. */
function windowOf(nowMs: number, resource: Resource, { via, durationSeconds }: OpenBy) {
  const isGlass = via === 'break-glass';
  const seconds = isGlass
    ? Math.min(durationSeconds, resource.breakGlass?.maxWindowSeconds ?? 0)
    : durationSeconds;
  return activeWindow(nowMs, seconds, isGlass ? seconds : resource.session.maxSeconds);
}

/**
 * The window starts now, not when it was asked (or when it is used first, if it is opened by itself). What is held already
 * gains the incident, and by a person's yes a new window; else it stays as it is. What is ready begins. Answers how many grants
 * were made.
 */
export async function openGrants(
  tx: Tx,
  { catalogue }: Rules,
  log: AuditLog,
  request: RequestRow,
  how: OpenBy,
): Promise<number> {
  const nowMs = await tx.now();
  let made = 0;
  for (const target of request.targets as unknown as Target[]) {
    const { resource: name, role } = target;
    const resource = catalogue.resources.get(name);
    if (!resource?.roles.includes(role))
      throw new AppError('ended', `${name}:${role} has left the catalogue`, {
        hint: 'oncall resources shows what there is now',
      });
    await tx.lockTarget(request.user, name, role);
    const held = await heldGrant(tx, request.user, target, nowMs);
    if (held) {
      await reuse(tx, log, request, held, resource, how);
      continue;
    }
    const grant = draft(request, target, resource, how, nowMs);
    made++;
    await tx.insertGrant(grant, request.incident === null ? [] : [request.incident]);
    await lookAgain(tx, grant, nowMs);
    await log.record(tx, {
      event: how.ready ? 'grant.ready' : 'grant.created',
      actor: how.actor,
      subject: { grant: grant.id, request: request.id, user: request.user, resource: name },
      data: {
        role,
        via: how.via,
        rule: grant.rule,
        incident: request.incident,
        startsAt: formatInstant(grant.startsAt),
        endsAt: formatInstant(grant.endsAt),
        hardEndsAt: formatInstant(grant.hardEndsAt),
      },
    });
  }
  return made;
}

/** Active and not over, or ready: whether that is over is its timer's to say. */
export async function heldGrant(
  tx: Tx,
  user: string,
  { resource, role }: Target,
  nowMs: number,
): Promise<GrantRow | undefined> {
  const [held] = await tx.grants({ user, resource, role, states: ['ready', 'active'], limit: 1 });
  return held && (held.state === 'ready' || endOf(held) > nowMs) ? held : undefined;
}

/** The window of something ready begins: at its first credential, or when it is asked for. */
export async function activate(
  tx: Tx,
  log: AuditLog,
  grant: GrantRow,
  resource: Resource,
  actor: Actor,
  durationSeconds: number,
): Promise<GrantRow> {
  const nowMs = await tx.now();
  const window = activeWindow(nowMs, durationSeconds, resource.session.maxSeconds);
  await tx.updateGrant(grant.id, { state: 'active', ...window });
  const active: GrantRow = { ...grant, state: 'active', ...window };
  await lookAgain(tx, active, nowMs);
  await log.record(tx, {
    event: 'grant.activated',
    actor,
    subject: { grant: grant.id, user: grant.user, resource: grant.resource },
    data: { endsAt: formatInstant(window.endsAt), hardEndsAt: formatInstant(window.hardEndsAt) },
  });
  return active;
}

/** Puts the grant's timer to the next moment at which something may have to happen to it. */
export async function lookAgain(tx: Tx, grant: GrantRow, nowMs: number): Promise<void> {
  const dueAt = nextLook(grant, nowMs);
  await tx.insertJob({ id: createId('job', nowMs), kind: 'end-grant', subject: grant.id, dueAt });
}

async function reuse(
  tx: Tx,
  log: AuditLog,
  request: RequestRow,
  held: GrantRow,
  resource: Resource,
  how: OpenBy,
): Promise<void> {
  if (request.incident !== null) await tx.addIncident(held.id, request.incident);
  const shift = shiftColumns(how.shiftOf({ resource: held.resource, role: held.role }));
  const isReady = held.state === 'ready';
  if (isReady && how.ready !== undefined) {
    const { until } = how.ready;
    if (until > held.endsAt) await tx.updateGrant(held.id, { endsAt: until, hardEndsAt: until, ...shift });
  } else if (isReady || held.graceEndsAt !== null) {
    // What it was for may be over; what it is for now is not, and binds it from here on.
    await tx.updateGrant(held.id, { graceEndsAt: null, graceCause: null, ...shift });
  }
  await log.record(tx, {
    event: 'grant.reused',
    actor: how.actor,
    subject: { grant: held.id, request: request.id, user: request.user, resource: held.resource },
    data: { incident: request.incident },
  });
  if (how.via === 'break-glass') return takeOver(tx, log, request, held, resource, how);
  if (!isReady && how.via === 'approval') await beginAnew(tx, log, request, held, resource, how, shift);
  if (isReady && how.ready === undefined)
    await activate(tx, log, { ...held, ...shift }, resource, how.actor, how.durationSeconds);
}

/** The same that the yes would open if it came when this window has ended: nobody has to lose the access for it first. */
async function beginAnew(
  tx: Tx,
  log: AuditLog,
  request: RequestRow,
  held: GrantRow,
  resource: Resource,
  how: OpenBy,
  shift: ReturnType<typeof shiftColumns>,
): Promise<void> {
  const nowMs = await tx.now();
  const window = activeWindow(nowMs, how.durationSeconds, resource.session.maxSeconds);
  // Approved for less than is left of it: that is no reason to take something away.
  if (window.endsAt <= held.endsAt) return;
  // It rests on this request from here on, as a new grant would.
  const by = { requestId: request.id, via: how.via, extensions: 0 };
  const change = { ...window, ...shift, ...by, graceEndsAt: null, graceCause: null };
  await tx.updateGrant(held.id, change);
  await lookAgain(tx, { ...held, ...change }, nowMs);
  await log.record(tx, {
    event: 'grant.extended',
    actor: how.actor,
    subject: { grant: held.id, request: request.id, user: held.user, resource: held.resource },
    data: { from: formatInstant(held.endsAt), to: formatInstant(window.endsAt) },
  });
}

/**
 * What is held the usual way, or ready, rests on break-glass from here on: on its rule alone, whatever becomes of shift and incident,
 * and for its short window even where what was left was longer.
 */
async function takeOver(
  tx: Tx,
  log: AuditLog,
  request: RequestRow,
  held: GrantRow,
  resource: Resource,
  how: OpenBy,
): Promise<void> {
  const nowMs = await tx.now();
  const window = windowOf(nowMs, resource, how);
  const by = { requestId: request.id, via: how.via, rule: null, state: 'active', extensions: 0 } as const;
  const change = { ...window, ...shiftColumns(undefined), ...by, graceEndsAt: null, graceCause: null };
  await tx.updateGrant(held.id, change);
  await lookAgain(tx, { ...held, ...change }, nowMs);
  await log.record(tx, {
    event: 'grant.extended',
    actor: how.actor,
    subject: { grant: held.id, request: request.id, user: held.user, resource: held.resource },
    data: { via: how.via, from: formatInstant(held.endsAt), to: formatInstant(window.endsAt) },
  });
}

function draft(
  request: RequestRow,
  target: Target,
  resource: Resource,
  how: OpenBy,
  nowMs: number,
): GrantRow {
  const window = how.ready
    ? { startsAt: nowMs, endsAt: how.ready.until, hardEndsAt: how.ready.until }
    : windowOf(nowMs, resource, how);
  return {
    id: createId('gr', nowMs),
    requestId: request.id,
    user: request.user,
    resource: target.resource,
    role: target.role,
    state: how.ready ? 'ready' : 'active',
    via: how.via,
    rule: how.ready?.rule ?? null,
    ...window,
    extensions: 0,
    ...shiftColumns(how.shiftOf(target)),
    graceEndsAt: null,
    graceCause: null,
    endCause: null,
    endedAt: null,
  };
}

export function shiftColumns(
  shift: RecordedShift | undefined,
): Pick<GrantRow, 'shiftSchedule' | 'shiftLevel' | 'shiftEndsAt'> {
  return {
    shiftSchedule: shift?.schedule ?? null,
    shiftLevel: shift?.level ?? null,
    shiftEndsAt: shift?.endsAtMs ?? null,
  };
}
