import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type CredentialCache,
  type HeldCredential,
  listCredentials,
  openCredential,
  sealCredential,
  wipe,
} from '../../src/client/credentials.ts';
import {
  commandFor,
  environmentFor,
  wipeSessionFiles,
  writeSessionFiles,
} from '../../src/client/session-files.ts';
import { grantFolder, joinedFile } from '../../src/client/session-paths.ts';
import type { ClientTarget, PartOf } from '../../src/client/targets/client-target.ts';
import { POSTGRES } from '../../src/client/targets/postgres.ts';
import { SSH } from '../../src/client/targets/ssh.ts';
import { part } from '../support/parts.ts';
import { tempDir } from '../support/temp.ts';
import { failureOf, GRANT_ID, testContext } from './fixture.ts';

const OTHER_ID = 'gr_zzzzzzzzzzzzzzzzzzz';

/** Of the two kinds whose secrets need nothing of the broker's answer. */
async function newSecret<K extends 'postgres' | 'ssh'>({ createMaterial }: ClientTarget<K>) {
  const { secretFor } = await createMaterial();
  return secretFor({} as PartOf<K>, async () => new Uint8Array());
}

async function postgres(grantId = GRANT_ID, more: object = {}): Promise<HeldCredential> {
  return {
    grantId,
    credentialId: 'cr_1',
    target: { resource: 'db-replica', role: 'read' },
    handle: 'oncall_ana_1',
    secret: await newSecret(POSTGRES),
    publicPart: {
      kind: 'postgres',
      user: 'oncall_ana_1',
      host: 'db.example.com',
      port: 5432,
      database: 'orders',
      sslMode: 'verify-full',
      caPem: '-----BEGIN CERTIFICATE-----\n',
      ...more,
    },
    lifeSeconds: 300,
    receivedAtMs: 0,
    expiresAt: '2026-01-01T00:00:00.000Z',
  };
}

async function ssh(grantId = GRANT_ID, more: object = {}): Promise<HeldCredential> {
  return {
    ...(await postgres(grantId)),
    target: { resource: 'web', role: 'admin' },
    secret: await newSecret(SSH),
    publicPart: {
      kind: 'ssh',
      certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA',
      login: 'deploy',
      hosts: [
        { name: 'web-1', host: '10.0.0.1', port: 2222 },
        { name: 'web-2', host: 'fd00::2', port: 22 },
      ],
      knownHosts: ['[10.0.0.1]:2222 ssh-ed25519 AAAA'],
      ...more,
    },
  };
}

describe('a sealed credential', () => {
  async function cacheOf() {
    const context = testContext();
    const cache: CredentialCache = {
      paths: context.paths,
      cacheKey: Buffer.alloc(32, 1),
      warn: context.warn,
    };
    const credential = await postgres();
    await sealCredential(cache, credential);
    return { context, cache, credential, path: join(context.paths.credentialsDir, `${GRANT_ID}.json`) };
  }

  test('comes back as it was, and holds nothing readable', async () => {
    const { cache, credential, path } = await cacheOf();
    expect(await openCredential(cache, GRANT_ID)).toEqual(credential);
    expect(readFileSync(path, 'utf8')).not.toContain('oncall_ana_1');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    wipe(cache.paths, GRANT_ID);
    expect(await openCredential(cache, GRANT_ID)).toBeUndefined();
  });

  test('that is truncated anywhere counts as absent, with a warning', async () => {
    const { cache, path, context } = await cacheOf();
    const whole = readFileSync(path);
    const cuts = [0, 1, 20, 60, whole.length - 30, whole.length - 4];
    for (const length of cuts) {
      writeFileSync(path, whole.subarray(0, length));
      expect(await openCredential(cache, GRANT_ID)).toBeUndefined();
    }
    expect(context.warnings).toHaveLength(cuts.length);
  });

  test('that is edited anywhere counts as absent', async () => {
    const { cache, path } = await cacheOf();
    const { version, iv, sealed } = JSON.parse(readFileSync(path, 'utf8'));
    const bytes = Buffer.from(sealed, 'base64');
    const flip = (at: number) => {
      const copy = Buffer.from(bytes);
      copy[at]! ^= 1;
      return copy.toString('base64');
    };
    const edited = [
      { version: 2, iv, sealed },
      { version, iv: Buffer.alloc(12).toString('base64'), sealed },
      { version, iv, sealed: flip(0) },
      { version, iv, sealed: flip(bytes.length - 1) },
      { version, iv, sealed: bytes.subarray(0, -12).toString('base64') },
      null,
      [],
    ];
    for (const content of edited) {
      writeFileSync(path, JSON.stringify(content));
      expect(await openCredential(cache, GRANT_ID)).toBeUndefined();
    }
  });

  test('cannot stand in for that of another grant, nor be opened by another device', async () => {
    const { cache, path } = await cacheOf();
    expect(await openCredential({ ...cache, cacheKey: Buffer.alloc(32, 2) }, GRANT_ID)).toBeUndefined();
    renameSync(path, path.replace(GRANT_ID, OTHER_ID));
    expect(await openCredential(cache, OTHER_ID)).toBeUndefined();
  });

  test('that others can read is refused', async () => {
    const { cache, path } = await cacheOf();
    chmodSync(path, 0o644);
    expect(await failureOf(openCredential(cache, GRANT_ID))).toMatchObject({ code: 'unsafe_file' });
  });

  test('is listed with the others, and names no other file', async () => {
    const { cache } = await cacheOf();
    await sealCredential(cache, await postgres(OTHER_ID));
    writeFileSync(join(cache.paths.credentialsDir, 'notes.txt'), '');
    expect((await listCredentials(cache)).map(({ grantId }) => grantId)).toEqual([GRANT_ID, OTHER_ID]);
    expect(await failureOf(openCredential(cache, '../keys/x'))).toMatchObject({ code: 'invalid_request' });
  });
});

