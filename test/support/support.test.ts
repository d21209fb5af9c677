import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { startBusWithoutKeyring, startKeyring, type TestKeyring, withoutBus } from './keyring.ts';
import { part } from './parts.ts';
import { ownServer, testDatabase } from './postgres.ts';
import { cleanEnvironment, startProcess } from './process.ts';
import { descendantsOf, startTimeOf } from './process-tree.ts';
import { runTty } from './pty.ts';
import { SSH_LOGIN, startSshd, type TestSshd } from './sshd.ts';
import { tempDir, waitFor } from './temp.ts';

describe.skipIf(!part('postgres'))('a test database', () => {
  test('answers its superuser, is durable, and is gone after drop', async () => {
    const database = await testDatabase('own');
    expect(await database.sql('select $1::int + 1 as sum', [1])).toEqual([{ sum: 2 }]);
    expect(await database.sql('show fsync')).toEqual([{ fsync: 'on' }]);
    await database.drop();
    const client = new pg.Client({ connectionString: database.url });
    await expect(client.connect()).rejects.toMatchObject({ code: '3D000' });
  });

  test('refuses a wrong password, and proves itself to a client that demands TLS', async () => {
    const database = await testDatabase();
    const wrong = new pg.Client({ connectionString: database.urlFor('postgres', 'wrong') });
    await expect(wrong.connect()).rejects.toMatchObject({ code: '28P01' });
    const url = `${database.url}?sslmode=verify-full&sslrootcert=${database.caFile}`;
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    await client.end();
    expect(rows).toEqual([{ ssl: true }]);
  });

  test.skipIf(!part('psql'))('answers psql', async () => {
    const database = await testDatabase();
    const query = ['--no-psqlrc', '--tuples-only', '--no-align', '--command', 'select 41 + 1'];
    const psql = startProcess('psql', [...query, `${database.url}?sslmode=require`], { input: '' });
    expect(await psql.ended).toEqual({ code: 0, signal: null });
    expect(psql.stdout().trim()).toBe('42');
  });
});

describe.skipIf(!part('postgres'))('a server of a test’s own', () => {
  test('pauses without answering, goes on where it was, and keeps its data through a crash', async () => {
    const server = await ownServer();
    const database = await server.database();
    await database.sql('create table kept (n int)');
    server.pause();
    let answered = false;
    const insert = database.sql('insert into kept values (7) returning n').finally(() => {
      answered = true;
    });
    const impatient = new pg.Client({ connectionString: database.url, connectionTimeoutMillis: 300 });
    impatient.on('error', () => {});
    await expect(impatient.connect()).rejects.toThrow(/timeout/);
    expect(answered).toBe(false);
    server.resume();
    expect(await insert).toEqual([{ n: 7 }]);

    await server.stop('crash');
    await expect(database.sql('select 1')).rejects.toThrow();
    await server.start();
    expect(await database.sql('select n from kept')).toEqual([{ n: 7 }]);
    await server.stop();
    expect(startTimeOf(server.pid)).toBeUndefined();
  });
});

