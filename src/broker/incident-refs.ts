/** Incidents as people type them: an id, `#4711`, an address pasted from a browser. */
import { AppError } from '../protocol/errors.ts';
import type { IncidentRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';

const MOST_SHOWN = 5;

/** Throws `not_found`, and `ambiguous` where several systems call one of theirs so. */
export async function findIncident(tx: ReadTx, typed: string): Promise<IncidentRow> {
  for (const alias of spellings(typed)) {
    const found = await tx.incidentsByAlias(alias, MOST_SHOWN);
    // Of several, the one that is still open is meant.
    const open = found.filter(({ state }) => state === 'open');
    const [incident, ...others] = open.length > 0 ? open : found;
    if (incident && others.length > 0) {
      throw new AppError('ambiguous', `several incidents are called '${typed}'`, {
        hint: `say which: ${[incident, ...others].map(({ id }) => id).join(', ')}`,
      });
    }
    if (incident) return incident;
  }
  throw new AppError('not_found', `there is no incident '${typed}'`, { hint: 'oncall incident list' });
}

/** From the most exact to the least: as typed, without `#`, an address without what follows it, its last part. */
export function spellings(typed: string): string[] {
  const text = typed.trim();
  const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return [...new Set([text, text.replace(/^#/, '')])];
  const path = url.pathname.replace(/\/+$/, '');
  const last = path.split('/').at(-1) ?? '';
  return [...new Set([text, `${url.origin}${path}`, last])].filter((spelling) => spelling !== '');
}
