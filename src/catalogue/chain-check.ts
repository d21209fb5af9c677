/**
 * What stands in the way of a yes, found before anybody waits for it: stages that cannot be satisfied, chains that one person
 * can block, people whose requests nobody can approve.
 */
import type { Node } from 'yaml';
import type { Known } from './approvers.ts';
import { formatPosition, levelsOf } from './positions.ts';
import type { Reader } from './read.ts';
import { findCritical, MANAGER, type Seats, seating } from './seating.ts';
import type { ApprovalChain, Approver, Party, Person, Schedule, Stage } from './types.ts';

export interface PlacedStage {
  stage: Stage;
  node: Node;
  path: string;
}

const MOST_NAMED = 5;

/** One check for all chains of a catalogue; it warns and never refuses: groups and shifts change without this file. */
export function createChainCheck(
  reader: Reader,
  known: Known,
): (node: Node, path: string, stages: readonly PlacedStage[]) => void {
  const { seatsOf, holders } = createSeatFinder(known);

  return (node, path, stages) => {
    const resolved = stages.map(({ stage, ...place }) => ({
      ...place,
      stage: stage.parties.map((party) => ({ need: party.need, seats: seatsOf(party) })),
    }));
    for (const each of resolved) warnOfUnfillable(reader, each);
    const ways = resolved.map(({ stage }) => stage).filter((stage) => seating(stage) !== undefined);
    if (ways.length === 0) return;
    const critical = findCritical(ways);
    // Silence is an answer there, so nobody blocks it by sleeping.
    const overrides = stages.at(-1)?.stage.otherwise === 'auto-override';
    if (critical.length > 0 && !overrides) warnOfCritical(node, path, ways, critical);
    const helpless = findHelpless(ways).filter((id) => overrides || !critical.includes(id));
    if (helpless.length > 0) {
      const hint = ways.some(usesManager) ? 'give them a manager, or name another approver' : undefined;
      reader.warn(
        node,
        `nobody can approve on ${path} what ${list(helpless)} ${helpless.length === 1 ? 'asks' : 'ask'} for`,
        hint ?? 'name another approver',
      );
    }
  };

  function warnOfCritical(
    node: Node,
    path: string,
    ways: readonly (readonly Seats[])[],
    critical: readonly string[],
  ): void {
    const all = new Set(ways.flatMap((stage) => stage.flatMap(({ seats }) => [...seats])));
    const [only = ''] = critical;
    if (all.size === 1 && known.people.has(only)) {
      reader.warn(
        node,
        `${only} is the only approver on ${path}, and nobody approves their own request`,
        'name a second approver',
      );
      return;
    }
    const who = list(critical.map((seat) => (holders.has(seat) ? `whoever is ${seat}` : seat)));
    reader.warn(
      node,
      `${path} hangs on ${who}: without ${critical.length === 1 ? 'that one person' : 'any one of them'} nobody gets a yes`,
      'name more approvers, or add a stage with others',
    );
  }

  /**
   * People whose own requests nobody could approve: they are not there to say yes, nor is a place that they may hold
   * themself at the time.
   */
  function findHelpless(ways: readonly (readonly Seats[])[]): string[] {
    const seats = new Set(ways.flatMap((stage) => stage.flatMap((party) => [...party.seats])));
    // Where nobody but the holder of one place counts, the chain hangs on that place, and that is said.
    const places = [...seats].filter(
      (place) => holders.has(place) && ways.some((stage) => seating(stage, (seat) => seat === place)),
    );
    const affected = seats.has(MANAGER)
      ? [...known.people.keys()]
      : [...seats].filter((seat) => known.people.has(seat));
    return affected.filter((requester) => {
      const manager = known.people.get(requester)?.manager;
      const held = places.filter((place) => holders.get(place)?.has(requester));
      return [undefined, ...held].some((place) => {
        const isAway = (seat: string) =>
          seat === requester || seat === place || (seat === MANAGER && manager === undefined);
        return !ways.some((stage) => seating(stage, isAway, manager));
      });
    });
  }
}

