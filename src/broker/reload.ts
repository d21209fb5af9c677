import type { Catalogue } from '../catalogue/types.ts';
import type { Tx } from '../store/store.ts';
import { BROKER } from './audit-log.ts';
import type { Endings } from './endings.ts';

const MOST_AT_ONCE = 10_000;

/** Ends what the new catalogue no longer knows: a person, a resource or a role that is gone loses its grants. */
export async function endWhatLeft(tx: Tx, catalogue: Catalogue, endings: Endings): Promise<void> {
  for (const grant of await tx.grants({ states: ['ready', 'active'], limit: MOST_AT_ONCE })) {
    const resource = catalogue.resources.get(grant.resource);
    const cause = !catalogue.people.has(grant.user)
      ? 'the person has left the catalogue'
      : !resource?.roles.includes(grant.role)
        ? 'the resource or role has left the catalogue'
        : undefined;
    const held = cause === undefined ? undefined : await tx.lockGrant(grant.id);
    if (cause !== undefined && held && held.state !== 'ended')
      await endings.endGrant(tx, held, { cause, actor: BROKER });
  }
}
