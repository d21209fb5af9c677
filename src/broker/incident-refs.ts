/** Incidents as people type them: an id, `#4711`, an address pasted from a browser. */
import { AppError } from '../protocol/errors.ts';
import { aliasOf } from '../sources/normalise.ts';
import type { IncidentRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';

const MOST_SHOWN = 5;

/** Throws `not_found`, and `ambiguous` where several systems call one of theirs so. */
export async function findIncident(tx: ReadTx, typed: string): Promise<IncidentRow> {
  for (const alias of spellings(typed)) {
    const found = await tx.incidentsByAlias(alias, MOST_SHOWN);
    // Of several, the one that is still open is meant; of those, the one that bears it as its id: no other can take that away.
    const open = found.filter(({ state }) => state === 'open');
    const likely = open.length > 0 ? open : found;
    const exact = likely.find(({ id }) => id === alias);
    const [incident, ...others] = exact ? [exact] : likely;
    if (incident && others.length > 0) {
      throw new AppError('ambiguous', `several incidents are called '${typed}'`, {
        hint: `say which: ${[incident, ...others].map(({ id }) => id).join(', ')}`,
      });
    }
    if (incident) return incident;
  }
  throw new AppError('not_found', `there is no incident '${typed}'`, { hint: 'oncall incident list' });
}

/** From the most exact to the least: as typed, as systems' names are kept, the last part of an address. */
function spellings(typed: string): Set<string> {
  const text = typed.trim();
  const alias = aliasOf(text);
  const last = alias?.startsWith('http') ? alias.split('/').at(-1) : undefined;
  return new Set([text, alias, last, aliasOf(last ?? '')].flatMap((one) => one || []));
}
