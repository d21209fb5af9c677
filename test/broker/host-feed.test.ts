// Whether `broker check` misses the reports of hosts: where they are needed, until they come, and again when they stop.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findSilentHosts, SILENT_MS } from '../../src/broker/host-feed.ts';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import type { Finding } from '../../src/catalogue/types.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { TestDevice } from '../support/device.ts';
import { install, withPostgres } from '../support/installation.ts';
import { tempDir } from '../support/temp.ts';
import { operator } from './operator.ts';
import { withSsh } from './ssh-catalogue.ts';

const inPhase = (phase: number, catalogue = withSsh()) =>
  catalogue.replace('environment: production', `environment: production\n    phase: ${phase}`);

describe('the reports of hosts', () => {
  async function findings(text: string, rows: { id: string; seenAgoMs: number | null }[] = []) {
    const { catalogue } = parseCatalogue(text, 'catalogue.yaml', tempDir());
    const nowMs = Date.now();
    const store = await openSqliteStore({ file: join(tempDir(), 'store.db'), now: () => nowMs });
    await store.migrate();
    try {
      for (const { id, seenAgoMs } of rows) {
        const lastSeenAt = seenAgoMs === null ? null : nowMs - seenAgoMs;
        const host = { id, resource: id.split('/')[0]!, publicKey: 'ed25519:A', addedBy: 'root' };
        await store.write((tx) => tx.insertHost({ ...host, state: 'active', addedAt: nowMs, lastSeenAt }));
      }
      return await findSilentHosts(catalogue!, (work) => work(store));
    } finally {
      await store.close();
    }
  }
  const severities = (found: readonly Finding[]) => found.map(({ severity }) => severity);

  it('are needed in production from phase 2 on, of each host that the catalogue names', async () => {
    expect(await findings(withSsh())).toEqual([]);
    expect(await findings(inPhase(2).replace('production', 'staging'))).toEqual([]);
    for (const phase of [2, 3]) {
      const [finding, ...more] = await findings(inPhase(phase));
      expect(more).toEqual([]);
      expect(finding).toMatchObject({ severity: 'error', message: expect.stringContaining('db-host-1') });
      expect(finding?.hint).toContain('oncall broker host add db-host');
    }
    expect(severities(await findings(inPhase(2), [{ id: 'db-host/another', seenAgoMs: 0 }]))).toEqual([
      'error',
    ]);
    expect(severities(await findings(inPhase(2, withPostgres())))).toEqual(['error']);
  });

  it('are enough while they come', async () => {
    const host = (seenAgoMs: number | null) => findings(inPhase(2), [{ id: 'db-host/db-host-1', seenAgoMs }]);
    expect(await host(SILENT_MS)).toEqual([]);
    expect(severities(await host(SILENT_MS + 1))).toEqual(['error']);
    expect(severities(await host(null))).toEqual(['error']);
    expect(await findings(inPhase(3, withPostgres()), [{ id: 'db-replica/db1', seenAgoMs: 0 }])).toEqual([]);
  });

  it('are not judged where the store cannot be read, and it says so', async () => {
    const { catalogue } = parseCatalogue(inPhase(2), 'catalogue.yaml', tempDir());
    const closed = async () => {
      throw new AppError('internal', 'the store failed');
    };
    expect(severities(await findSilentHosts(catalogue!, closed))).toEqual(['warning']);
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
        ({ message }) => message.includes('db-host'),
      );
    expect(await about()).toEqual([]);
    await broker.stop();
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(installation.directory, `oncall.db${suffix}`), { force: true });
    expect(severities(await about())).toEqual(['warning']);
  });
});
