import { nearest } from '../catalogue/nearest.ts';
import type { Catalogue, Resource } from '../catalogue/types.ts';
import type { Policy } from '../policy/policy.ts';
import { AppError } from '../protocol/errors.ts';
import { formatTarget, type TargetRef } from '../protocol/names.ts';
import type { ShiftBook } from './shift-book.ts';

/**
 * What is in force: one catalogue, the policy that was validated against it, and who is on call by them. Replaced as one on
 * reload; the book alone learns in between.
 */
export interface Rules {
  readonly catalogue: Catalogue;
  readonly policy: Policy;
  readonly shifts: ShiftBook;
}

export type CurrentRules = () => Rules;

/** The resource and a role of it, the default one where none was named. Throws `not_found` with the nearest names. */
export function resolveTarget(
  catalogue: Catalogue,
  asked: { resource: string; role?: string | undefined },
): { resource: Resource; target: TargetRef } {
  const resource = catalogue.resources.get(asked.resource);
  if (!resource) {
    const near = nearest(asked.resource, [...catalogue.resources.keys(), ...catalogue.bundles.keys()]);
    throw new AppError('not_found', `there is no resource '${asked.resource}'`, {
      hint: near === undefined ? 'oncall resources' : `did you mean ${near}`,
    });
  }
  const role = asked.role ?? resource.defaultRole;
  if (!resource.roles.includes(role)) {
    const near = nearest(role, resource.roles);
    throw new AppError('not_found', `${resource.id} has no role '${role}'`, {
      hint:
        near === undefined
          ? `roles of ${resource.id}: ${resource.roles.join(', ')}`
          : `did you mean ${formatTarget({ resource: resource.id, role: near })}`,
    });
  }
  return { resource, target: { resource: resource.id, role } };
}
