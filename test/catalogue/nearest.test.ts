import { expect, test } from 'vitest';
import { editDistance, nearest } from '../../src/catalogue/nearest.ts';

test.each([
  ['', '', 0],
  ['abc', '', 3],
  ['kitten', 'sitting', 3],
  ['ab', 'ba', 1],
  ['db-replica', 'db-relpica', 1],
])('%s and %s are %d edits apart', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test('the nearest name is found whatever its case, the first of equals', () => {
  expect(nearest('DB-replcia', ['db-primary', 'db-replica', 'db-replicb'])).toBe('db-replica');
});

test('what is far from everything has no nearest name', () => {
  expect(nearest('grafana', ['db-replica', 'db-primary'])).toBeUndefined();
  expect(nearest('x', ['abc'])).toBeUndefined();
  expect(nearest('x'.repeat(100_000), ['y'.repeat(100_000)])).toBeUndefined();
});
