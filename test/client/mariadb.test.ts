import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HeldCredential } from '../../src/client/credentials.ts';
import {
  commandFor,
  environmentFor,
  wipeSessionFiles,
  writeSessionFiles,
} from '../../src/client/session-files.ts';
import { grantFolder, joinedFile } from '../../src/client/session-paths.ts';
import { MARIADB } from '../../src/client/targets/mariadb.ts';
import { createMariadbVerifier } from '../../src/protocol/mariadb-ed25519.ts';
import { startMariadb } from '../support/mariadb-server.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';
import { failureOf, GRANT_ID, testContext } from './fixture.ts';

const OTHER_ID = 'gr_zzzzzzzzzzzzzzzzzzz';
const PASSWORD = 'a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4';

function mariadb(more: object = {}, grantId = GRANT_ID, resource = 'shop-db', role = 'read'): HeldCredential {
  return {
    grantId,
    credentialId: 'cr_1',
    target: { resource, role },
    handle: 'oncall_ana_1',
    secret: { kind: 'mariadb', password: PASSWORD },
    publicPart: {
      kind: 'mariadb',
      user: 'oncall_ana_1',
      host: 'shop.example.com',
      port: 3307,
      database: 'shop',
      sslMode: 'verify-full',
      caPem: 'PEM\n',
      ...more,
    },
    lifeSeconds: 300,
    receivedAtMs: 0,
    expiresAt: '2026-01-01T00:00:00.000Z',
  };
}

describe('a mariadb credential', () => {
  test('is a new password each time, of which the broker gets the public key', async () => {
    const { material, secretFor } = await MARIADB.createMaterial();
    const { password } = await secretFor({} as never, async () => new Uint8Array());
    expect(password).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(material.verifier).toBe(createMariadbVerifier(password));
    expect((await MARIADB.createMaterial()).material).not.toEqual(material);
  });

  test('is in a file for the owner alone, and neither in the environment nor in the arguments', async () => {
    const { paths } = testContext();
    await writeSessionFiles(paths, [mariadb()]);
    const folder = grantFolder(paths, GRANT_ID);
    const env = environmentFor(paths, [mariadb()]);
    expect(env).toEqual({ MARIADB_HOME: folder, MYSQL_HOME: folder });
    expect(readFileSync(join(folder, 'my.cnf'), 'utf8')).toContain(`password="${PASSWORD}"`);
    expect(statSync(join(folder, 'my.cnf')).mode & 0o777).toBe(0o600);
    expect(statSync(joinedFile(paths, 'mariadb/my.cnf')).mode & 0o777).toBe(0o600);
    const command = commandFor(paths, [mariadb()], ['mariadb', '-e', 'select 1']);
    expect(command).toEqual(['mariadb', `--defaults-file=${join(folder, 'my.cnf')}`, '-e', 'select 1']);
    expect(commandFor(paths, [mariadb()], ['/usr/bin/mariadb-dump', 'shop'])[1]).toContain(
      '--defaults-file=',
    );
    for (const own of ['--no-defaults', '--defaults-file=/mine', '--defaults-extra-file=/mine']) {
      expect(commandFor(paths, [mariadb()], ['mysql', own])).toEqual(['mysql', own]);
    }
    for (const program of ['psql', 'mariadbd', 'mysqld', 'mariadb-secure-installation'])
      expect(commandFor(paths, [mariadb()], [program])).toEqual([program]);
  });

  test('of several targets is in groups by their names, the newest counts, and of one that is wiped nothing stays', async () => {
    const { paths } = testContext();
    const [older, newer] = [mariadb(), mariadb({ user: 'newer' }, OTHER_ID, 'shop-db', 'write')];
    await writeSessionFiles(paths, [older, newer]);
    const file = joinedFile(paths, 'mariadb/my.cnf');
    const groups = readFileSync(file, 'utf8').match(/^\[client.*\]$/gm);
    expect(groups).toEqual([
      '[client_shop-db]',
      '[client_shop-db:read]',
      '[client_shop-db]',
      '[client_shop-db:write]',
    ]);
    expect(
      readFileSync(file, 'utf8')
        .match(/^user=.*$/gm)
        ?.at(-1),
    ).toBe('user="newer"');
    expect(environmentFor(paths, [older, newer]).MARIADB_HOME).toBe(joinedFile(paths, 'mariadb'));
    await wipeSessionFiles(paths, OTHER_ID);
    expect(readFileSync(file, 'utf8')).not.toContain('newer');
    await wipeSessionFiles(paths, GRANT_ID);
    expect(() => statSync(file)).toThrow('ENOENT');
  });

  test.each([
    { host: 'a\npassword=x' },
    { host: '-h' },
    { database: 'a\r' },
    { user: '\0' },
    { user: '"' },
    { database: 'a"b' },
  ])('is not written with %j', async (more) => {
    const { paths } = testContext();
    const failure = await failureOf(writeSessionFiles(paths, [mariadb(more)]));
    expect(['corrupt_file', 'unsafe_file']).toContain((failure as { code?: string }).code);
  });
});

