// `oncall status --check`: 0 while it is good, 6 where it is not, from one local file.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { StatusGrant } from '../../src/client/status-file.ts';
import { tempDir } from '../support/temp.ts';
import { NOW, play } from './stage.ts';
import { GRANT_ID } from './views.ts';

const MINUTE = 60_000;
const at = (ms: number) => new Date(NOW + ms).toISOString();

const HELD: Partial<StatusGrant> = {
  id: GRANT_ID,
  target: { resource: 'db-replica', role: 'read' },
  state: 'active',
  endsAt: at(30 * MINUTE),
  graceEndsAt: null,
  credentialExpiresAt: at(5 * MINUTE),
  renewal: null,
};

async function check(words: string, grants: readonly Partial<StatusGrant>[]) {
  const home = tempDir();
  mkdirSync(join(home, 'state'), { mode: 0o700 });
  const status = { schema: 'oncall.status/v1', user: 'ana', brokerContactAt: at(0), pending: [], grants };
  writeFileSync(join(home, 'state', 'status.json'), JSON.stringify(status), { mode: 0o600 });
  const { code, stdout, stderr, calls } = await play(['status', '--check', ...words.split(' ')], {
    env: { ONCALL_HOME: home },
  });
  expect(calls).toEqual([]);
  return { code, stdout, hint: /hint: (.*)\n/.exec(stderr)?.[1] };
}

describe('what is held', () => {
  it.each([
    ['db-replica', [HELD]],
    ['db-replica:read', [HELD]],
    ['db-replica --expires-in 30m', [HELD]],
    ['db-replica --expires-in 1h', [HELD, { ...HELD, endsAt: at(90 * MINUTE) }]],
    ['db-replica', [{ ...HELD, state: 'ready', credentialExpiresAt: null }]],
  ] as const)('is good: %s', async (words, grants) => {
    expect(await check(words, grants)).toEqual({ code: 0, stdout: '', hint: undefined });
  });

  it.each([
    ['ends too soon', 'db-replica --expires-in 31m', HELD],
    [
      'ends too soon, because its incident is over',
      'db-replica --expires-in 10m',
      { ...HELD, graceEndsAt: at(8 * MINUTE) },
    ],
    [
      'ends too soon, because its credential is not renewed',
      'db-replica --expires-in 10m',
      { ...HELD, renewal: { state: 'refused', because: 'no', since: at(0) } },
    ],
  ] as const)('%s', async (_, words, grant) => {
    expect(await check(words, [grant])).toEqual({ code: 6, stdout: '', hint: 'oncall renew db-replica' });
  });

  it.each([
    ['nothing', 'db-replica', []],
    ['another role', 'db-replica:write', [HELD]],
    ['what has ended', 'db-replica', [{ ...HELD, endsAt: at(0) }]],
  ] as const)('is %s', async (_, words, grants) => {
    expect(await check(words, grants)).toEqual({ code: 6, stdout: '', hint: `oncall request ${words}` });
  });

  it('is said in JSON, good or not', async () => {
    const good = await check('db-replica --expires-in 10m --json', [HELD]);
    expect(JSON.parse(good.stdout)).toEqual({
      schema: 'oncall.status.check/v1',
      target: 'db-replica',
      good: true,
      endsAt: HELD.endsAt,
      leftSeconds: 1800,
      neededSeconds: 600,
      grantId: GRANT_ID,
    });
    const bad = await check('db-main --json', [HELD]);
    expect(bad.code).toBe(6);
    expect(JSON.parse(bad.stdout)).toMatchObject({
      good: false,
      endsAt: null,
      leftSeconds: 0,
      grantId: null,
    });
  });
});
