import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EntrySequence } from '../../src/audit/sequence.ts';

function follow(indexes: readonly number[]) {
  const sequence = new EntrySequence();
  const misplaced = indexes.flatMap((index) => sequence.place(index)?.index ?? []);
  sequence.end();
  const missing = sequence.gaps.flatMap(({ from, to }) =>
    Array.from({ length: to - from }, (_, i) => from + i),
  );
  return { misplaced, missing, next: sequence.next, broken: sequence.broken };
}

describe('the sequence of entries', () => {
  test('in order is not broken', () => {
    expect(follow([0, 1, 2, 3])).toEqual({ misplaced: [], missing: [], next: 4, broken: false });
  });

  test('knows in the end exactly which are missing, whatever the order', () => {
    const part = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], { minLength: 1 });
    fc.assert(
      fc.property(part, (indexes) => {
        const next = Math.max(...indexes) + 1;
        const missing = Array.from({ length: next }, (_, i) => i).filter((i) => !indexes.includes(i));
        const inOrder = indexes.every((index, i) => i === 0 || index > indexes[i - 1]!);
        const result = follow(indexes);
        expect(result.missing.sort((a, b) => a - b)).toEqual(missing);
        expect(result.next).toBe(next);
        expect(result.misplaced.length > 0).toBe(!inOrder);
        expect(result.broken).toBe(!inOrder || missing.length > 0);
      }),
      { numRuns: 5_000 },
    );
  });

  test('never takes an entry that came early for a missing one', () => {
    expect(follow([0, 5, 1, 2, 8, 3, 4, 6, 7])).toMatchObject({ missing: [], next: 9 });
    expect(follow([0, 5, 1, 2, 8, 9])).toMatchObject({ missing: [3, 4, 6, 7], next: 10 });
  });

  test('tells a block moved up and an entry moved to the end by the first place that is wrong', () => {
    expect(follow([0, 1, 6, 7, 2, 3, 4, 5, 8])).toMatchObject({ misplaced: [2], missing: [] });
    expect(follow([0, 2, 3, 4, 5, 6, 1])).toMatchObject({ misplaced: [1], missing: [] });
  });

  test('takes an index far away without trying to hold what lies between', () => {
    const far = Number.MAX_SAFE_INTEGER - 1;
    const sequence = new EntrySequence();
    sequence.place(far);
    expect(sequence.gaps).toEqual([{ from: 0, to: far }]);
  });
});
