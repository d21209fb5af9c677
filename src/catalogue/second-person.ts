import type { ApprovalChain, Catalogue, Resource } from './types.ts';

/** The chain on which break-glass asks for a second person, where a resource wants two. */
export const SECOND_PERSON_CHAIN = 'break-glass';

const EXPIRES_SECONDS = 3600;

/**
 * The chains, with the one for second persons where a resource wants two: the catalogue's own of that name, else whoever hears of
 * break-glass anyway may say yes, all of them asked at once.
 */
export function withSecondPerson(
  chains: ReadonlyMap<string, ApprovalChain>,
  resources: ReadonlyMap<string, Resource>,
  { notify }: Catalogue['breakGlass'],
): ReadonlyMap<string, ApprovalChain> {
  const isWanted = [...resources.values()].some(({ breakGlass }) => breakGlass?.twoPerson);
  if (!isWanted || chains.has(SECOND_PERSON_CHAIN)) return chains;
  const party = { approvers: notify, need: 1 };
  const stage = { parties: [party], waitSeconds: undefined, otherwise: 'deny' as const };
  const chain = { id: SECOND_PERSON_CHAIN, stages: [stage], expiresSeconds: EXPIRES_SECONDS };
  return new Map([...chains, [SECOND_PERSON_CHAIN, chain]]);
}
