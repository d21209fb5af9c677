import { describe, expect, it } from 'vitest';
import { watchClocks } from '../../src/agent/clock.ts';

/** Clocks that a test moves: time passes, the machine sleeps, somebody sets the clock. */
function testClocks() {
  const at = { now: 1_700_000_000_000, monotonic: 0, uptime: 1_000_000 };
  const clocks = { now: () => at.now, monotonic: () => at.monotonic, uptime: () => at.uptime };
  return {
    look: watchClocks(clocks),
    pass(ms: number) {
      at.now += ms;
      at.monotonic += ms;
      at.uptime += ms;
    },
    sleep(ms: number) {
      at.now += ms;
      at.uptime += ms;
    },
    set(byMs: number) {
      at.now += byMs;
    },
  };
}

describe('the clocks', () => {
  it('say nothing while time passes, however long a busy machine takes', () => {
    const { look, pass } = testClocks();
    for (const ms of [15_000, 30_000, 600_000]) {
      pass(ms);
      expect(look()).toBeUndefined();
    }
  });

  it('tell a laptop that slept', () => {
    const { look, pass, sleep } = testClocks();
    pass(15_000);
    sleep(3_600_000);
    expect(look()).toEqual({ kind: 'slept', byMs: 3_600_000 });
    pass(15_000);
    expect(look()).toBeUndefined();
  });

  it.each([7_200_000, -7_200_000])('tell a clock that was set by %i ms, asleep or not', (byMs) => {
    const { look, pass, set, sleep } = testClocks();
    pass(15_000);
    set(byMs);
    expect(look()).toEqual({ kind: 'moved', byMs });
    sleep(60_000);
    set(byMs);
    expect(look()).toEqual({ kind: 'moved', byMs });
  });

  it('let a small correction be', () => {
    const { look, pass, set } = testClocks();
    pass(15_000);
    set(2_000);
    expect(look()).toBeUndefined();
  });
});
