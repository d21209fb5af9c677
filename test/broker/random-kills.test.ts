// Seeded SIGKILLs at random moments while two devices work: 50 here, more in `npm run soak` (ONCALL_TEST_KILLS).
import { describe, it } from 'vitest';
import { enrolled } from '../support/device.ts';
import { expectAllEnds, expectNothingLost, liveOnce, spawnBroker, startWorld } from '../support/one-life.ts';

const KILLS = Number(process.env.ONCALL_TEST_KILLS ?? 50);
const WORLDS = 4;
const SEED = Number(process.env.ONCALL_TEST_SEED ?? 20_260_102);

/** mulberry32: small, seeded, good enough to spread kills. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe.concurrent(`${KILLS} seeded kills`, () => {
  it.each(Array.from({ length: WORLDS }, (_, world) => world))(
    'lose nothing and leave nothing (world %i)',
    async (index) => {
      const random = createRandom(SEED + index);
      const world = await startWorld();
      const { directory } = world.target.installation;
      const first = await spawnBroker(directory);
      const second = await enrolled(world.target.installation, 'ana');
      await first.stop();
      for (let kill = 0; kill < KILLS / WORLDS; kill++) {
        const broker = await spawnBroker(directory);
        const lives = [liveOnce(world.ana), liveOnce(second)];
        const delayMs = random() * 250;
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        broker.kill('SIGKILL');
        await broker.ended;
        const seen = await Promise.all(lives);
        const next = await spawnBroker(directory);
        for (const life of seen) {
          await expectNothingLost(world, life).catch((error: Error) => {
            throw new Error(`seed ${SEED}, world ${index}, kill ${kill}: ${error.message}`, { cause: error });
          });
        }
        await next.stop();
      }
      const last = await spawnBroker(directory);
      await expectAllEnds(world);
      await last.stop();
    },
    20 * 60_000,
  );
});
