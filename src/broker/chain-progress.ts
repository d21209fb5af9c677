/**
 * Whether the answers so far are enough. Pure. A chain is satisfied as soon as one stage that it has reached is: a later stage
 * adds people, it locks nobody out. Within a request each person's yes fills one place only, so "one from security and one
 * from data" takes two people even where somebody is in both.
 */

/** A party whose approvers have been found out: the requester is never among them. */
export interface Seats {
  /** Who it is, in the catalogue's words. */
  label: string;
  need: number;
  members: ReadonlySet<string>;
}

/** The stages that one chain has reached, in order; without any it is not satisfied. */
export type ReachedStages = readonly (readonly Seats[])[];

/** Several chains must all be satisfied. `chosen` are the parties of the stages that were picked for the chains before. */
export function isSatisfied(
  chains: readonly ReachedStages[],
  yes: readonly string[],
  chosen: readonly Seats[] = [],
): boolean {
  // Looked at with each chain: what fails for some of them fails for all, and one picks among many in vain.
  if (missingOf(chosen, yes).length > 0) return false;
  const [stages, ...rest] = chains;
  if (!stages) return true;
  return stages.some((stage) => isSatisfied(rest, yes, [...chosen, ...stage]));
}

/** What each party of a stage still lacks, when the answers are put where they help this stage most. */
export function missingOf(
  stage: readonly Seats[],
  yes: readonly string[],
): { label: string; count: number }[] {
  const filled = fill(stage, yes);
  return stage
    .map(({ label, need }, at) => ({ label, count: need - (filled[at] ?? 0) }))
    .filter(({ count }) => count > 0);
}

/** How many places of each party can be filled at once: a maximum matching of people and places (Kuhn's algorithm). */
function fill(parties: readonly Seats[], yes: readonly string[]): number[] {
  const places = parties.flatMap(({ need }, party) => Array.from({ length: need }, () => party));
  const taken: (string | undefined)[] = places.map(() => undefined);
  const people = [...new Set(yes)];

  function seat(person: string, tried: Set<number>): boolean {
    for (const [place, party] of places.entries()) {
      if (tried.has(place) || !parties[party]?.members.has(person)) continue;
      tried.add(place);
      const sitting = taken[place];
      if (sitting === undefined || seat(sitting, tried)) {
        taken[place] = person;
        return true;
      }
    }
    return false;
  }

  for (const person of people) seat(person, new Set());
  return parties.map((_, party) => places.filter((of, at) => of === party && taken[at] !== undefined).length);
}
