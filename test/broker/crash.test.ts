// A real broker process dies by SIGKILL at every point of issuing, renewing and ending; another takes over its folder.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { CRASH_POINTS } from '../support/crash-points.ts';
import { expectAllEnds, expectNothingLost, liveOnce, spawnBroker, startWorld } from '../support/one-life.ts';
import { waitFor } from '../support/temp.ts';

// Most of the time passes in waiting for leases to end, so the cases wait together.
describe.concurrent('SIGKILL', () => {
  it.each(CRASH_POINTS)(
    '%s loses nothing and leaves nothing',
    async (point) => {
      const world = await startWorld();
      const { directory } = world.target.installation;
      const broker = await spawnBroker(directory, { point });
      const seen = await liveOnce(world.ana);
      await waitFor(() => !broker.running, { what: `death ${point}` });
      const next = await spawnBroker(directory);
      await expectNothingLost(world, seen);
      await expectAllEnds(world);
      await next.stop();
    },
    180_000,
  );
});

it('makes no login when it was paused past its lease and then resumed', async () => {
  const world = await startWorld();
  const { directory } = world.target.installation;
  const broker = await spawnBroker(directory, { point: 'before target issue', pause: true });
  const call = liveOnce(world.ana);
  await broker.waitForOutput('fault');
  const store = await openSqliteStore({ file: join(directory, 'oncall.db'), now: Date.now });
  const leaseIsOver = async () => {
    const [row] = await store.read((tx) => tx.credentials({ states: ['issuing'], limit: 1 }));
    return row !== undefined && row.leaseUntil < Date.now();
  };
  await waitFor(leaseIsOver, { what: 'the end of the lease', timeoutMs: 30_000 });
  await store.close();
  broker.resume();
  expect((await call).handle).toBeUndefined();
  await expectAllEnds(world);
  await broker.stop();
}, 120_000);
