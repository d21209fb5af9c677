/** Whether break-glass would work on the day when nothing else does, found out in peace. */
import { criticalOf } from '../catalogue/chain-check.ts';
import { SECOND_PERSON_CHAIN } from '../catalogue/second-person.ts';
import type { Catalogue, Channel, Resource } from '../catalogue/types.ts';
import { formatTarget } from '../protocol/names.ts';
import { peopleOf } from './approvers.ts';
import type { Gap } from './gap.ts';
import type { Rules } from './rules.ts';
import { factsInOutage, holdersFor } from './what-if.ts';

const MOST_NAMED = 5;

/** Of one resource with break-glass: that somebody on call gets in, and that a second person can be found where it wants one. */
export function gapsInBreakGlass(rules: Rules, resource: Resource, nowMs: number): Gap[] {
  const { breakGlass } = resource;
  if (!breakGlass) return [];
  const place = `resources.${resource.id}.breakGlass`;
  return [...doorGaps(rules, resource, place, nowMs), ...secondPersonGaps(rules, resource, place)];
}

/** Of the installation, where any resource has break-glass: that people hear of it, whatever fails beside. */
export function gapsInNotices(rules: Rules, nowMs: number): Gap[] {
  const { catalogue } = rules;
  const withGlass = [...catalogue.resources.values()].find(({ breakGlass }) => breakGlass);
  if (!withGlass) return [];
  const place = catalogue.places.has('breakGlass') ? 'breakGlass' : `resources.${withGlass.id}.breakGlass`;
  const { notify } = catalogue.breakGlass;
  if (notify.length === 0) {
    const hint = 'add breakGlass: { notify: [PERSON, group:GROUP] } at the top';
    return [{ place, message: 'nobody is told of break-glass', hint }];
  }
  const people = peopleOf(rules, notify, '', nowMs);
  const ways = new Set(
    [...catalogue.channels.values()].flatMap((channel) => wayOf(catalogue, channel, people)),
  );
  if (ways.size >= 2) return [];
  const only = [...ways][0];
  const found = only === undefined ? 'no channel' : `one way only (${only})`;
  return [
    {
      place,
      message: `break-glass is told on ${found}, and two that do not fail together are needed`,
      hint: 'add a channel of another kind to notify, with break-glass among its notices',
    },
  ];
}

/** What fails together counts once: channels of one vendor, or at one host. */
function wayOf({ people }: Catalogue, { settings, notices }: Channel, told: readonly string[]): string[] {
  if (!notices.includes('break-glass')) return [];
  switch (settings.kind) {
    case 'slack':
      return ['slack'];
    case 'email':
      return told.some((id) => people.get(id)?.email !== undefined) ? [`email by ${settings.host}`] : [];
    case 'webhook':
    case 'pagerduty-events':
      return [`${settings.kind} at ${new URL(settings.url).host}`];
  }
}

function doorGaps(rules: Rules, resource: Resource, place: string, nowMs: number): Gap[] {
  const { roles = [], windowSeconds = 0 } = resource.breakGlass ?? {};
  const holders = holdersFor(rules.catalogue, resource);
  const candidates =
    holders.length > 0
      ? holders
      : [...rules.catalogue.people.keys()].map((user) => ({ user, schedule: '', level: 0, isOutside: true }));
  const getsIn = (holder: (typeof candidates)[number]) =>
    roles.some((role) =>
      factsInOutage(rules, resource, holder, nowMs).some(
        (facts) =>
          rules.policy.isAllowed('break-glass', {
            ...{ user: holder.user, target: { resource: resource.id, role }, durationSeconds: windowSeconds },
            ...{ hasReason: true, facts, nowMs },
          }).allowed,
      ),
    );
  const inside = new Set(candidates.filter(getsIn).map(({ user }) => user));
  const who = holders.length > 0 ? 'nobody on call' : 'nobody';
  const hint = 'permit Action::"break-glass" to a group that is small and always known, in policies/';
  if (inside.size === 0) {
    const what = roles.map((role) => formatTarget({ resource: resource.id, role })).join(' or ');
    const message = `with every vendor, identity provider and device manager down ${who} could get into ${what}`;
    return [{ place, message, hint }];
  }
  const outside = [...new Set(holders.map(({ user }) => user))].filter((user) => !inside.has(user));
  if (outside.length === 0) return [];
  const names = outside.slice(0, MOST_NAMED).join(', ') + (outside.length > MOST_NAMED ? ', …' : '');
  const message = `${names} may be on call for ${resource.id}, and could not break its glass with every vendor down`;
  return [{ place, message, hint, isWarning: true }];
}

function secondPersonGaps({ catalogue }: Rules, resource: Resource, place: string): Gap[] {
  if (!resource.breakGlass?.twoPerson) return [];
  const chain = catalogue.chains.get(SECOND_PERSON_CHAIN);
  const critical = chain && criticalOf(chain, catalogue);
  if (critical?.length === 0) return [];
  const hint = `name more people in breakGlass.notify, or an approval chain ${SECOND_PERSON_CHAIN}`;
  const whom = critical === undefined ? 'nobody could be' : `only ${critical.join(', ')} could be`;
  return [{ place, message: `${whom} the second person for ${resource.id}`, hint }];
}
