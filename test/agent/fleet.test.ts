// A thousand agents of one broker that answers at once, by the clock of this test alone: who asks when.
import { expect, it } from 'vitest';
import { createRenewals } from '../../src/agent/renewals.ts';
import { AppError } from '../../src/protocol/errors.ts';
import type { GrantView } from '../../src/protocol/messages.ts';

const AGENTS = 1000;
const LIFE_SECONDS = 300;
const STEP_MS = 500;
const WINDOW_MS = 10_000;
const [AWAY_FROM, AWAY_UNTIL, END] = [600_000, 720_000, 1_100_000];
/** How long a stream waits between two tries after two minutes (src/client/events.ts). */
const STREAM_PAUSE_MS = 30_000;

/** The same numbers in each run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

it.each([1, 2, 3])(
  'renews in time, and does not stampede a broker that was away for two minutes (seed %i)',
  async (seed) => {
    const random = seeded(seed);
    let nowMs = 0;
    const renewed: { atMs: number; share: number }[] = [];
    const fleet = Array.from({ length: AGENTS }, () => {
      let life = { receivedAtMs: -random() * LIFE_SECONDS * 500, lifeSeconds: LIFE_SECONDS, expiresAt: '' };
      const renewals = createRenewals({
        now: () => nowMs,
        random,
        async ensure() {
          if (nowMs >= AWAY_FROM && nowMs < AWAY_UNTIL) throw new AppError('broker_unreachable', 'away');
          renewed.push({ atMs: nowMs, share: (nowMs - life.receivedAtMs) / (LIFE_SECONDS * 1000) });
          life = { ...life, receivedAtMs: nowMs };
          return [{ status: 'fulfilled', value: life }] as never;
        },
      });
      renewals.keep({ id: 'gr_1' } as GrantView, life);
      return {
        renewals,
        hearsAt: AWAY_UNTIL + random() * STREAM_PAUSE_MS * (0.5 + random() / 2),
        hasHeard: false,
      };
    });
    const going = new AbortController().signal;
    for (; nowMs < END; nowMs += STEP_MS) {
      for (const agent of fleet) {
        if (!agent.hasHeard && nowMs >= agent.hearsAt) {
          agent.hasHeard = true;
          agent.renewals.brokerIsBack();
        }
        if ((agent.renewals.nextAt() ?? END) <= nowMs) await agent.renewals.renewDue(going);
      }
    }
    const settled = renewed.filter(({ atMs }) => atMs >= 200_000 && atMs < AWAY_FROM);
    const after = renewed.filter(({ atMs }) => atMs >= AWAY_UNTIL);
    const usual = settled.length / ((AWAY_FROM - 200_000) / WINDOW_MS);
    const most = Math.max(
      ...after.map(
        ({ atMs }) => after.filter((one) => one.atMs > atMs - WINDOW_MS && one.atMs <= atMs).length,
      ),
    );
    expect(Math.max(...settled.map(({ share }) => share))).toBeLessThanOrEqual(0.75);
    expect(Math.max(...after.map(({ share }) => share))).toBeLessThan(1);
    expect(most / usual).toBeLessThanOrEqual(3);
  },
  30_000,
);
