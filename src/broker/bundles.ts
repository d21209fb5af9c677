/** Bundles: what several targets are called together, and which of them an incident opens. */
import type { AutomationRule, Catalogue } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { AskRequest } from '../protocol/messages.ts';
import type { IncidentRow } from '../store/rows.ts';

type Typed = AskRequest['targets'][number];

/** The rules whose condition this incident meets. */
export function alertRulesFor({ automation }: Catalogue, incident: IncidentRow): AutomationRule[] {
  const labels = incident.labels as Record<string, string>;
  return [...automation.values()].filter(({ on }) => {
    if (on.kind !== 'alert' || incident.service === '' || on.service !== incident.service) return false;
    if (on.priorities.length > 0 && !on.priorities.includes(incident.priority)) return false;
    return Object.entries(on.labels).every(([name, value]) => labels[name] === value);
  });
}

/** What was typed, or what the incident by itself stands for: the bundles of the rules that match it, else its service's. */
export function typedOrBundles(
  catalogue: Catalogue,
  typed: readonly Typed[],
  incident: IncidentRow | undefined,
): readonly Typed[] {
  if (typed.length > 0) return typed;
  if (!incident) {
    throw new AppError('usage', 'no target is named', { hint: 'oncall resources, or add -i <incident>' });
  }
  const matching = alertRulesFor(catalogue, incident).map(({ bundle }) => bundle);
  const own = catalogue.services.get(incident.service)?.bundle;
  const bundles = matching.length > 0 ? matching : own === undefined ? [] : [own];
  if (bundles.length === 0) {
    throw new AppError('not_found', `no bundle belongs to incident ${incident.id}`, {
      hint: 'name what you need: oncall resources',
    });
  }
  return [...new Set(bundles)].map((resource) => ({ resource }));
}

/** A bundle's name stands for its targets. */
export function expandBundle(catalogue: Catalogue, typed: Typed): readonly Typed[] {
  const bundle = catalogue.bundles.get(typed.resource);
  if (!bundle) return [typed];
  if (typed.role !== undefined) {
    throw new AppError('invalid_request', `${bundle.id} is a bundle: its roles are its own`, {
      hint: `oncall request ${bundle.id}`,
    });
  }
  return bundle.targets;
}
