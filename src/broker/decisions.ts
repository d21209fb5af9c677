/** Deciding what was asked: one decision a target, from facts gathered for it, recorded with the digests of the rules. */
import { createHash } from 'node:crypto';
import type { Resource } from '../catalogue/types.ts';
import type { AccessDecision, Facts } from '../policy/policy.ts';
import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { formatDuration } from '../protocol/durations.ts';
import { AppError } from '../protocol/errors.ts';
import type { AskRequest, TargetDecision } from '../protocol/messages.ts';
import { formatTarget, type TargetRef } from '../protocol/names.ts';
import type { DeviceRow, IncidentRow, RequestRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { approversOf } from './approvers.ts';
import { expandBundle, typedOrBundles } from './bundles.ts';
import { coveringShift, gatherFacts, type RecordedShift, viewFacts } from './facts.ts';
import { findIncident } from './incident-refs.ts';
import { type Rules, resolveTarget } from './rules.ts';

/** What somebody asks for, names resolved and durations checked. */
export interface Asked {
  user: string;
  device: DeviceRow | undefined;
  targets: readonly { resource: Resource; target: TargetRef }[];
  /** What it was asked as, where that was a bundle. */
  bundle: string | undefined;
  incident: IncidentRow | undefined;
  reason: string | undefined;
  durationSeconds: number;
}

export interface Decided {
  target: TargetRef;
  decision: AccessDecision;
  facts: Facts;
}

/** Resolves names and refuses what could never be: unknown targets, a closed incident, a window over the cap. */
export async function resolveAsked(
  tx: ReadTx,
  { catalogue }: Rules,
  user: string,
  device: DeviceRow,
  body: AskRequest,
): Promise<Asked> {
  const incident = body.incident === undefined ? undefined : await findIncident(tx, body.incident);
  if (incident?.state === 'resolved') {
    throw new AppError('ended', `incident ${incident.id} is resolved`, { hint: 'oncall incident list' });
  }
  const typed = typedOrBundles(catalogue, body.targets, incident);
  const targets = new Map(
    typed
      .flatMap((asked) => expandBundle(catalogue, asked))
      .map((asked) => {
        const resolved = resolveTarget(catalogue, asked);
        return [formatTarget(resolved.target), resolved] as const;
      }),
  );
  const resources = [...targets.values()].map(({ resource }) => resource);
  const [first] = typed;
  return {
    user,
    device,
    targets: [...targets.values()],
    bundle: typed.length === 1 && first && catalogue.bundles.has(first.resource) ? first.resource : undefined,
    incident,
    reason: body.reason,
    durationSeconds: checkDuration(resources, body.durationSeconds),
  };
}

/** The asked duration within every target's cap, or the shortest of their defaults. */
function checkDuration(resources: readonly Resource[], asked: number | undefined): number {
  const cap = Math.min(...resources.map(({ session }) => session.maxSeconds));
  if (asked === undefined) return Math.min(...resources.map(({ session }) => session.defaultSeconds));
  if (asked > cap) {
    throw new AppError('invalid_request', `a session may last ${formatDuration(cap)} at most`, {
      hint: `--for ${formatDuration(cap)}`,
    });
  }
  return asked;
}

export function decide(rules: Rules, asked: Asked, nowMs: number): readonly Decided[] {
  return asked.targets.map(({ resource, target }) => {
    const facts = gatherFacts(rules, {
      user: asked.user,
      device: asked.device,
      resource,
      incident: asked.incident,
      nowMs,
    });
    const decision = rules.policy.decideAccess({
      user: asked.user,
      target,
      durationSeconds: asked.durationSeconds,
      hasReason: asked.reason !== undefined,
      facts,
      nowMs,
    });
    return { target, decision, facts };
  });
}

/** One refusal refuses all; nothing is opened by halves that the asker then has to find out about. */
export function overallEffect(decided: readonly Decided[]): 'grant' | 'ask' | 'deny' {
  const effects = decided.map(({ decision }) => decision.effect);
  if (effects.includes('deny')) return 'deny';
  return effects.includes('ask') ? 'ask' : 'grant';
}

/** The shift that each target's decision rested on, for binding what is opened to it. */
export function shiftsOf(
  rules: Rules,
  user: string,
  decided: readonly Decided[],
  nowMs: number,
): (target: TargetRef) => RecordedShift | undefined {
  return ({ resource: name, role }) => {
    const found = decided.find(({ target }) => target.resource === name && target.role === role);
    const resource = rules.catalogue.resources.get(name);
    if (!resource || !found?.decision.restsOnShift) return undefined;
    return coveringShift(rules, user, resource, nowMs);
  };
}

/** What the request row and the audit log keep. */
export function recordDecision(rules: Rules, decided: readonly Decided[]): Json {
  return {
    policySha256: rules.policy.sha256,
    catalogueSha256: rules.catalogue.sha256,
    targets: decided.map(({ target, decision, facts }) => ({
      target: { ...target },
      effect: decision.effect,
      rules: decision.rules.map(({ id, effect, because }) => ({ id, effect, because: because ?? null })),
      chains: decision.chains,
      errors: decision.errors,
      facts: viewFacts(facts) as unknown as Json,
    })),
  };
}

/** The targets of a recorded decision, as people see them. */
export function viewDecision(
  rules: Rules,
  request: Pick<RequestRow, 'decision' | 'user'>,
  nowMs: number,
): TargetDecision[] {
  const { targets } = request.decision as unknown as { targets: Omit<TargetDecision, 'approvers'>[] };
  return targets.map(({ target, effect, rules: deciding, chains }) => ({
    target,
    effect,
    rules: deciding,
    chains,
    approvers: [...new Set(chains.flatMap((chain) => approversOf(rules, chain, request.user, nowMs)))],
  }));
}

/** What an approval signs: everything that was asked, under its full id. */
export function digestOf(
  request: Pick<
    RequestRow,
    'id' | 'user' | 'deviceId' | 'targets' | 'incident' | 'reason' | 'durationSeconds'
  >,
): string {
  const { id, user, deviceId, targets, incident, reason, durationSeconds } = request;
  return createHash('sha256')
    .update(canonicalJson({ id, user, deviceId, targets, incident, reason, durationSeconds }))
    .digest('hex');
}
