import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HeldCredential } from '../../src/client/credentials.ts';
import { commandFor, environmentFor, writeSessionFiles } from '../../src/client/session-files.ts';
import { grantFolder } from '../../src/client/session-paths.ts';
import { REDIS } from '../../src/client/targets/redis.ts';
import { failureOf, GRANT_ID, testContext } from './fixture.ts';

const PASSWORD = 'a-secret-of-this-test';

function redis(more: object = {}, resource = 'cache', grantId = GRANT_ID): HeldCredential {
  return {
    grantId,
    credentialId: 'cr_1',
    target: { resource, role: 'read' },
    handle: 'oncall_ana_1',
    secret: { kind: 'redis', password: PASSWORD },
    publicPart: {
      kind: 'redis',
      user: 'oncall_ana_1',
      host: 'c.example.com',
      port: 6380,
      tls: true,
      caPem: 'PEM\n',
      ...more,
    },
    lifeSeconds: 300,
    receivedAtMs: 0,
    expiresAt: '2026-01-01T00:00:00.000Z',
  };
}

describe('a redis credential', () => {
  test('is a new password each time, of which the broker gets the SHA-256', async () => {
    const { material, secretFor } = await REDIS.createMaterial();
    const { password } = await secretFor({} as never, async () => new Uint8Array());
    expect(password).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(material.verifier).toBe(createHash('sha256').update(password).digest('hex'));
    expect((await REDIS.createMaterial()).material).not.toEqual(material);
  });

  test('puts the address before what was typed, and no secret', () => {
    const { paths } = testContext();
    const command = commandFor(paths, [redis()], ['/usr/bin/redis-cli', '-n', '2', 'get', 'x']);
    const ca = join(grantFolder(paths, GRANT_ID), 'ca.pem');
    expect(command).toEqual([
      ...[
        '/usr/bin/redis-cli',
        '-h',
        'c.example.com',
        '-p',
        '6380',
        '--user',
        'oncall_ana_1',
        '--no-auth-warning',
      ],
      ...['--tls', '--cacert', ca, '-n', '2', 'get', 'x'],
    ]);
    expect(command.join()).not.toContain(PASSWORD);
    expect(commandFor(paths, [redis({ tls: false, caPem: undefined })], ['redis-cli'])).not.toContain(
      '--tls',
    );
    expect(commandFor(paths, [redis()], ['psql'])).toEqual(['psql']);
  });

  test('is in the environment of one target by plain names, of several by the resource’s', () => {
    const { paths } = testContext();
    expect(environmentFor(paths, [redis()])).toEqual({
      REDIS_HOST: 'c.example.com',
      REDIS_PORT: '6380',
      REDIS_USER: 'oncall_ana_1',
      REDIS_TLS: '1',
      REDIS_CA: join(grantFolder(paths, GRANT_ID), 'ca.pem'),
      REDISCLI_AUTH: PASSWORD,
    });
    const both = [redis(), redis({}, '2nd-cache', 'gr_zzzzzzzzzzzzzzzzzzz')];
    expect(Object.keys(environmentFor(paths, both))).toEqual(
      expect.arrayContaining(['CACHE_REDIS_HOST', '_2ND_CACHE_REDIS_HOST', 'CACHE_REDISCLI_AUTH']),
    );
    expect(commandFor(paths, both, ['redis-cli', 'ping'])).toEqual(['redis-cli', 'ping']);
  });

  test('leaves the CA alone on the disk', async () => {
    const { paths } = testContext();
    await writeSessionFiles(paths, [redis()]);
    expect(readFileSync(join(grantFolder(paths, GRANT_ID), 'ca.pem'), 'utf8')).toBe('PEM\n');
  });

  test.each([{ host: 'a\nb' }, { user: 'x\u0000' }, { host: '-h' }])(
    'with %j in its public part opens nothing',
    async (more) => {
      const { paths } = testContext();
      const failure = failureOf((async () => commandFor(paths, [redis(more)], ['redis-cli']))());
      expect(await failure).toMatchObject({ code: 'corrupt_file' });
    },
  );
});
