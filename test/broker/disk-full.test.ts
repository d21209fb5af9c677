// The volume of the store runs full under a working broker. A real, small file system: mounting one takes root.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GrantList, RequestView } from '../../src/protocol/messages.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { atEnd } from '../support/at-end.ts';
import { type Answer, enrolled } from '../support/device.ts';
import { install, withPostgres } from '../support/installation.ts';
import { expectWholeLog, readLog } from '../support/one-life.ts';
import { tempDir } from '../support/temp.ts';

function mountSmall(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const folder = join(tempDir(), 'volume');
  mkdirSync(folder, { mode: 0o700 });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tmpfs', folder]);
  if (mounted.status !== 0) return undefined;
  atEnd(() => spawnSync('umount', ['-l', folder]));
  return folder;
}

const volume = mountSmall();

/** Takes all room there is, to the last page. */
function fill(file: string): void {
  for (let size = statfsSync(volume ?? '').bsize; ; ) {
    try {
      appendFileSync(file, Buffer.alloc(size));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      return;
    }
  }
}

describe.skipIf(volume === undefined)('a full disk', () => {
  it('is named, leaves nothing half-done, and is over when there is room again', async () => {
    const file = join(volume ?? '', 'oncall.db');
    const catalogue = withPostgres();
    const installation = await install({ catalogue, store: `store: { sqlite: ${JSON.stringify(file)} }` });
    const store = await openSqliteStore({ file, now: Date.now });
    await store.migrate();
    await store.close();
    const broker = await installation.start();
    const ana = await enrolled(installation, 'ana');
    const dora = await enrolled(installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    const ask = () =>
      ana.post<RequestView>('/v1/requests', {
        targets: [{ resource: 'db-replica' }],
        incident: 'P1-1',
      });

    const filler = join(volume ?? '', 'filler');
    fill(filler);
    const acknowledged: string[] = [];
    let refused: Answer | undefined;
    // What fits into the pages that the write-ahead log has already is still taken.
    for (let call = 0; call < 200 && refused === undefined; call++) {
      const answer = await ask();
      if (answer.status === 200) acknowledged.push(answer.result.id);
      else refused = answer;
    }
    expect(refused?.error?.code).toBe('disk_full');
    expect(refused?.status).toBe(507);
    expect((await ask()).error?.code).toBe('disk_full');
    expect((await fetch(`${installation.url}/healthz`)).status).toBe(200);

    rmSync(filler);
    expect((await ask()).status).toBe(200);
    const requests = (await readLog(dora)).filter(({ entry }) => entry.includes('"event":"request.granted"'));
    expect(requests).toHaveLength(acknowledged.length + 1);
    for (const id of acknowledged)
      expect((await ana.get<RequestView>(`/v1/requests/${id}`)).result.state).toBe('granted');
    expect((await ana.get<GrantList>('/v1/grants')).result.grants).toHaveLength(1);
    await expectWholeLog(installation.url, dora, await readLog(dora));
    await broker.stop();
  }, 60_000);
});
