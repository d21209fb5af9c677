/** From what somebody types to what break-glass would open: in the narrowest role that a resource lists for it, unless they say more. */
import type { BreakGlass, Catalogue, Resource } from '../catalogue/types.ts';
import { formatDuration } from '../protocol/durations.ts';
import { AppError } from '../protocol/errors.ts';
import type { AskBreakGlass } from '../protocol/messages.ts';
import { formatTarget, type TargetRef } from '../protocol/names.ts';
import type { ReadTx } from '../store/store.ts';
import { expandBundle, typedOrBundles } from './bundles.ts';
import type { Caller } from './caller.ts';
import type { Asked } from './decisions.ts';
import { findIncident } from './incident-refs.ts';
import { type Rules, resolveTarget } from './rules.ts';

export interface GlassAsked extends Asked {
  /** Parts of a bundle that break-glass does not open. */
  leftOut: readonly string[];
}

/** The catalogue says no, in words; without a hint of its own what helps is where else it is possible. */
export interface Impossible {
  impossible: string;
  hint?: string;
}

interface Possible {
  resource: Resource;
  breakGlass: BreakGlass;
  target: TargetRef;
}

type Typed = AskBreakGlass['targets'][number];

/**
 * Of a bundle whatever can be opened is; what is typed by its own name is all or nothing. Throws for what is not there at all: an
 * unknown name, a closed incident, a window over the cap.
 */
export async function resolveBreakGlass(
  tx: ReadTx,
  { catalogue }: Rules,
  caller: Caller,
  body: AskBreakGlass,
): Promise<GlassAsked | Impossible> {
  const incident = body.incident === undefined ? undefined : await findIncident(tx, body.incident);
  if (incident?.state === 'resolved') {
    throw new AppError('ended', `incident ${incident.id} is resolved`, { hint: 'oncall incident list' });
  }
  const typed = typedOrBundles(catalogue, body.targets, incident);
  const found = new Map<string, Possible>();
  const leftOut: string[] = [];
  for (const asked of typed) {
    const isBundle = catalogue.bundles.has(asked.resource);
    const parts = expandBundle(catalogue, asked).map((part) => ({
      part,
      looked: isBundle ? lookInBundle(catalogue, part) : lookAt(catalogue, part),
    }));
    const possible = parts.flatMap(({ looked }) => ('impossible' in looked ? [] : looked));
    const [first] = parts;
    if (possible.length === 0 && first && 'impossible' in first.looked) {
      return isBundle
        ? { impossible: `nothing in ${asked.resource} can be opened by break-glass` }
        : first.looked;
    }
    for (const one of possible) found.set(formatTarget(one.target), one);
    const without = parts.filter(({ looked }) => 'impossible' in looked);
    leftOut.push(...without.map(({ part }) => part.resource));
  }
  const targets = [...found.values()];
  const [first] = typed;
  return {
    user: caller.person.id,
    device: caller.device,
    targets,
    bundle: typed.length === 1 && first && catalogue.bundles.has(first.resource) ? first.resource : undefined,
    incident,
    reason: body.reason,
    durationSeconds: checkDuration(targets, body.durationSeconds),
    leftOut,
  };
}

function lookAt(catalogue: Catalogue, typed: Typed): Possible | Impossible {
  const { resource, target } = resolveTarget(catalogue, typed);
  const { breakGlass } = resource;
  const [narrowest] = breakGlass?.roles ?? [];
  if (breakGlass === undefined || narrowest === undefined)
    return { impossible: `there is no break-glass on ${resource.id}` };
  const role = typed.role === undefined ? narrowest : target.role;
  if (!breakGlass.roles.includes(role)) {
    const hint = `roles of ${resource.id} for break-glass: ${breakGlass.roles.join(', ')}`;
    return { impossible: `${resource.id}:${role} is not for break-glass`, hint };
  }
  return { resource, breakGlass, target: { resource: resource.id, role } };
}

/** In the bundle's role where that is listed, else in the narrowest that is. */
function lookInBundle(catalogue: Catalogue, part: Typed): Possible | Impossible {
  const looked = lookAt(catalogue, part);
  return 'impossible' in looked ? lookAt(catalogue, { resource: part.resource }) : looked;
}

/** The asked duration within every cap, or the shortest of their windows. */
function checkDuration(targets: readonly Possible[], asked: number | undefined): number {
  const cap = Math.min(...targets.map(({ breakGlass }) => breakGlass.maxWindowSeconds));
  if (asked === undefined) return Math.min(...targets.map(({ breakGlass }) => breakGlass.windowSeconds));
  if (asked > cap) {
    throw new AppError('invalid_request', `break-glass lasts ${formatDuration(cap)} at most here`, {
      hint: `--for ${formatDuration(cap)}`,
    });
  }
  return asked;
}
