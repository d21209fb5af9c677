/**
 * The order in which resources are brought in, and what it protects: 1 non-critical, 2 production with break-glass, 3 production with
 * on-call automation. What a phase wants is asked of the catalogue and the policy as they are.
 */
import { criticalOf } from '../catalogue/chain-check.ts';
import type { Catalogue, Resource } from '../catalogue/types.ts';
import { formatDuration } from '../protocol/durations.ts';
import type { RolloutRow } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { ReadTx } from '../store/store.ts';
import { gapsInBreakGlass, gapsInNotices } from './break-glass-check.ts';
import type { Gap } from './gap.ts';
import type { Rules } from './rules.ts';
import { factsOnGoodDay, type Holder, holdersFor } from './what-if.ts';

/** When each resource's glass was broken in a drill that ended in a login; undefined where nobody could look. */
export type Drilled = ReadonlyMap<string, number> | undefined;

const SHORTEST_WINDOW_SECONDS = 2 * 3600;
const DRILL_DAYS = 90;
const DAY_MS = 86_400_000;
/** One that passed is among the last so many, or the path does not work. */
const DRILLS_LOOKED_AT = 20;
/** People are alike to a rule: of a large rotation these are enough. */
const MOST_HOLDERS = 20;

/** Of each resource, the newest drill that passed. */
export async function readDrills(tx: ReadTx, { resources }: Catalogue): Promise<ReadonlyMap<string, number>> {
  const drilled = new Map<string, number>();
  for (const { id, breakGlass, canary } of resources.values()) {
    if (!breakGlass && !canary) continue;
    const passed = (await tx.drills(id, DRILLS_LOOKED_AT)).find((drill) => drill.passed === 1);
    if (passed) drilled.set(id, passed.at);
  }
  return drilled;
}

/** What a resource lacks for this phase, those before included. */
export function gapsFor(
  rules: Rules,
  resource: Resource,
  phase: Resource['phase'],
  drilled: Drilled,
  nowMs: number,
): Gap[] {
  if (phase === 1) return [];
  const forProduction = [
    ...pathGaps(rules, resource, nowMs),
    ...chainGaps(rules, resource, nowMs),
    ...windowGaps(rules, resource, nowMs),
    ...drillGaps(rules.catalogue, resource, drilled, nowMs),
  ];
  return phase === 2 ? forProduction : [...forProduction, ...automationGaps(rules.catalogue, resource)];
}

function pathGaps(rules: Rules, resource: Resource, nowMs: number): Gap[] {
  if (resource.breakGlass) {
    const gaps = [...gapsInBreakGlass(rules, resource, nowMs), ...gapsInNotices(rules, nowMs)];
    return gaps.filter(({ isWarning }) => !isWarning);
  }
  const [narrowest] = resource.roles;
  return [
    {
      place: `resources.${resource.id}`,
      message: `${resource.id} has no break-glass path`,
      hint: `add breakGlass: { roles: [${narrowest}] }`,
    },
  ];
}

function chainGaps(rules: Rules, resource: Resource, nowMs: number): Gap[] {
  const place = `resources.${resource.id}`;
  const chains = chainsFor(rules, resource, nowMs);
  if (chains.length === 0) {
    const message = `nobody on call can ask for ${resource.id}: no approval chain leads there`;
    return [{ place, message, hint: 'permit Action::"ask" with @chain("…") in policies/' }];
  }
  return chains.flatMap((id) => {
    const chain = rules.catalogue.chains.get(id);
    const critical = chain && criticalOf(chain, rules.catalogue);
    if (critical?.length === 0) return [];
    const without = critical === undefined ? 'nobody can approve' : `it hangs on ${critical.join(', ')}`;
    const message = `on the approval chain ${id} of ${resource.id} ${without}`;
    return [{ place: `approvals.${id}`, message, hint: 'name more approvers, or add a stage with others' }];
  });
}

/** On which somebody on call would be asked for, in any role. */
function chainsFor(rules: Rules, resource: Resource, nowMs: number): string[] {
  const found = new Set<string>();
  for (const { user, facts } of onGoodDays(rules, resource, nowMs)) {
    for (const role of resource.roles) {
      const question = questionOf(resource, user, role, facts, nowMs);
      const { allowed, rules: deciding } = rules.policy.isAllowed('ask', question);
      if (allowed) for (const { chain } of deciding) if (chain !== undefined) found.add(chain);
    }
  }
  return [...found].sort();
}

