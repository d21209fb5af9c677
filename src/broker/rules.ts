import type { Catalogue, Resource } from '../catalogue/types.ts';
import type { Policy } from '../policy/policy.ts';
import { AppError } from '../protocol/errors.ts';
import type { TargetRef } from '../protocol/names.ts';

/** What is in force: one catalogue and the policy that was validated against it. Replaced as one on reload. */
export interface Rules {
  readonly catalogue: Catalogue;
  readonly policy: Policy;
}

export type CurrentRules = () => Rules;

/** The resource and a role of it, the default one where none was named. Throws `not_found` with the nearest names. */
export function resolveTarget(
  catalogue: Catalogue,
  asked: { resource: string; role?: string | undefined },
): { resource: Resource; target: TargetRef } {
  const resource = catalogue.resources.get(asked.resource);
  if (!resource) {
    throw new AppError('not_found', `there is no resource '${asked.resource}'`, { hint: 'oncall resources' });
  }
  const role = asked.role ?? resource.defaultRole;
  if (!resource.roles.includes(role)) {
    throw new AppError('not_found', `${resource.id} has no role '${role}'`, {
      hint: `roles of ${resource.id}: ${resource.roles.join(', ')}`,
    });
  }
  return { resource, target: { resource: resource.id, role } };
}

/** Who may answer on a chain, the requester left out: the people that it names, and the members of its groups. */
export function approversOf(catalogue: Catalogue, chainId: string, requester: string): readonly string[] {
  const stages = catalogue.chains.get(chainId)?.stages ?? [];
  const people = stages
    .flatMap(({ parties }) => parties.flatMap(({ approvers }) => approvers))
    .flatMap((approver) => {
      if (approver.kind === 'person') return [approver.id];
      if (approver.kind !== 'group') return [];
      const members = [...catalogue.people.values()].filter(({ groups }) => groups.includes(approver.id));
      return members.map(({ id }) => id);
    });
  return [...new Set(people)].filter((id) => id !== requester);
}
