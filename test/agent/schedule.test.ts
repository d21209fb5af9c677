import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chooseShare,
  extendAt,
  renewAt,
  retryDelay,
  runsOutAt,
  spreadDelay,
} from '../../src/agent/schedule.ts';

/** What Math.random gives: 0 is in, 1 is not. */
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const life = fc.record({
  receivedAtMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  lifeSeconds: fc.integer({ min: 1, max: 86_400 }),
});

describe('the schedule', () => {
  it('renews at half the life, ten per cent of that sooner or later', () => {
    fc.assert(
      fc.property(life, random, (one, chance) => {
        const used =
          renewAt(
            one,
            chooseShare(() => chance),
          ) - one.receivedAtMs;
        expect(used).toBeGreaterThanOrEqual(one.lifeSeconds * 450 - 0.01);
        expect(used).toBeLessThanOrEqual(one.lifeSeconds * 550 + 0.01);
      }),
    );
    expect(chooseShare(() => 0)).not.toBe(chooseShare(() => 0.999));
  });

  it('tries again after 10 s to 5 min, and always once more while something is left', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: -10_000, max: 900_000 }),
        random,
        (n, left, chance) => {
          const delay = retryDelay(n, left, () => chance);
          expect(delay).toBeLessThanOrEqual(300_000);
          expect(delay).toBeGreaterThanOrEqual(1_000);
          if (left >= 2_000) expect(delay).toBeLessThanOrEqual(left * 0.83);
        },
      ),
    );
    expect(retryDelay(1, 3_600_000, () => 0.999)).toBeCloseTo(10_000, -2);
    expect(retryDelay(30, 3_600_000, () => 0.999)).toBeCloseTo(300_000, -3);
  });

  it('never waits less for the next try than for the one before, by the same chance and with time enough', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), random, (n, chance) => {
        const after = (failures: number) => retryDelay(failures, 0, () => chance);
        expect(after(n + 1)).toBeGreaterThanOrEqual(after(n));
      }),
    );
  });

  it('meets at least one try in any life that is left when the first one fails', () => {
    fc.assert(
      fc.property(life, random, (one, chance) => {
        let nowMs = renewAt(
          one,
          chooseShare(() => chance),
        );
        let tries = 0;
        for (let failures = 1; failures < 100; failures += 1) {
          nowMs += retryDelay(failures, runsOutAt(one) - nowMs, () => chance);
          if (nowMs >= runsOutAt(one)) break;
          tries += 1;
        }
        if (one.lifeSeconds >= 10) expect(tries).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('spreads what waited for the broker by what is left of each, and leaves time for another try', () => {
    fc.assert(
      fc.property(fc.integer({ min: -100_000, max: 900_000 }), random, (left, chance) => {
        const delay = spreadDelay(left, () => chance);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(300_000);
        if (left > 0) expect(delay).toBeLessThanOrEqual(left * 0.83);
        if (left > 0 && left < 390_000) expect(delay).toBeGreaterThanOrEqual(left * 0.67);
      }),
    );
    // Where a share of what is left is just about the longest wait.
    expect(spreadDelay(399_000, () => 0.999)).toBe(300_000);
    // With plenty left: no tenth of the five minutes gets three times its share of a thousand.
    const delays = Array.from({ length: 1000 }, (_, index) => spreadDelay(600_000, () => index / 1000));
    const tenths = new Map<number, number>();
    for (const delay of delays)
      tenths.set(Math.floor(delay / 30_000), (tenths.get(Math.floor(delay / 30_000)) ?? 0) + 1);
    expect(Math.max(...tenths.values())).toBeLessThan(300);
  });

  it('makes a window longer 20 minutes before its end, after the broker had its turn; a short one in its last quarter', () => {
    const hour = 3_600_000;
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 12 * hour }), random, (length, chance) => {
        const at = extendAt(0, length, () => chance);
        const lead = Math.min(20 * 60_000, length / 4);
        expect(at).toBeGreaterThan(length - lead);
        expect(at).toBeLessThanOrEqual(length - lead / 2);
      }),
    );
    expect(extendAt(0, 2 * hour, () => 0)).toBe(2 * hour - 20 * 60_000 + 2_000);
  });
});