function windowGaps(rules: Rules, resource: Resource, nowMs: number): Gap[] {
  const { defaultSeconds, maxSeconds, maxExtensions } = resource.session;
  const place = `resources.${resource.id}.session`;
  const shortest = formatDuration(SHORTEST_WINDOW_SECONDS);
  if (defaultSeconds < SHORTEST_WINDOW_SECONDS) {
    const message = `the session window of ${resource.id} is ${formatDuration(defaultSeconds)}, and an incident lasts longer`;
    return [{ place, message, hint: `session: { default: ${shortest} } or more` }];
  }
  if (maxExtensions === 0 || maxSeconds <= defaultSeconds) {
    const message = `the session window of ${resource.id} can not be extended`;
    return [{ place, message, hint: 'raise max above default, and maxExtensions above 0' }];
  }
  const isExtended = onGoodDays(rules, resource, nowMs).some(({ user, facts }) =>
    resource.roles.some(
      (role) => rules.policy.isAllowed('extend', questionOf(resource, user, role, facts, nowMs)).allowed,
    ),
  );
  if (isExtended) return [];
  const message = `policy lets nobody on call extend the session window of ${resource.id}`;
  return [{ place, message, hint: 'permit Action::"extend" while the incident is open, in policies/' }];
}

function onGoodDays(rules: Rules, resource: Resource, nowMs: number) {
  const holders: Holder[] = holdersFor(rules.catalogue, resource).slice(0, MOST_HOLDERS);
  return holders.flatMap((holder) =>
    factsOnGoodDay(rules, resource, holder, nowMs).map((facts) => ({ user: holder.user, facts })),
  );
}

function questionOf(
  resource: Resource,
  user: string,
  role: string,
  facts: ReturnType<typeof factsOnGoodDay>[number],
  nowMs: number,
) {
  const target = { resource: resource.id, role };
  const durationSeconds = resource.session.defaultSeconds;
  return { user, target, durationSeconds, hasReason: true, facts, nowMs };
}

/** On the resource itself, or on a canary of its kind: it is the same path. */
function drillGaps({ resources }: Catalogue, resource: Resource, drilled: Drilled, nowMs: number): Gap[] {
  if (!resource.breakGlass) return [];
  const place = `resources.${resource.id}`;
  if (drilled === undefined) {
    const message = `whether the break-glass path of ${resource.id} was tried could not be looked up: there is no store that can be read here`;
    return [{ place, message, hint: 'run it where the store can be read', isWarning: true }];
  }
  const counting = [...resources.values()].filter(
    ({ id, canary, target }) => id === resource.id || (canary && target.kind === resource.target.kind),
  );
  const last = Math.max(...counting.map(({ id }) => drilled.get(id) ?? 0));
  if (nowMs - last <= DRILL_DAYS * DAY_MS) return [];
  const when = last === 0 ? 'never' : `not since ${formatInstant(last)}`;
  const message = `the break-glass path of ${resource.id} was ${when} tried with success in a drill`;
  return [{ place, message, hint: `oncall drill ${resource.id}, every ${DRILL_DAYS} days` }];
}

function automationGaps({ automation, bundles, services }: Catalogue, resource: Resource): Gap[] {
  const schedules = services.get(resource.service)?.schedules ?? [];
  const isOpened = [...automation.values()].some(({ on, bundle }) => {
    const isIts = on.kind === 'shift' ? schedules.includes(on.schedule) : on.service === resource.service;
    return isIts && bundles.get(bundle)?.targets.some(({ resource: id }) => id === resource.id);
  });
  if (isOpened) return [];
  return [
    {
      place: `resources.${resource.id}`,
      message: `nothing opens ${resource.id} for its shift or its alert`,
      hint: `add a rule to automation whose bundle has it: { on: { alert: { service: ${resource.service} } }, bundle: … }`,
    },
  ];
}

/** All that stands against what the phases promise, each thing once. */
export function checkPhases(rules: Rules, drilled: Drilled, nowMs: number): Gap[] {
  const gaps = [...rules.catalogue.resources.values()].flatMap((resource) => [
    ...gapsInBreakGlass(rules, resource, nowMs),
    ...gapsFor(rules, resource, resource.phase, drilled, nowMs),
  ]);
  const all = [...gapsInNotices(rules, nowMs), ...gaps];
  return [...new Map(all.map((gap) => [gap.message, gap])).values()];
}

const NEXT: Readonly<Record<Resource['phase'], 2 | 3 | null>> = { 1: 2, 2: 3, 3: null };
const MOST_ROWS = 1000;

/** Where each resource stands, and what it lacks for its phase and for the next one. */
export function rolloutOf(rules: Rules, drilled: Drilled, nowMs: number): RolloutRow[] {
  const resources = [...rules.catalogue.resources.values()].slice(0, MOST_ROWS);
  return resources.map((resource) => {
    const { id, environment, phase } = resource;
    const next = NEXT[phase];
    const broken = gapsFor(rules, resource, phase, drilled, nowMs);
    const own = new Set(broken.map(({ message }) => message));
    const ahead = next === null ? [] : gapsFor(rules, resource, next, drilled, nowMs);
    const missing = ahead.filter(({ message }) => !own.has(message));
    const view = ({ message, hint }: Gap) => ({ message, fix: hint });
    return { resource: id, environment, phase, next, missing: missing.map(view), broken: broken.map(view) };
  });
}
