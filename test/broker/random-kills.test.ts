// Seeded SIGKILLs at random moments while two devices work: 50 here, more in `npm run soak` (ONCALL_TEST_KILLS).
import { describe, it } from 'vitest';
import { enrolled } from '../support/device.ts';
import { expectAllEnds, expectNothingLost, liveOnce, spawnBroker, startWorld } from '../support/one-life.ts';

const KILLS = Number(process.env.ONCALL_TEST_KILLS ?? 50);
const WORLDS = 4;
const SEED = Number(process.env.ONCALL_TEST_SEED ?? 20_260_102);
/** For a start of the broker, two lives and a look at all that was acknowledged: several times what a busy machine needs. */
const BUDGET_MS = 20_000;
const KILLS_EACH = Math.ceil(KILLS / WORLDS);

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
      let broker = await spawnBroker(directory);
      const second = await enrolled(world.target.installation, 'ana');
      const live = () => Promise.all([liveOnce(world.ana), liveOnce(second)]);
      // A fixed span would, on a slow or busy machine, kill before anything has happened.
      const startedAt = performance.now();
      await live();
      const lifeMs = performance.now() - startedAt;
      for (let kill = 0; kill < KILLS_EACH; kill++) {
        const lives = live();
        await new Promise((resolve) => setTimeout(resolve, random() * 1.5 * lifeMs));
        broker.kill('SIGKILL');
        await broker.ended;
        broker = await spawnBroker(directory);
        for (const life of await lives) {
          await expectNothingLost(world, life).catch((error: Error) => {
            throw new Error(`seed ${SEED}, world ${index}, kill ${kill}: ${error.message}`, { cause: error });
          });
        }
      }
      await expectAllEnds(world);
      await broker.stop();
    },
    (KILLS_EACH + 6) * BUDGET_MS,
  );
});
