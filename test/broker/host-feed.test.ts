// Whether `broker check` misses the reports of hosts: where they are needed, until they come, and again when they stop.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Gap } from '../../src/broker/gap.ts';
import { checkHostFeed, SILENT_MS } from '../../src/broker/host-feed.ts';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import type { Finding } from '../../src/catalogue/types.ts';
import type { HostRow } from '../../src/store/rows.ts';
import { TestDevice } from '../support/device.ts';
import { install, withPostgres } from '../support/installation.ts';
import { tempDir } from '../support/temp.ts';
import { operator } from './operator.ts';
import { withSsh } from './ssh-catalogue.ts';

const inPhase = (phase: number, catalogue = withSsh()) =>
  catalogue.replace('environment: production', `environment: production\n    phase: ${phase}`);

describe('the reports of hosts', () => {
  const nowMs = Date.now();
  async function gaps(text: string, rows: { id: string; seenAgoMs: number | null }[] = []) {
    const { catalogue } = parseCatalogue(text, 'catalogue.yaml', tempDir());
    const hosts = rows.map(({ id, seenAgoMs }): HostRow => {
      const lastSeenAt = seenAgoMs === null ? null : nowMs - seenAgoMs;
      const host = { id, resource: id.split('/')[0]!, publicKey: 'ed25519:A', addedBy: 'root' };
      return { ...host, state: 'active', addedAt: nowMs, lastSeenAt };
    });
    return checkHostFeed(catalogue!, hosts, nowMs);
  }
  const isWarning = (found: readonly Gap[]) => found.map((gap) => gap.isWarning ?? false);

  it('are needed in production from phase 2 on, of each host that the catalogue names', async () => {
    expect(await gaps(withSsh())).toEqual([]);
    expect(await gaps(inPhase(2).replace('production', 'staging'))).toEqual([]);
    for (const phase of [2, 3]) {
      const [gap, ...more] = await gaps(inPhase(phase));
      expect(more).toEqual([]);
      expect(gap).toMatchObject({
        place: 'resources.db-host.phase',
        message: expect.stringContaining('db-host-1'),
      });
      expect(gap?.hint).toContain('oncall broker host add db-host');
    }
    expect(isWarning(await gaps(inPhase(2), [{ id: 'db-host/another', seenAgoMs: 0 }]))).toEqual([false]);
    expect(isWarning(await gaps(inPhase(2, withPostgres())))).toEqual([false]);
  });

  it('are enough while they come', async () => {
    const host = (seenAgoMs: number | null) => gaps(inPhase(2), [{ id: 'db-host/db-host-1', seenAgoMs }]);
    expect(await host(SILENT_MS)).toEqual([]);
    expect(isWarning(await host(SILENT_MS + 1))).toEqual([false]);
    expect(isWarning(await host(null))).toEqual([false]);
    expect(await gaps(inPhase(3, withPostgres()), [{ id: 'db-replica/db1', seenAgoMs: 0 }])).toEqual([]);
  });

  it('are not judged where the store cannot be read, and it says so', () => {
    const { catalogue } = parseCatalogue(inPhase(2), 'catalogue.yaml', tempDir());
    expect(isWarning(checkHostFeed(catalogue!, undefined, nowMs))).toEqual([true]);
    const first = parseCatalogue(withSsh(), 'catalogue.yaml', tempDir());
    expect(checkHostFeed(first.catalogue!, undefined, nowMs)).toEqual([]);
  });

  it('decide whether broker check passes', async () => {
    const installation = await install({ catalogue: inPhase(2) });
    const failed = await operator(installation).check();
    expect(failed.failure).toMatchObject({ code: 'check_failed' });
    const host = new TestDevice(installation.url);
    await operator(installation).hostAdd('db-host', 'db-host-1', host.signingKey);
    const broker = await installation.start();
    const report = { logins: [], open: [], lost: 0 };
    expect((await host.post('/v1/hosts/logins', report, { tag: 'oncall-host' })).status).toBe(200);
    const about = async () =>
      ((await operator(installation).check()).data as { findings: Finding[] }).findings.filter(
        ({ message }) => / reports? /.test(message),
      );
    expect(await about()).toEqual([]);
    await broker.stop();
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(installation.directory, `oncall.db${suffix}`), { force: true });
    const [finding] = await about();
    expect(finding).toMatchObject({ severity: 'warning', line: expect.any(Number) });
  });
});
