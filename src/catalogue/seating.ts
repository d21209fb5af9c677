/**
 * Who could fill a stage of an approval chain. A seat is whoever may say yes: a person by name, or, where it changes, a place
 * that one person holds at a time (a level of a schedule, the requester's manager). Places are taken to be held by different
 * people. No name of a person has a space in it; every other seat has.
 */
export const MANAGER = "the requester's manager";

/** A party with everybody who could fill it. */
export interface Seats {
  seats: ReadonlySet<string>;
  need: number;
}

/** Seats without which no stage can be satisfied: each is in every way to a yes, so also in the first that is found. */
export function findCritical(ways: readonly (readonly Seats[])[]): string[] {
  const first = ways[0] === undefined ? undefined : seating(ways[0]);
  return (first ?? []).filter((away) => !ways.some((stage) => seating(stage, (seat) => seat === away)));
}

/**
 * Fills every place of a stage with a seat of its own (augmenting paths, the places being few), or says that it cannot be done.
 * With `manager`, that person is who the requester's manager is.
 */
export function seating(
  stage: readonly Seats[],
  isAway: (seat: string) => boolean = () => false,
  manager?: string,
): string[] | undefined {
  const taken = new Map<string, Seats>();
  const fill = (party: Seats, tried: Set<string>): boolean => {
    for (const seat of party.seats) {
      if (isAway(seat)) continue;
      const who = seat === MANAGER ? (manager ?? seat) : seat;
      if (tried.has(who)) continue;
      tried.add(who);
      const sitting = taken.get(who);
      if (sitting !== undefined && !fill(sitting, tried)) continue;
      taken.set(who, party);
      return true;
    }
    return false;
  };
  for (const party of stage) {
    for (let place = 0; place < party.need; place++) {
      if (!fill(party, new Set())) return undefined;
    }
  }
  return [...taken.keys()];
}
