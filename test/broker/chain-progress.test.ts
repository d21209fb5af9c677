// Whether answers are enough, held against an oracle that tries every way of giving people places.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSatisfied, missingOf, type ReachedStages, type Seats } from '../../src/broker/chain-progress.ts';

const PEOPLE = ['ana', 'ben', 'carla', 'dora', 'eli'];

const someone = fc.subarray(PEOPLE, { minLength: 0 });
const party = fc
  .record({ need: fc.integer({ min: 1, max: 2 }), members: someone })
  .map(({ need, members }): Seats => ({ label: members.join(' or '), need, members: new Set(members) }));
const stage = fc.array(party, { minLength: 1, maxLength: 3 });
const chain: fc.Arbitrary<ReachedStages> = fc.array(stage, { minLength: 1, maxLength: 3 });
const chains = fc.array(chain, { minLength: 1, maxLength: 3 });

/** One place after the other, each person in turn: slow, and plainly right. */
function canFill(places: readonly ReadonlySet<string>[], people: readonly string[]): boolean {
  const [first, ...rest] = places;
  if (!first) return true;
  return people.some(
    (one) =>
      first.has(one) &&
      canFill(
        rest,
        people.filter((other) => other !== one),
      ),
  );
}

const placesOf = (seats: readonly Seats[]) =>
  seats.flatMap(({ need, members }) => Array.from({ length: need }, () => members));

function oracle(
  [first, ...rest]: readonly ReachedStages[],
  yes: readonly string[],
  chosen: Seats[] = [],
): boolean {
  if (!first) return canFill(placesOf(chosen), [...new Set(yes)]);
  return first.some((seats) => oracle(rest, yes, [...chosen, ...seats]));
}

const seats = (label: string, need: number, ...members: string[]): Seats => ({
  label,
  need,
  members: new Set(members),
});

describe('answers', () => {
  it('are enough exactly where every place of one stage of each chain finds a person of its own', () => {
    fc.assert(
      fc.property(chains, someone, (reached, yes) => {
        expect(isSatisfied(reached, yes)).toBe(oracle(reached, yes));
      }),
      { numRuns: 2000 },
    );
  });

  it('that were enough stay so with every further one', () => {
    fc.assert(
      fc.property(chains, someone, fc.constantFrom(...PEOPLE), (reached, yes, one) => {
        if (isSatisfied(reached, yes)) expect(isSatisfied(reached, [...yes, one])).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('count once, however often they are given and wherever their giver sits', () => {
    expect(isSatisfied([[[seats('leads', 2, 'carla', 'ben')]]], ['carla', 'carla'])).toBe(false);
    const both = [seats('security', 1, 'dora', 'carla'), seats('data', 1, 'carla')];
    expect(isSatisfied([[both]], ['carla'])).toBe(false);
    expect(isSatisfied([[both]], ['carla', 'dora'])).toBe(true);
    const twoChains = [[[seats('leads', 1, 'carla')]], [[seats('security', 1, 'carla')]]];
    expect(isSatisfied(twoChains, ['carla'])).toBe(false);
  });

  it('of people who sit nowhere change nothing', () => {
    fc.assert(
      fc.property(chains, someone, (reached, yes) => {
        expect(isSatisfied(reached, [...yes, 'mallory'])).toBe(isSatisfied(reached, yes));
      }),
    );
  });

  it('are looked at in no time where many chains have many stages', () => {
    const many = Array.from({ length: 20 }, (_, at) =>
      Array.from({ length: 5 }, (_, row) => [seats(`stage ${row}`, 1, `person-${at}-${row}`)]),
    );
    const everybody = many.flatMap((stages) =>
      stages.flatMap((one) => one.flatMap(({ members }) => [...members])),
    );
    expect(isSatisfied(many, everybody)).toBe(true);
    expect(isSatisfied(many, everybody.slice(0, 3))).toBe(false);
  });
});

describe('what a stage still lacks', () => {
  it('is nothing exactly where the stage is satisfied, and never more than its need', () => {
    fc.assert(
      fc.property(stage, someone, (one, yes) => {
        const missing = missingOf(one, yes);
        expect(missing.length === 0).toBe(isSatisfied([[one]], yes));
        const need = one.reduce((sum, { need }) => sum + need, 0);
        const lacking = missing.reduce((sum, { count }) => sum + count, 0);
        expect(lacking).toBeLessThanOrEqual(need);
        expect(need - lacking).toBeLessThanOrEqual(yes.length);
      }),
      { numRuns: 1000 },
    );
  });

  it('is as little as the answers allow', () => {
    const both = [seats('security', 1, 'dora', 'carla'), seats('data', 1, 'carla')];
    expect(missingOf(both, ['carla'])).toHaveLength(1);
    expect(missingOf([seats('leads', 2, 'carla', 'ben')], ['ben'])).toEqual([{ label: 'leads', count: 1 }]);
    expect(missingOf(both, ['carla', 'dora'])).toEqual([]);
  });
});