describe.skipIf(!part('sshd'))('an sshd', () => {
  const keys = tempDir();
  function makeKey(name: string): string {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(keys, name)]);
    return readFileSync(join(keys, `${name}.pub`), 'utf8').trim();
  }
  async function login(sshd: TestSshd, key: string, knownHosts = sshd.knownHosts) {
    const known = join(tempDir(), 'known_hosts');
    writeFileSync(known, `${knownHosts}\n`);
    const options = {
      UserKnownHostsFile: known,
      StrictHostKeyChecking: 'yes',
      IdentitiesOnly: 'yes',
      BatchMode: 'yes',
    };
    const args = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const target = ['-p', String(sshd.port), `${sshd.login}@${sshd.host}`, 'id -un'];
    const ssh = startProcess('ssh', ['-F', 'none', ...args, '-i', join(keys, key), ...target], { input: '' });
    const { code } = await ssh.ended;
    return { code, stdout: ssh.stdout().trim(), stderr: ssh.stderr() };
  }

  test('lets a key in that it knows and no other, and logs who it was', async () => {
    const known = makeKey('known');
    makeKey('stranger');
    const sshd = await startSshd({ authorizedKeys: [known] });
    expect(await login(sshd, 'known')).toMatchObject({ code: 0, stdout: sshd.login });
    expect(await login(sshd, 'stranger')).toMatchObject({ code: 255 });
    await waitFor(() => sshd.log().includes(`Accepted publickey for ${sshd.login}`), {
      what: 'the log entry',
    });
    await sshd.stop();
    expect(await login(sshd, 'known')).toMatchObject({ code: 255 });
  });

  test('maps a certificate’s principal to the login, proves its host key by a CA, and obeys revocation', async () => {
    const userCa = makeKey('user-ca');
    const hostCa = makeKey('host-ca');
    makeKey('engineer');
    const sign = ['-q', '-s', join(keys, 'user-ca'), '-I', 'test', '-n', 'oncall:web:shell', '-V', '+5m'];
    execFileSync('ssh-keygen', [...sign, join(keys, 'engineer.pub')]);
    const revokedKeysFile = join(keys, 'krl');
    execFileSync('ssh-keygen', ['-q', '-k', '-f', revokedKeysFile]);
    const sshd = await startSshd({
      trustedUserCaKeys: userCa,
      authorizedPrincipals: { [SSH_LOGIN]: ['oncall:web:shell'] },
      revokedKeysFile,
      hostCertificate(hostPublicKey) {
        const file = join(tempDir(), 'host');
        writeFileSync(`${file}.pub`, `${hostPublicKey}\n`);
        const args = ['-q', '-s', join(keys, 'host-ca'), '-I', 'host', '-h', '-n', '127.0.0.1'];
        execFileSync('ssh-keygen', [...args, `${file}.pub`]);
        return readFileSync(`${file}-cert.pub`, 'utf8');
      },
    });
    const byHostCa = `@cert-authority [127.0.0.1]:${sshd.port} ${hostCa}`;
    expect(await login(sshd, 'engineer', byHostCa)).toMatchObject({ code: 0, stdout: sshd.login });
    execFileSync('ssh-keygen', ['-q', '-k', '-u', '-f', revokedKeysFile, join(keys, 'engineer.pub')]);
    expect(await login(sshd, 'engineer', byHostCa)).toMatchObject({ code: 255 });
  });
});

describe.skipIf(!part('keyring'))('a keyring', () => {
  async function secretTool(keyring: TestKeyring, args: string[], input = '') {
    const tool = startProcess('secret-tool', args, { env: keyring.env, input });
    const { code } = await tool.ended;
    return { code, stdout: tool.stdout(), stderr: tool.stderr() };
  }
  async function isLocked(keyring: TestKeyring): Promise<string> {
    const path = '/org/freedesktop/secrets/collection/login';
    const get = ['org.freedesktop.DBus.Properties.Get', 'org.freedesktop.Secret.Collection', 'Locked'];
    const args = ['call', '--session', '-d', 'org.freedesktop.secrets', '-o', path, '-m', ...get];
    const gdbus = startProcess('gdbus', args, { env: keyring.env, input: '' });
    await gdbus.ended;
    return gdbus.stdout().trim();
  }
  const entry = ['service', 'oncall', 'username', 'test'];

  test('that is unlocked stores and finds, and another session does not see it', async () => {
    const [mine, other] = [await startKeyring({ unlock: true }), await startKeyring({ unlock: true })];
    expect(await secretTool(mine, ['store', '--label=x', ...entry], 'a secret')).toMatchObject({ code: 0 });
    expect(await secretTool(mine, ['lookup', ...entry])).toMatchObject({ code: 0, stdout: 'a secret' });
    expect(await secretTool(other, ['lookup', ...entry])).toMatchObject({ code: 1, stdout: '' });
    expect(await isLocked(mine)).toBe('(<false>,)');
    await mine.stop();
    expect(await secretTool(mine, ['lookup', ...entry])).toMatchObject({ code: 1, stdout: '' });
  });

  test('that is locked exists, says so, and takes nothing', async () => {
    const keyring = await startKeyring({ unlock: false });
    expect(await isLocked(keyring)).toBe('(<true>,)');
    expect((await secretTool(keyring, ['store', '--label=x', ...entry], 'a secret')).code).not.toBe(0);
  });

  test('that is frozen lets its callers wait', async () => {
    const keyring = await startKeyring({ unlock: true });
    keyring.pause();
    const tool = startProcess('secret-tool', ['lookup', ...entry], { env: keyring.env, input: '' });
    await expect(tool.waitForOutput('anything', { timeoutMs: 300 })).rejects.toThrow(/waited 300 ms/);
    expect(tool.running).toBe(true);
    keyring.resume();
    expect(await tool.ended).toMatchObject({ code: 1 });
  });

  test('can be missing from its bus, and the bus can be missing', async () => {
    const without = await secretTool(await startBusWithoutKeyring(), ['lookup', ...entry]);
    expect(without).toMatchObject({ code: 1, stderr: expect.stringContaining('org.freedesktop.secrets') });
    const nothing = await secretTool(withoutBus(), ['lookup', ...entry]);
    expect(nothing).toMatchObject({
      code: 1,
      stderr: expect.not.stringContaining('org.freedesktop.secrets'),
    });
  });
});