test('new secrets are of the form that the broker takes, and never the same', async () => {
  const [a, b] = [await POSTGRES.createMaterial(), await POSTGRES.createMaterial()];
  expect(await newSecret(POSTGRES)).toMatchObject({ password: expect.stringMatching(/^[A-Za-z0-9]{32}$/) });
  expect(a.material).toMatchObject({ verifier: expect.stringMatching(/^SCRAM-SHA-256\$4096:/) });
  expect(a.material).not.toEqual(b.material);
  const { secretFor, material } = await SSH.createMaterial();
  const secret = await secretFor({} as PartOf<'ssh'>, async () => new Uint8Array());
  const file = join(tempDir(), 'key');
  writeFileSync(file, secret.privateKey, { mode: 0o600 });
  expect(execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' }).trim()).toBe(
    material.publicKey,
  );
});

describe('the session files', () => {
  test('of a database carry it all, for the owner alone', async () => {
    const { paths } = testContext();
    const credential = await postgres();
    await writeSessionFiles(paths, [credential]);
    const env = environmentFor(paths, [credential]);
    expect(env).toEqual({
      PGHOST: 'db.example.com',
      PGPORT: '5432',
      PGUSER: 'oncall_ana_1',
      PGDATABASE: 'orders',
      PGPASSFILE: join(grantFolder(paths, GRANT_ID), 'pgpass'),
      PGSSLMODE: 'verify-full',
      PGAPPNAME: `oncall ${GRANT_ID}`,
      PGSSLROOTCERT: join(grantFolder(paths, GRANT_ID), 'ca.pem'),
    });
    const { password } = credential.secret as { password: string };
    const line = `db.example.com:5432:orders:oncall_ana_1:${password}\n`;
    expect(readFileSync(env.PGPASSFILE!, 'utf8')).toBe(line);
    expect(statSync(env.PGPASSFILE!).mode & 0o777).toBe(0o600);
    expect(Object.values(env).join()).not.toContain(password);
  });

  test.each([
    ['P1-123', 'P1-123'],
    ['P1\n[evil]\u0000 ünï %s\'"', 'P1__evil__ _n_ _s__'],
    ['x'.repeat(200), 'x'.repeat(33)],
  ])(
    'of a database name grant and incident %j to the server, in 63 characters of no harm',
    async (incident, said) => {
      const { paths } = testContext();
      const credential = { ...(await postgres()), incident };
      await writeSessionFiles(paths, [credential]);
      const { PGAPPNAME = '' } = environmentFor(paths, [credential]);
      expect(PGAPPNAME).toBe(`oncall ${GRANT_ID} ${said}`);
      const services = readFileSync(joinedFile(paths, 'pg_service.conf'), 'utf8');
      expect(services.match(/^application_name=.*$/gm)).toEqual(
        Array.from({ length: 2 }, () => `application_name=${PGAPPNAME}`),
      );
    },
  );

  test('escape what pgpass would split', async () => {
    const { paths } = testContext();
    const credential = await postgres(GRANT_ID, { host: 'fd00::2', database: 'a\\b:c' });
    await writeSessionFiles(paths, [credential]);
    expect(readFileSync(joinedFile(paths, 'pgpass'), 'utf8')).toMatch(/^fd00\\:\\:2:5432:a\\\\b\\:c:/);
  });

  test('of several databases are services, newest first, and of one that is wiped nothing stays', async () => {
    const { paths } = testContext();
    const [older, newer] = [await postgres(), await postgres(OTHER_ID, { user: 'newer' })];
    await writeSessionFiles(paths, [older, newer]);
    const [pgServices, pgpass] = [joinedFile(paths, 'pg_service.conf'), joinedFile(paths, 'pgpass')];
    expect(environmentFor(paths, [older, newer])).toEqual({ PGSERVICEFILE: pgServices, PGPASSFILE: pgpass });
    const services = readFileSync(pgServices, 'utf8');
    expect(services.match(/^\[.*\]$/gm)).toEqual([
      '[db-replica]',
      '[db-replica:read]',
      '[db-replica]',
      '[db-replica:read]',
    ]);
    expect(services.match(/^user=.*$/gm)?.[0]).toBe('user=newer');
    await wipeSessionFiles(paths, OTHER_ID);
    expect(readFileSync(pgServices, 'utf8')).not.toContain('newer');
    expect(readFileSync(pgpass, 'utf8')).not.toContain('newer');
    await wipeSessionFiles(paths, GRANT_ID);
    expect(() => statSync(pgpass)).toThrow('ENOENT');
    expect(() => statSync(grantFolder(paths, GRANT_ID))).toThrow('ENOENT');
  });

  test('of hosts are read by ssh as they are meant', async () => {
    const { paths } = testContext({ env: { ONCALL_HOME: join(tempDir(), 'a b%h c') } });
    const credential = await ssh();
    await writeSessionFiles(paths, [credential]);
    const { ONCALL_SSH_CONFIG = '' } = environmentFor(paths, [credential]);
    const folder = grantFolder(paths, GRANT_ID);
    const options = execFileSync('ssh', ['-T', '-G', '-F', ONCALL_SSH_CONFIG, 'web-1'], {
      encoding: 'utf8',
    }).split('\n');
    expect(options).toEqual(
      expect.arrayContaining([
        'hostname 10.0.0.1',
        'port 2222',
        'user deploy',
        'identitiesonly yes',
        'identityagent none',
        'stricthostkeychecking true',
      ]),
    );
    // ssh -G shows file names before the tokens are read, quotes taken off.
    expect(options).toContain(`identityfile ${folder.replace(/%/g, '%%')}/key`);
    const known = execFileSync('ssh-keygen', ['-F', '[10.0.0.1]:2222', '-f', join(folder, 'known_hosts')], {
      encoding: 'utf8',
    });
    expect(known).toContain('ssh-ed25519 AAAA');
  });

  test.each([
    ['a host with a line end', { hosts: [{ name: 'web-1', host: 'a\nProxyCommand evil', port: 22 }] }],
    ['a name with a space', { hosts: [{ name: 'web-1 *', host: 'a', port: 22 }] }],
    ['a login with a token', { login: '%h' }],
    ['a known host with a line end', { knownHosts: ['a ssh-ed25519 AAAA\n* ssh-ed25519 BBBB'] }],
    ['a certificate with a line end', { certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA\nmore' }],
  ])('are not written for %s', async (_, more) => {
    const { paths } = testContext();
    const credential = await ssh(GRANT_ID, more);
    expect(await failureOf(writeSessionFiles(paths, [credential]))).toMatchObject({ code: 'corrupt_file' });
  });

  test.each([{ host: 'a\npassword=x' }, { database: 'a\r' }, { user: '\0' }])(
    'are not written for the database %j',
    async (more) => {
      const { paths } = testContext();
      const credential = await postgres(GRANT_ID, more);
      expect(await failureOf(writeSessionFiles(paths, [credential]))).toMatchObject({ code: 'corrupt_file' });
    },
  );

  test('are not written where ssh could not read them', async () => {
    const { paths } = testContext({ env: { ONCALL_HOME: join(tempDir(), 'a"b') } });
    expect(await failureOf(writeSessionFiles(paths, [await ssh()]))).toMatchObject({ code: 'unsafe_file' });
  });
});

test.skipIf(!part('postgres'))('psql finds a service and its password', async () => {
  const { inject } = await import('vitest');
  const server = inject('postgres')!;
  const { paths } = testContext();
  const credential = await postgres(GRANT_ID, {
    host: server.host,
    port: server.port,
    user: server.user,
    database: 'postgres',
    sslMode: 'verify-full',
    caPem: readFileSync(server.caFile, 'utf8'),
  });
  const known = { ...credential, secret: { kind: 'postgres' as const, password: server.password } };
  await writeSessionFiles(paths, [known]);
  const pgServices = joinedFile(paths, 'pg_service.conf');
  for (const [env, name] of [
    [environmentFor(paths, [known]), 'dbname=postgres'],
    [{ PGSERVICEFILE: pgServices }, 'service=db-replica'],
    [{ PGSERVICEFILE: pgServices }, 'service=db-replica:read'],
  ] as const) {
    const out = execFileSync('psql', ['-w', '-Atc', 'select 6*7', name], {
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    });
    expect(out.trim()).toBe('42');
  }
});

test('ssh behind run reads the configuration of what was just opened, unless it has its own', async () => {
  const { paths } = testContext();
  const [database, one, other] = [await postgres(), await ssh(), await ssh(OTHER_ID)];
  const own = join(grantFolder(paths, GRANT_ID), 'ssh_config');
  expect(commandFor(paths, [database, one], ['ssh', 'web-1'])).toEqual(['ssh', '-F', own, 'web-1']);
  const joined = joinedFile(paths, 'ssh_config');
  expect(commandFor(paths, [one, other], ['/bin/scp', 'a', 'b:'])).toEqual([
    '/bin/scp',
    '-F',
    joined,
    'a',
    'b:',
  ]);
  expect(commandFor(paths, [one], ['ssh', '-F/mine', 'web-1'])).toEqual(['ssh', '-F/mine', 'web-1']);
  expect(commandFor(paths, [one], ['psql'])).toEqual(['psql']);
  expect(commandFor(paths, [database], ['ssh', 'web-1'])).toEqual(['ssh', 'web-1']);
});
