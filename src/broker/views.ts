/** Rows as clients see them. */
import type { Catalogue, Person } from '../catalogue/types.ts';
import type { Proof } from '../issuers/issuer.ts';
import type {
  BreakGlassState,
  BundleView,
  DeviceView,
  GrantView,
  IncidentView,
  Me,
  RequestView,
  ResourceView,
  Target,
} from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { CredentialRow, DeviceRow, GrantRow, IncidentRow, RequestRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { isBreakGlass, openableBy } from './break-glass-decision.ts';
import { viewDecision } from './decisions.ts';
import type { Rules } from './rules.ts';
import { waitingOf } from './stage-progress.ts';

export function viewDevice(row: DeviceRow, currentId?: string): DeviceView {
  return {
    id: row.id,
    user: row.user,
    name: row.name,
    keystore: row.keystore,
    state: row.state,
    createdAt: formatInstant(row.createdAt),
    lastSeenAt: instantOrNull(row.lastSeenAt),
    current: row.id === currentId,
  };
}

export function viewIncident(row: IncidentRow): IncidentView {
  const { id, source, state, priority, service, title, declaredBy, url } = row;
  return {
    id,
    source,
    state,
    priority,
    service,
    title,
    declaredBy,
    assignees: row.assignees as string[],
    url,
    startedAt: formatInstant(row.startedAt),
    confirmedAt: instantOrNull(row.confirmedAt),
    resolvedAt: instantOrNull(row.resolvedAt),
  };
}

export function viewBundles(catalogue: Catalogue): BundleView[] {
  return [...catalogue.bundles.values()].map(({ id, description, targets }) => ({
    name: id,
    description: description ?? null,
    targets: targets.map(({ resource, role }) => ({ resource, role })),
  }));
}

export function viewResources(catalogue: Catalogue, tainted: readonly BreakGlassState[]): ResourceView[] {
  const since = new Map(tainted.map(({ resource, taintedAt }) => [resource, taintedAt]));
  return [...catalogue.resources.values()].map((resource) => ({
    name: resource.id,
    kind: resource.target.kind,
    description: resource.description ?? null,
    service: resource.service,
    environment: resource.environment,
    sensitivity: resource.sensitivity,
    defaultRole: resource.defaultRole,
    roles: [...resource.roles],
    session: { ...resource.session },
    credentialSeconds: resource.credentialSeconds,
    taintedAt: since.get(resource.id) ?? null,
  }));
}

export async function viewMe(tx: ReadTx, rules: Rules, person: Person, device: DeviceRow): Promise<Me> {
  const nowMs = await tx.now();
  const devices = await tx.devicesOf(person.id);
  return {
    user: person.id,
    name: person.name,
    groups: [...person.groups],
    manager: person.manager ?? null,
    device: viewDevice(device, device.id),
    shifts: rules.shifts.shiftsOf(person.id, nowMs).map(({ schedule, level, startsAtMs, endsAtMs }) => ({
      schedule,
      level,
      startsAt: formatInstant(startsAtMs),
      endsAt: instantOrNull(endsAtMs),
    })),
    brokerTime: formatInstant(nowMs),
    notices: noticesFor(devices, device, nowMs),
  };
}

const NOTICE_MS = 7 * 86_400_000;

/** Each of a person's devices is told of the others that were added or revoked in the last week. */
function noticesFor(devices: readonly DeviceRow[], current: DeviceRow, nowMs: number): Me['notices'] {
  return devices
    .filter(({ id }) => id !== current.id)
    .flatMap(({ id, name, createdAt, revokedAt }) => [
      { at: createdAt, text: `device ${id} (${name}) was added` },
      ...(revokedAt === null ? [] : [{ at: revokedAt, text: `device ${id} (${name}) was revoked` }]),
    ])
    .filter(({ at }) => nowMs - at < NOTICE_MS)
    .sort((a, b) => b.at - a.at)
    .map(({ at, text }) => ({ at: formatInstant(at), text }));
}

/** Enough for every credential a grant still has; ended ones beyond that are in the audit log. */
const SHOWN_CREDENTIALS = 20;

export async function viewGrant(tx: ReadTx, rules: Rules, grant: GrantRow, held = false): Promise<GrantView> {
  const incidents = await tx.incidentsOf(grant.id);
  const credentials = await tx.credentials({ grantId: grant.id, limit: SHOWN_CREDENTIALS });
  const resource = rules.catalogue.resources.get(grant.resource);
  const kind = resource?.target.kind ?? (credentials[0]?.kind as GrantView['kind'] | undefined) ?? 'postgres';
  const most = grant.via === 'break-glass' ? 0 : (resource?.session.maxExtensions ?? 0);
  const extensionsLeft = Math.max(0, most - grant.extensions);
  return {
    id: grant.id,
    requestId: grant.requestId,
    user: grant.user,
    target: { resource: grant.resource, role: grant.role },
    kind,
    state: grant.state,
    via: grant.via,
    rule: grant.rule,
    incidents: [...incidents],
    startsAt: formatInstant(grant.startsAt),
    endsAt: formatInstant(grant.endsAt),
    hardEndsAt: formatInstant(grant.hardEndsAt),
    graceEndsAt: instantOrNull(grant.graceEndsAt),
    graceCause: grant.graceCause,
    extensionsLeft: grant.state === 'ended' ? 0 : extensionsLeft,
    endCause: grant.endCause,
    endedAt: instantOrNull(grant.endedAt),
    held,
    credentials: credentials.map((credential) => ({
      id: credential.id,
      deviceId: credential.deviceId,
      state: credential.state,
      handle: credential.handle,
      expiresAt: formatInstant(credential.expiresAt),
      proof: proofWords(credential),
    })),
  };
}

export async function viewRequest(tx: ReadTx, rules: Rules, request: RequestRow): Promise<RequestView> {
  const nowMs = await tx.now();
  const answers = await tx.approvals(request.id);
  const grants = request.state === 'granted' ? await grantsOf(tx, rules, request) : [];
  return {
    id: request.id,
    user: request.user,
    state: request.state,
    bundle: request.bundle,
    incident: request.incident,
    reason: request.reason,
    durationSeconds: request.durationSeconds,
    digest: request.digest,
    createdAt: formatInstant(request.createdAt),
    expiresAt: formatInstant(request.expiresAt),
    outcome: request.outcome,
    targets: viewDecision(rules, request, nowMs),
    grants,
    answers: answers.map(({ approver, verdict, reason, at }) => ({
      approver,
      verdict,
      reason,
      at: formatInstant(at),
    })),
    waiting: await waitingOf(tx, rules, request, nowMs),
    ...(await nextStepOf(tx, rules, request, nowMs)),
  };
}

/** What was refused the usual way may be possible by break-glass. */
export async function nextStepOf(
  tx: ReadTx,
  rules: Rules,
  request: RequestRow,
  nowMs: number,
): Promise<Pick<RequestView, 'breakGlass'>> {
  if (request.state !== 'denied' || isBreakGlass(request)) return {};
  const subject = { user: request.user, device: await tx.device(request.deviceId), nowMs };
  return { breakGlass: openableBy(rules, subject, request.targets as unknown as Target[]) };
}

/** A grant per target: the one this request made, or the one that was held already. */
async function grantsOf(tx: ReadTx, rules: Rules, request: RequestRow): Promise<GrantView[]> {
  const targets = request.targets as unknown as Target[];
  const own = await tx.grants({ requestId: request.id, limit: targets.length });
  const views: GrantView[] = [];
  for (const { resource, role } of targets) {
    const made = own.find((grant) => grant.resource === resource && grant.role === role);
    const [held] = made
      ? []
      : await tx.grants({ user: request.user, resource, role, states: ['ready', 'active'], limit: 1 });
    const grant = made ?? held;
    if (grant) views.push(await viewGrant(tx, rules, grant, !made));
  }
  return views;
}

/** What is known about the end of a login, in words. */
function proofWords({ state, proof, expiresAt }: CredentialRow): string {
  if (state === 'issuing' || state === 'live') return '';
  const taken = (proof as unknown as { proof?: Proof } | null)?.proof;
  switch (taken?.state) {
    case 'proven':
      return `proven: ${taken.method}`;
    case 'expires':
      return `expires-at ${formatInstant(taken.expiresAtMs)}: ${taken.method}`;
    case 'unproven':
      return `not proven yet: ${taken.reason}`;
    default:
      return `ending, expires-at ${formatInstant(expiresAt)}`;
  }
}

function instantOrNull(ms: number | null): string | null {
  return ms === null ? null : formatInstant(ms);
}