describe.skipIf(!part('mariadb'))('the real mariadb', () => {
  test('goes where the files say, whatever the person’s own file says, from a folder with odd signs too', async () => {
    const server = await startMariadb();
    await server.admin(`INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'; CREATE DATABASE shop;
      CREATE USER one IDENTIFIED VIA ed25519 USING '${createMariadbVerifier(PASSWORD)}' REQUIRE SSL;
      CREATE USER two IDENTIFIED VIA ed25519 USING '${createMariadbVerifier(PASSWORD)}' REQUIRE SSL;
      GRANT SELECT ON shop.* TO one, two;`);
    const { paths } = testContext({ env: { ONCALL_HOME: join(tempDir(), "a b#c;d'e\\n") } });
    const at = { host: server.host, port: server.port, caPem: readFileSync(server.caFile, 'utf8') };
    const one = mariadb({ ...at, user: 'one' });
    const two = mariadb({ ...at, user: 'two' }, OTHER_ID, 'other-db');
    await writeSessionFiles(paths, [one, two]);
    const home = tempDir();
    const { writeFileSync } = await import('node:fs');
    writeFileSync(join(home, '.my.cnf'), '[client]\nuser=somebody\npassword=else\n');

    async function run(held: HeldCredential[], ...words: [string, ...string[]]) {
      const [program, ...args] = commandFor(paths, held, words);
      const env = { PATH: '/usr/bin:/bin', HOME: home, ...environmentFor(paths, held) };
      const child = startProcess(program, args, { env, input: '' });
      const { code } = await child.ended;
      return { code, stdout: child.stdout(), stderr: child.stderr() };
    }
    const ask = [
      '-BNe',
      "SELECT CURRENT_USER(), DATABASE(), VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version'",
    ] as const;
    const answered = (user: string) => ({ code: 0, stdout: `${user}@%\tshop\t1\n`, stderr: '' });
    expect(await run([one], 'mariadb', ...ask)).toEqual(answered('one'));
    expect(await run([two], 'mysql', ...ask)).toEqual(answered('two'));
    expect(await run([one, two], 'mariadb', '--defaults-group-suffix=_other-db', ...ask)).toEqual(
      answered('two'),
    );
    expect(await run([one, two], 'mariadb', '--defaults-group-suffix=_shop-db:read', ...ask)).toEqual(
      answered('one'),
    );
    expect(await run([one], 'mariadb-dump', '--no-create-info', 'shop')).toMatchObject({ code: 0 });
    // A script that calls it by itself, where the person has no file of their own.
    writeFileSync(join(home, '.my.cnf'), '');
    expect(await run([one], 'sh', '-c', `mariadb ${ask[0]} "$0"`, ask[1])).toEqual(answered('one'));
  });
});
