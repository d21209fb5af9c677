// A store that came back without its newest entries: nobody is let in on it, and everybody can still be shut out.
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { IncidentView } from '../../src/protocol/messages.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';

describe('a log that is short of what was seen of it', () => {
  let installation: Installation;
  let dora: TestDevice;
  let ana: TestDevice;
  /** What dora has seen and the log has no more. */
  let seen: { size: number; checkpoint: string };

  const declare = (device: TestDevice, id: string, seenSize?: number) =>
    device.post<IncidentView>(
      '/v1/incidents',
      { id, service: 'orders', priority: 'P1' },
      {
        tamper: ({ headers }) => {
          if (seenSize !== undefined) headers['oncall-seen-size'] = String(seenSize);
        },
      },
    );

  beforeAll(async () => {
    installation = await install();
    const running = await installation.start();
    dora = await enrolled(installation, 'dora');
    ana = await enrolled(installation, 'ana');
    await declare(dora, 'P1-kept');
    const file = join(installation.directory, 'oncall.db');
    const store = await openSqliteStore({ file, now: Date.now });
    await store.backup(`${file}.backup`);
    await store.close();
    const lost = ['P1-1', 'P1-2', 'P1-3', 'P1-4', 'P1-5', 'P1-6', 'P1-7', 'P1-8'];
    for (const id of lost) {
      const { audit } = await declare(dora, id);
      seen = { size: (audit?.receipt.index ?? 0) + 1, checkpoint: audit?.checkpoint ?? '' };
    }
    await running.stop();
    for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true });
    copyFileSync(`${file}.backup`, file);
    await installation.start();
  });

  it('holds back whoever has seen more, and nobody else on their word alone', async () => {
    expect(await declare(dora, 'P1-a', seen.size)).toMatchObject({
      status: 503,
      error: { code: 'log_behind' },
    });
    expect(await declare(dora, 'P1-a', seen.size + 1_000_000)).toMatchObject({ status: 503 });
    expect((await dora.get<{ incidents: IncidentView[] }>('/v1/incidents')).result.incidents).toHaveLength(1);
    expect((await declare(ana, 'P1-b')).status).toBe(200);
  });

  it('believes no checkpoint that its own key did not sign', async () => {
    const forged = seen.checkpoint.replace(/\n\d+\n/, '\n999999\n');
    const answer = await dora.post('/v1/audit/seen', { checkpoint: forged });
    expect(answer.error?.code).toBe('audit_invalid');
    expect((await declare(ana, 'P1-c')).status).toBe(200);
  });

  it('holds back everybody once it was shown what it had signed, and still takes away', async () => {
    expect((await dora.post('/v1/audit/seen', { checkpoint: seen.checkpoint })).status).toBe(200);
    for (const device of [ana, dora])
      expect(await declare(device, 'P1-d')).toMatchObject({ status: 503, error: { code: 'log_behind' } });
    expect(await dora.post('/v1/incidents/P1-kept/resolve')).toMatchObject({
      status: 200,
      result: { state: 'resolved' },
    });
  });
});
