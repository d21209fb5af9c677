import { listGrants } from '../client/calls.ts';
import { AppError } from '../protocol/errors.ts';
import { formatTarget, type TargetRef } from '../protocol/names.ts';
import { readTarget, type TypedTarget } from './command.ts';
import type { Context } from './context.ts';
import { matchId } from './match-id.ts';

/** As much of a grant as finding it needs: the broker's view and the status file's both have it. */
export interface FoundGrant {
  readonly id: string;
  readonly target: TargetRef;
}

/** The person's grants that stand, from the broker: active ones, and those that are ready to be used. */
export async function standingGrants(context: Context) {
  const { grants } = await listGrants(await context.broker(), { all: false });
  return grants.filter(({ state }) => state !== 'ended');
}

/**
 * The grants that typed words name: `gr_…` or the beginning of one, or a target; a resource without a role names all grants
 * on it. Each once. Throws AppError `not_found`, `ambiguous` and `usage`.
 */
export function findGrants<Grant extends FoundGrant>(
  words: readonly string[],
  grants: readonly Grant[],
): Grant[] {
  const found = words.flatMap((word) => {
    if (word.startsWith('gr_')) {
      const id = matchId(
        word,
        grants.map((grant) => grant.id),
        'active grant of yours',
      );
      return grants.filter((grant) => grant.id === id);
    }
    const target = readTarget(word);
    const matches = grants.filter((grant) => fits(grant, target));
    if (matches.length === 0) throw notHeld(word);
    return matches;
  });
  return [...new Set(found)];
}

/**
 * The one grant that a target names, or undefined. Where a resource is typed without a role and several roles of it are
 * held, AppError `ambiguous`.
 */
export function findGrant<Grant extends FoundGrant>(
  target: TypedTarget,
  grants: readonly Grant[],
): Grant | undefined {
  const matches = grants.filter((grant) => fits(grant, target));
  if (matches.length < 2) return matches[0];
  throw new AppError('ambiguous', `you hold several roles on ${target.resource}`, {
    hint: `name one: ${matches.map((grant) => formatTarget(grant.target)).join(', ')}`,
  });
}

export function notHeld(target: string): AppError {
  return new AppError('not_found', `you hold no access to ${target}`, { hint: `oncall request ${target}` });
}

/** As it was typed. */
export function formatTyped({ resource, role }: TypedTarget): string {
  return role === undefined ? resource : `${resource}:${role}`;
}

function fits({ target }: FoundGrant, { resource, role }: TypedTarget): boolean {
  return target.resource === resource && (role === undefined || target.role === role);
}
