import { AppError } from '../protocol/errors.ts';
import { isId } from '../protocol/ids.ts';

/** Enough to tell them apart at a glance. */
const SHOWN = 5;

/**
 * The full id that a typed prefix stands for, with or without `gr_` and the like in front. Throws AppError `ambiguous`
 * where several begin so, and `not_found`.
 */
export function matchId(typed: string, ids: readonly string[], what: string): string {
  if (ids.includes(typed)) return typed;
  const wanted = typed.toLowerCase();
  const matches = ids.filter(
    (id) => id.startsWith(wanted) || id.slice(id.indexOf('_') + 1).startsWith(wanted),
  );
  const [match, ...others] = matches;
  if (match === undefined) {
    throw new AppError('not_found', `no ${what} has an id that begins with ${typed}`, {
      hint: ids.length === 0 ? 'oncall status --refresh shows what there is' : `there is ${shown(ids)}`,
    });
  }
  if (others.length > 0) {
    throw new AppError('ambiguous', `${matches.length} ${what}s have an id that begins with ${typed}`, {
      hint: `type more of it: ${shown(matches)}`,
    });
  }
  return match;
}

function shown(ids: readonly string[]): string {
  return `${ids.slice(0, SHOWN).join(', ')}${ids.length > SHOWN ? ', …' : ''}`;
}

/** Like {@link matchId}; the list is fetched only for a prefix. */
export async function resolveId(
  typed: string,
  what: string,
  list: () => Promise<readonly { readonly id: string }[]>,
): Promise<string> {
  if (isId(typed)) return typed;
  return matchId(
    typed,
    (await list()).map(({ id }) => id),
    what,
  );
}