describe('child processes', () => {
  test('end with all they started', async () => {
    const shell = startProcess('sh', ['-c', 'sleep 1000 & echo started; wait']);
    await shell.waitForOutput('started');
    const [sleeper] = descendantsOf(shell.pid);
    expect(sleeper && startTimeOf(sleeper)).toBeDefined();
    expect(await shell.stop()).toEqual({ code: null, signal: 'SIGKILL' });
    await waitFor(() => startTimeOf(sleeper!) === undefined, { what: 'the end of sleep' });
  });

  test('get a clean environment', async () => {
    const env = startProcess('env', []);
    await env.ended;
    const names = env
      .stdout()
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names.sort()).toEqual(['HOME', 'LANG', 'ONCALL_AGENT', 'ONCALL_HOME', 'PATH', 'TERM']);
    expect(statSync(cleanEnvironment().HOME!).mode & 0o777).toBe(0o700);
  });

  test('that end without the awaited text fail the wait with what they wrote', async () => {
    const child = startProcess('sh', ['-c', 'echo only this']);
    await expect(child.waitForOutput('something else')).rejects.toThrow(
      /ended without something else.*only this/s,
    );
  });
});

describe.skipIf(!part('pty'))('a terminal', () => {
  const ask = 'test -t 0 && test -t 1 && stty size && printf "name? " && read n && echo "hello $n" && exit 7';

  test('shows what is typed into it and gives the exit code', async () => {
    const keys = [{ when: 'name? ', type: 'Ada\r' }];
    const { code, text, restored } = await runTty(['sh', '-c', ask], { keys, columns: 91, rows: 33 });
    expect({ code, restored }).toEqual({ code: 7, restored: true });
    expect(text).toContain('33 91');
    expect(text).toContain('hello Ada');
  });

  test('turns Ctrl-C into SIGINT', async () => {
    const { code } = await runTty(['sh', '-c', ask], { keys: [{ when: 'name? ', type: '\x03' }] });
    expect(code).toBe(130);
  });

  test.each(['stty -echo', "printf '\\033[?25l'"])('tells that %s was not undone', async (harm) => {
    expect((await runTty(['sh', '-c', harm])).restored).toBe(false);
  });
});

test('waiting names what did not come, and why', async () => {
  const never = waitFor(
    () => {
      throw new Error('not yet');
    },
    { what: 'Godot', timeoutMs: 50 },
  );
  await expect(never).rejects.toThrow('waited 50 ms for Godot');
  await expect(never).rejects.toMatchObject({ cause: new Error('not yet') });
});