/** Who may fill which place of a chain. `holders`: of the places met so far that change hands, who may be there at some time. */
function createSeatFinder(known: Known) {
  const members = membersByGroup(known.people);
  const holders = new Map<string, ReadonlySet<string>>();
  return { seatsOf, holders };

  function seatsOf({ approvers }: Party): ReadonlySet<string> {
    return new Set(approvers.flatMap((approver) => [...seatsOfApprover(approver)]));
  }

  function seatsOfApprover(approver: Approver): Iterable<string> {
    switch (approver.kind) {
      case 'person':
        return [approver.id];
      case 'manager':
        return [MANAGER];
      case 'group':
        return members.get(approver.id) ?? [];
      case 'schedule': {
        const schedule = known.schedules.get(approver.id);
        if (schedule === undefined) return [];
        const levels = approver.level === undefined ? levelsOf(schedule) : [approver.level];
        return levels.map((level) => placeOf(schedule, level));
      }
    }
  }

  function placeOf(schedule: Schedule, level: number): string {
    const position = formatPosition(schedule.id, level);
    const people = holders.get(position) ?? holdersOf(schedule, level, known.people);
    holders.set(position, people);
    const [only] = people;
    return schedule.rotations.length > 0 && people.size === 1 && only !== undefined ? only : position;
  }
}

/**
 * Those without any one of whom nobody gets a yes on this chain; undefined where nobody could say it anyway. Where silence opens in
 * the end, nobody blocks it by sleeping.
 */
export function criticalOf({ stages }: Pick<ApprovalChain, 'stages'>, known: Known): string[] | undefined {
  const { seatsOf } = createSeatFinder(known);
  const resolved = stages.map(({ parties }) =>
    parties.map((party) => ({ need: party.need, seats: seatsOf(party) })),
  );
  const ways = resolved.filter((stage) => seating(stage) !== undefined);
  if (stages.at(-1)?.otherwise === 'auto-override') return [];
  return ways.length === 0 ? undefined : findCritical(ways);
}

function warnOfUnfillable(
  reader: Reader,
  { node, path, stage }: { node: Node; path: string; stage: Seats[] },
): void {
  if (seating(stage) !== undefined) return;
  const short = stage.findIndex(({ seats, need }) => seats.size < need);
  const party = stage[short];
  if (party === undefined) {
    const needed = stage.reduce((sum, { need }) => sum + need, 0);
    const people = new Set(stage.flatMap(({ seats }) => [...seats]));
    reader.warn(
      node,
      `the parties of ${path} need ${needed} people, and ${list([...people])} cannot fill them`,
      'name more approvers: a yes counts for one party alone',
    );
    return;
  }
  const where = stage.length === 1 ? path : `${path}.parties.${short + 1}`;
  if (party.seats.size === 0) {
    reader.warn(node, `nobody can approve on ${where}`, 'name a person, or put one into the group');
  } else {
    reader.warn(
      node,
      `${where} needs ${party.need} people, and only ${list([...party.seats])} can approve there`,
      'name more approvers, or lower need',
    );
  }
}

function usesManager(stage: readonly Seats[]): boolean {
  return stage.some(({ seats }) => seats.has(MANAGER));
}

function membersByGroup(people: ReadonlyMap<string, Person>): Map<string, string[]> {
  const members = new Map<string, string[]>();
  for (const { id, groups } of people.values()) {
    for (const group of groups) {
      const others = members.get(group);
      if (others === undefined) members.set(group, [id]);
      else others.push(id);
    }
  }
  return members;
}

/** Who may be at this level at some time; of an outside schedule, everybody whom its source knows. */
export function holdersOf(
  { rotations, overrides, feeds }: Schedule,
  level: number,
  people: ReadonlyMap<string, Person>,
): ReadonlySet<string> {
  const sources = feeds.map(({ source }) => source);
  return new Set([
    ...rotations.filter((rotation) => rotation.level === level).flatMap((rotation) => rotation.people),
    ...overrides.filter((override) => override.level === level).map(({ user }) => user),
    ...(sources.length === 0
      ? []
      : [...people.values()]
          .filter(({ ids }) => sources.some((source) => source in ids))
          .map(({ id }) => id)),
  ]);
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMED);
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${more} more`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
