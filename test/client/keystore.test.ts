import { execFileSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import { createDeviceKeys, openDevice } from '../../src/client/device-key.ts';
import { openKeystore, recommendKeystore } from '../../src/client/keystore.ts';
import { createKeychainKeystore, keychainError } from '../../src/client/keystore-keychain.ts';
import { listAgentKeys, signWithAgent } from '../../src/client/keystore-ssh-agent.ts';
import { formatPublicKey, keyThumbprint } from '../../src/protocol/keys.ts';
import { parseSshPublicKey, sshMpint, sshString } from '../../src/protocol/ssh-wire.ts';
import { atEnd } from '../support/at-end.ts';
import { startBusWithoutKeyring, startKeyring, type TestKeyring, withoutBus } from '../support/keyring.ts';
import { part } from '../support/parts.ts';
import { cleanEnvironment, startProcess } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';
import { failureOf, testContext } from './fixture.ts';

describe('the file keystore', () => {
  test('keeps a record for its owner alone, and forgets it', async () => {
    const context = testContext();
    const { keyId, record } = await createDeviceKeys();
    const keystore = await openKeystore('file', context);
    await keystore.save(keyId, record);
    expect(await keystore.load(keyId)).toEqual(record);
    await keystore.remove(keyId);
    await keystore.remove(keyId);
    expect(await failureOf(keystore.load(keyId))).toMatchObject({ code: 'not_enrolled' });
  });

  test('refuses a key file that others can read, and a damaged one', async () => {
    const context = testContext();
    const { keyId, record } = await createDeviceKeys();
    const keystore = await openKeystore('file', context);
    await keystore.save(keyId, record);
    const path = join(context.paths.keysDir, `${keyId}.json`);
    chmodSync(path, 0o640);
    expect(await failureOf(keystore.load(keyId))).toMatchObject({ code: 'unsafe_file' });
    chmodSync(path, 0o600);
    for (const text of ['', '{}', readFileSync(path, 'utf8').slice(0, 80), '{"version":2}']) {
      writeFileSync(path, text);
      expect(await failureOf(keystore.load(keyId))).toMatchObject({ code: 'corrupt_file' });
    }
  });

  test('keeps a record behind a passphrase, asked for or in a file', async () => {
    const dir = tempDir();
    const keys = await createDeviceKeys();
    const base = testContext();
    await (await openKeystore('file', base, 'corréct horse')).save(keys.keyId, keys.record);
    const path = join(base.paths.keysDir, `${keys.keyId}.json`);
    expect(readFileSync(path, 'utf8')).not.toContain(String(keys.record.signing));

    const asking = (answer: string) => openKeystore('file', { ...base, askPassphrase: async () => answer });
    expect(await (await asking('corréct horse')).load(keys.keyId)).toEqual(keys.record);
    expect(await failureOf((await asking('wrong')).load(keys.keyId))).toMatchObject({
      code: 'keychain_locked',
    });
    const nobody = await openKeystore('file', base);
    expect(await failureOf(nobody.load(keys.keyId))).toMatchObject({ code: 'keychain_locked' });

    const file = join(dir, 'passphrase');
    writeFileSync(file, 'corréct horse\n', { mode: 0o600 });
    const env = { ...base.env, ONCALL_PASSPHRASE_FILE: file };
    expect(await (await openKeystore('file', { ...base, env })).load(keys.keyId)).toEqual(keys.record);
    chmodSync(file, 0o644);
    const readable = await openKeystore('file', { ...base, env });
    expect(await failureOf(readable.load(keys.keyId))).toMatchObject({ code: 'unsafe_file' });
  });

  test('does not pass one device for another', async () => {
    const context = testContext();
    const [mine, other] = [await createDeviceKeys(), await createDeviceKeys()];
    await (await openKeystore('file', context)).save(mine.keyId, other.record);
    const device = { id: 'dev_1', keyId: mine.keyId, name: 'x', keystore: 'file' as const };
    expect(await failureOf(openDevice(device, context))).toMatchObject({ code: 'corrupt_file' });
  });
});

describe.skipIf(!part('keyring'))('the keychain', () => {
  let keychainChild = '';
  beforeAll(async () => {
    keychainChild = join(tempDir(), 'keychain-child.cjs');
    await build({
      entryPoints: ['src/client/keychain-child.ts'],
      outfile: keychainChild,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['@napi-rs/keyring'],
    });
  });
  const contextOf = ({ env }: TestKeyring) =>
    testContext({
      keychainChild: [process.execPath, keychainChild],
      env: { ...env, NODE_PATH: resolve('node_modules') },
    });

  test('keeps a record where other tools find it, and forgets it', async () => {
    const keyring = await startKeyring({ unlock: true });
    const keystore = await openKeystore('keychain', contextOf(keyring));
    const { keyId, record } = await createDeviceKeys();
    expect(await failureOf(keystore.load(keyId))).toMatchObject({ code: 'not_enrolled' });
    await keystore.save(keyId, record);
    expect(await keystore.load(keyId)).toEqual(record);
    const stored = execFileSync(
      'secret-tool',
      ['lookup', 'service', 'oncall', 'username', `device:${keyId}`],
      {
        env: keyring.env,
        encoding: 'utf8',
      },
    );
    expect(JSON.parse(stored)).toEqual(record);
    await keystore.remove(keyId);
    expect(await failureOf(keystore.load(keyId))).toMatchObject({ code: 'not_enrolled' });
  });

  test('that is locked is locked, neither absent nor empty', async () => {
    const keyring = await startKeyring({ unlock: false });
    const keystore = await openKeystore('keychain', contextOf(keyring));
    const { keyId, record } = await createDeviceKeys();
    expect(await failureOf(keystore.save(keyId, record))).toMatchObject({ code: 'keychain_locked' });
  });

  test('that was locked after the enrolment is locked, and not without keys', async () => {
    const keyring = await startKeyring({ unlock: true });
    const keystore = await openKeystore('keychain', contextOf(keyring));
    const { keyId, record } = await createDeviceKeys();
    await keystore.save(keyId, record);
    const secrets = '/org/freedesktop/secrets';
    const method = 'org.freedesktop.Secret.Service.Lock';
    execFileSync(
      'gdbus',
      [
        ...['call', '--session', '--dest', 'org.freedesktop.secrets', '--object-path', secrets],
        ...['--method', method, `['${secrets}/collection/login']`],
      ],
      { env: keyring.env, stdio: 'ignore' },
    );
    expect(await failureOf(keystore.load(keyId))).toMatchObject({ code: 'keychain_locked' });
  });

  test('that is not there is unavailable', async () => {
    for (const keyring of [withoutBus(), await startBusWithoutKeyring()]) {
      const keystore = await openKeystore('keychain', contextOf(keyring));
      expect(await failureOf(keystore.load('x'))).toMatchObject({ code: 'keychain_unavailable' });
    }
  });

  test('that does not answer is given up, and its process killed', async () => {
    const keyring = await startKeyring({ unlock: true });
    keyring.pause();
    const keystore = createKeychainKeystore(contextOf(keyring), 1_000);
    expect(await failureOf(keystore.load('x'))).toMatchObject({ code: 'keychain_locked' });
    expect(childrenNamed(keychainChild)).toEqual([]);
    keyring.resume();
  });

  test('whose prompt nobody answers, ever, is given up, and its process killed', async () => {
    const script = join(tempDir(), 'hangs.cjs');
    writeFileSync(script, 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)');
    const keystore = createKeychainKeystore(testContext({ keychainChild: [process.execPath, script] }), 300);
    expect(await failureOf(keystore.load('x'))).toMatchObject({ code: 'keychain_locked' });
    expect(childrenNamed(script)).toEqual([]);
  });

  test('whose process dies is unavailable', async () => {
    const script = join(tempDir(), 'dies.cjs');
    writeFileSync(script, 'process.kill(process.pid, "SIGKILL")');
    for (const child of [script, '/nowhere/keychain-child.js']) {
      const keystore = await openKeystore(
        'keychain',
        testContext({ keychainChild: [process.execPath, child] }),
      );
      expect(await failureOf(keystore.load('x'))).toMatchObject({ code: 'keychain_unavailable' });
    }
  });
});

test.each([
  ["Couldn't access platform storage: Secret Service: unlock prompt was dismissed", 'keychain_locked'],
  ['Platform failure: User interaction is not allowed.', 'keychain_locked'],
  [
    'Platform failure: DBus error: Failed to connect to socket /x: No such file or directory',
    'keychain_unavailable',
  ],
  ["Couldn't access platform storage: Secret Service: no result found", 'keychain_unavailable'],
])('the keychain that says %j is told apart', (message, code) => {
  expect(keychainError(message).code).toBe(code);
});

describe('an ssh-agent', () => {
  test.each(['ed25519', 'ecdsa'])('signs with its %s key, and opens the device', async (type) => {
    const agent = await startAgent(type);
    const [key] = await listAgentKeys(agent.env);
    expect(key?.comment).toBe('ana@laptop');
    const { keyId } = await createDeviceKeys(key!.line);
    const context = testContext({ env: agent.env });
    const config = { id: 'dev_1', keyId, name: 'x', keystore: 'ssh-agent' as const, sshAgentKey: key!.line };
    const device = await openDevice(config, context);
    expect(device.signer.keyId).toBe(keyThumbprint(formatPublicKey(parseSshPublicKey(key!.line).key)));
    expect(device.cacheKey).toBeUndefined();
    for (let i = 0; i < 3; i++) {
      const message = Buffer.from(`message ${i}`);
      const signature = await device.signer.sign(message);
      const publicKey = createPublicKey(
        parseSshPublicKey(key!.line).key.export({ type: 'spki', format: 'pem' }),
      );
      expect(signature).toHaveLength(64);
      const isGood =
        type === 'ed25519'
          ? verify(null, message, publicKey, signature)
          : verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
      expect(isGood).toBe(true);
    }
  });

  test('with a second keystore has the keys for the cache', async () => {
    const agent = await startAgent('ed25519');
    const [key] = await listAgentKeys(agent.env);
    const context = testContext({ env: agent.env });
    const { keyId, record } = await createDeviceKeys(key!.line);
    expect(record.signing).toBeNull();
    await (await openKeystore('file', context)).save(keyId, record);
    const device = await openDevice(
      { id: 'd', keyId, name: 'x', keystore: 'ssh-agent', sshAgentKey: key!.line, secondKeystore: 'file' },
      context,
    );
    expect(device.cacheKey).toEqual(Buffer.from(record.cache, 'base64'));
  });

  test('whose P-256 numbers are short still gives 64 bytes', async () => {
    const real = await startAgent('ecdsa');
    const [key] = await listAgentKeys(real.env);
    const signature = Buffer.concat([sshMpint(Buffer.of(0xff)), sshMpint(Buffer.of(2))]);
    const blob = Buffer.concat([sshString('ecdsa-sha2-nistp256'), sshString(signature)]);
    const reply = sshString(Buffer.concat([Buffer.of(14), sshString(blob)]));
    const env = await startFalseAgent(reply);
    const raw = Buffer.alloc(64);
    raw[31] = 0xff;
    raw[63] = 2;
    expect(await signWithAgent(env, key!.line, Buffer.from('x'))).toEqual(raw);
  });

  test('without our key, locked, or with keys of other kinds alone does not sign', async () => {
    const agent = await startAgent('rsa');
    expect(await listAgentKeys(agent.env)).toEqual([]);
    const other = await startAgent('ed25519');
    const [key] = await listAgentKeys(other.env);
    const signed = signWithAgent(agent.env, key!.line, Buffer.from('x'));
    expect(await failureOf(signed)).toMatchObject({ code: 'keychain_locked' });
    execFileSync('ssh-add', ['-D'], { env: other.env, stdio: 'ignore' });
    const removed = signWithAgent(other.env, key!.line, Buffer.from('x'));
    expect(await failureOf(removed)).toMatchObject({ code: 'keychain_locked' });
  });

  test('that is missing, gone or talks nonsense is unavailable', async () => {
    expect(await failureOf(listAgentKeys({}))).toMatchObject({ code: 'keychain_unavailable' });
    const gone = { SSH_AUTH_SOCK: join(tempDir(), 'none') };
    expect(await failureOf(listAgentKeys(gone))).toMatchObject({ code: 'keychain_unavailable' });
    for (const nonsense of [
      Buffer.alloc(8, 0xff),
      Buffer.from([0, 0, 0, 6, 12, 0, 0, 0, 9, 1]),
      Buffer.alloc(0),
    ]) {
      const env = await startFalseAgent(nonsense);
      expect(await failureOf(listAgentKeys(env))).toMatchObject({
        code: 'keychain_unavailable',
      });
    }
  });
});

test.each([
  [
    { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/x' },
    { platform: 'linux', kernel: '', isContainer: false },
    'keychain',
  ],
  [
    { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/x' },
    { platform: 'linux', kernel: '', isContainer: true },
    'file',
  ],
  [{}, { platform: 'linux', kernel: 'Linux 5.15-microsoft-standard-WSL2', isContainer: false }, 'file'],
  [{}, { platform: 'linux', kernel: '', isContainer: false }, 'file'],
  [{}, { platform: 'darwin', kernel: '', isContainer: false }, 'keychain'],
])('a host with %j and %j is told which keystore to choose', (env, facts, keystore) => {
  expect(recommendKeystore(env, facts)).toMatchObject({ keystore, why: expect.stringMatching(/./) });
});

async function startAgent(type: string): Promise<{ env: Record<string, string> }> {
  const dir = tempDir();
  const env = { ...cleanEnvironment(), SSH_AUTH_SOCK: join(dir, 'agent') };
  const agent = startProcess('ssh-agent', ['-D', '-a', env.SSH_AUTH_SOCK], { env, input: '' });
  await agent.waitForOutput('SSH_AUTH_SOCK');
  const bits = type === 'ecdsa' ? ['-b', '256'] : type === 'rsa' ? ['-b', '2048'] : [];
  execFileSync('ssh-keygen', [
    '-q',
    '-t',
    type,
    ...bits,
    '-N',
    '',
    '-C',
    'ana@laptop',
    '-f',
    join(dir, 'key'),
  ]);
  execFileSync('ssh-add', [join(dir, 'key')], { env, stdio: 'ignore' });
  return { env };
}

/** Answers whatever it is asked with the same bytes, and hangs up. */
async function startFalseAgent(reply: Uint8Array): Promise<{ SSH_AUTH_SOCK: string }> {
  const path = join(tempDir(), 'agent');
  const server = createServer((socket) => socket.end(reply));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  atEnd(() => void server.close());
  return { SSH_AUTH_SOCK: path };
}

function childrenNamed(script: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(script);
    } catch {
      return false;
    }
  });
}
