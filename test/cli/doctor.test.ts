// `oncall doctor` on machines that are well, and on such as have each one thing wrong with them: it is found and named, with
// something to type, and all else is still seen.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Check, failed, well } from '../../src/cli/doctor/check.ts';
import { CHECKS } from '../../src/cli/doctor/checks.ts';
import { examine, mend } from '../../src/cli/doctor/examine.ts';
import { loadLocks, openLockFile } from '../../src/client/lock.ts';
import { formatBlock } from '../../src/client/marked-block.ts';
import { atEnd } from '../support/at-end.ts';
import { type Installation, install } from '../support/installation.ts';
import { startKeyring, withoutBus } from '../support/keyring.ts';
import { part } from '../support/parts.ts';
import { type CliOptions, runCli } from '../support/process.ts';
import { freePort, tempDir } from '../support/temp.ts';
import { memoryScreen, stageContext } from './stage.ts';

interface Line {
  check: string;
  level: 'ok' | 'warn' | 'fail';
  says: string;
  fix: string | null;
  canMend: boolean;
}

interface Report {
  code: number | null;
  ok: boolean;
  lines: Line[];
  mended: { check: string; did: string }[];
  /** The worst of each check. */
  levels: Record<string, Line['level']>;
  saying(check: string): string;
}

async function doctor(home: string, options: CliOptions & { args?: string[] } = {}): Promise<Report> {
  const { args = [], ...rest } = options;
  const env = { SHELL: '/bin/bash', ...rest.env };
  const result = await runCli(['doctor', '--json', ...args], { home, ...rest, env });
  expect({ stderr: result.stderr }).toEqual({ stderr: '' });
  const { schema, ok, checks, mended } = result.json() as {
    schema: string;
    ok: boolean;
    checks: Line[];
    mended: Report['mended'];
  };
  expect(schema).toBe('oncall.doctor/v1');
  const order = ['ok', 'warn', 'fail'];
  const levels: Report['levels'] = {};
  for (const { check, level } of checks) {
    const worst = levels[check] ?? 'ok';
    levels[check] = order.indexOf(level) > order.indexOf(worst) ? level : worst;
  }
  // Whatever is wrong: no check is missing, none is well with a fix or unwell without, and the code says what the lines say.
  expect(Object.keys(levels).sort()).toEqual(CHECKS.map(({ name }) => name).sort());
  expect(checks.filter(({ level, fix }) => (level === 'ok') !== (fix === null))).toEqual([]);
  const hasFailed = checks.some(({ level }) => level === 'fail');
  expect({ code: result.code, ok }).toEqual({ code: hasFailed ? 1 : 0, ok: !hasFailed });
  const saying = (name: string) =>
    checks.flatMap(({ check, says }) => (check === name ? [says] : [])).join('\n');
  return { code: result.code, ok, lines: checks, mended, levels, saying };
}

let broker: Installation;
/** Enrolled, with completion in its place and everything fetched. */
let home: string;
const configFile = () => join(home, 'oncall/config/config.yaml');

async function enroll(user: string, folder: string): Promise<void> {
  const paste = ['enroll', await broker.invite(user), '--keystore', 'file'];
  expect(await runCli(paste, { home: folder })).toMatchObject({ code: 0 });
}

/** A copy of the enrolled home whose configuration is another text. */
function withConfig(change: (text: string) => string): string {
  const other = tempDir();
  mkdirSync(join(other, 'oncall/config'), { recursive: true, mode: 0o700 });
  mkdirSync(join(other, 'oncall/state'), { mode: 0o700 });
  symlinkSync(join(home, 'oncall/state/keys'), join(other, 'oncall/state/keys'));
  writeFileSync(join(other, 'oncall/config/config.yaml'), change(readFileSync(configFile(), 'utf8')), {
    mode: 0o600,
  });
  return other;
}

beforeAll(async () => {
  broker = await install({ tls: true });
  await broker.start();
  home = tempDir();
  await enroll('ana', home);
  expect(await runCli(['status', '--refresh'], { home })).toMatchObject({ code: 0 });
  const completion = join(home, '.local/share/bash-completion/completions/oncall');
  mkdirSync(dirname(completion), { recursive: true });
  writeFileSync(completion, '');
});

describe('a machine that is well', () => {
  it('has no line that is not ok, and ends with 0', async () => {
    const { code, lines, saying } = await doctor(home);
    expect(lines.filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(code).toBe(0);
    expect(saying('configuration')).toContain(`ana at ${broker.url}`);
    expect(saying('tls')).toContain('pinned');
    expect(saying('shift')).toContain('orders-primary');
  });

  it('is told so in words', async () => {
    const { code, stdout } = await runCli(['doctor'], { home, env: { SHELL: '/bin/bash' } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok {4}keystore +file: open/m);
    expect(stdout).toMatch(/^all is well$/m);
  });
});

describe('without a configuration', () => {
  it('names what to type, looks at all else, and makes nothing', async () => {
    const empty = tempDir();
    const { levels, lines } = await doctor(empty);
    expect(levels).toMatchObject({
      oncall: 'ok',
      home: 'ok',
      configuration: 'fail',
      files: 'ok',
      agent: 'ok',
    });
    expect(levels).toMatchObject({ keystore: 'warn', broker: 'warn', device: 'warn', completion: 'warn' });
    expect(lines.find(({ check }) => check === 'configuration')?.fix).toContain('oncall enroll');
    expect(readdirSync(empty)).toEqual([]);
  });

  it('says in one line what could not be checked for one reason', async () => {
    const { stdout } = await runCli(['doctor'], { home: tempDir() });
    expect(stdout.match(/not checked/g)).toHaveLength(1);
    expect(stdout).toMatch(/not checked.*keystore, broker, endpoints, tls/);
  });

  it('knows of an enrolment that was begun', async () => {
    const begun = tempDir();
    mkdirSync(join(begun, 'oncall/state'), { recursive: true, mode: 0o700 });
    writeFileSync(join(begun, 'oncall/state/enrolling.json'), '{}', { mode: 0o600 });
    expect((await doctor(begun)).saying('configuration')).toContain('not finished');
  });

  it('works without a home folder', async () => {
    const env = { HOME: undefined, ONCALL_HOME: undefined, USERPROFILE: undefined };
    const { levels } = await doctor(tempDir(), { env });
    expect(levels).toMatchObject({ oncall: 'ok', home: 'fail', configuration: 'warn', files: 'warn' });
  });

  it('looks at the profile that was named', async () => {
    const { saying, lines } = await doctor(home, { args: ['--profile', 'staging'] });
    expect(saying('configuration')).toContain('staging');
    expect(lines.find(({ check }) => check === 'configuration')?.fix).toContain('--profile staging');
  });
});

describe('a configuration', () => {
  it.each([
    ['that is none', () => 'nonsense: [', 'not YAML'],
    ['of a newer version', (text: string) => text.replace('"version": 1', '"version": 2'), 'newer'],
    ['with a key that nobody knows', (text: string) => text.replace('"user"', '"usr"'), 'usr'],
  ])('%s fails, and hides nothing else', async (_name, change, words) => {
    const { levels, saying } = await doctor(withConfig(change));
    expect(levels).toMatchObject({
      configuration: 'fail',
      files: 'ok',
      agent: 'ok',
      tools: 'ok',
      broker: 'warn',
    });
    expect(saying('configuration')).toContain(words);
  });

  it('that others can write fails, and --fix closes it', async () => {
    const other = withConfig((text) => text);
    const file = join(other, 'oncall/config/config.yaml');
    chmodSync(file, 0o666);
    const before = await doctor(other);
    expect(before.levels).toMatchObject({ configuration: 'fail', files: 'fail' });
    const after = await doctor(other, { args: ['--fix'] });
    expect(after.levels).toMatchObject({ configuration: 'ok', files: 'ok', broker: 'ok', device: 'ok' });
    expect(after.mended).toEqual([
      { check: 'files', did: `chmod 600 ${file}` },
      { check: 'status', did: 'oncall status --refresh' },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

describe('the broker', () => {
  const to = (url: string) => withConfig((text) => text.replace(/"broker": "[^"]*"/, `"broker": "${url}/"`));

  it('that is down fails; what is here is looked at all the same', async () => {
    const { levels, saying } = await doctor(to(`https://127.0.0.1:${await freePort()}`));
    expect(levels).toMatchObject({
      broker: 'fail',
      tls: 'warn',
      clock: 'warn',
      device: 'warn',
      shift: 'warn',
    });
    expect(levels).toMatchObject({ configuration: 'ok', keystore: 'ok', files: 'ok' });
    expect(saying('broker')).toContain('refuses connections');
  });

  it.each(['https', 'http'])(
    'that takes a connection over %s and says nothing is given up',
    async (scheme) => {
      const silent = createServer(() => undefined);
      const port = await listening(silent);
      const { levels } = await doctor(to(`${scheme}://127.0.0.1:${port}`));
      expect(levels).toMatchObject({ broker: 'fail', device: 'warn', keystore: 'ok' });
    },
  );

  it('that is another one is not trusted, and hears nothing of this device', async () => {
    const other = await install({ tls: true });
    await other.start();
    const { levels, lines } = await doctor(to(other.url));
    expect(levels).toMatchObject({ tls: 'fail', broker: 'warn', device: 'warn', keystore: 'ok' });
    expect(lines.find(({ check }) => check === 'tls')?.fix).toContain('proxy');
    expect(other.log.filter((line) => line.includes('/v1/'))).toEqual([]);
  });

  it('of several addresses: one that is down is named, and all else is asked at the others', async () => {
    const here = withConfig((text) => text);
    const down = `${broker.url.replace(/:\d+$/, '')}:${await freePort()}/`;
    const endpoints = [down, `${broker.url}/`];
    const file = { version: 1, endpoints, failing: {}, unreachableSince: null };
    writeFileSync(join(here, 'oncall/state/endpoints.json'), JSON.stringify(file), { mode: 0o600 });
    const { levels, lines } = await doctor(here);
    expect(levels).toMatchObject({ broker: 'ok', endpoints: 'warn', tls: 'ok', clock: 'ok', device: 'ok' });
    const found = lines.filter(({ check }) => check === 'endpoints');
    expect(found.map(({ level }) => level)).toEqual(['warn', 'ok']);
    expect(found[0]).toMatchObject({
      says: expect.stringContaining(down),
      fix: expect.stringContaining(down),
    });
  });

  it('on loopback, without TLS, must be the one that was pinned as well', async () => {
    const plain = await install();
    await plain.start();
    const { levels } = await doctor(to(plain.url));
    expect(levels).toMatchObject({ tls: 'ok', broker: 'fail', device: 'warn' });
  });

  it('whose clock and version are others is told from one that is away', async () => {
    const late = await install({ tls: true });
    // The same keys, on another port and with another clock.
    const { port } = new URL(late.url);
    const text = broker.read('broker.yaml').replaceAll(new URL(broker.url).port, port);
    const folder = join(tempDir(), 'broker');
    await copyBroker(broker.directory, folder);
    writeFileSync(join(folder, 'broker.yaml'), text, { mode: 0o600 });
    const { startBroker } = await import('../../src/broker/broker.ts');
    const now = () => Date.now() + 300_000;
    const running = await startBroker({ directory: folder, version: '9.9.9', env: {}, now, log: () => {} });
    atEnd(() => running.stop());
    const { levels, saying, lines } = await doctor(to(late.url));
    expect(levels).toMatchObject({ broker: 'ok', clock: 'fail', versions: 'warn', device: 'ok' });
    expect(saying('clock')).toMatch(/your clock is (4m59s|5m|5m1s) slow/);
    expect(lines.find(({ check }) => check === 'versions')?.fix).toMatch(/^update this machine: .*@9\.9\.9$/);
  });
});

describe('the keys of this device', () => {
  it('that are gone fail, and lead to no second enrolment', async () => {
    const without = withConfig((text) => text);
    rmSync(join(without, 'oncall/state/keys'));
    const { levels, lines } = await doctor(without);
    expect(levels).toMatchObject({ keystore: 'fail', broker: 'ok', tls: 'ok', device: 'warn' });
    expect(lines.find(({ check }) => check === 'keystore')?.fix).toContain('restore');
  });

  it.skipIf(!part('keyring'))(
    'behind a locked keychain fail as locked, and nothing waits for it',
    async () => {
      const keyring = await startKeyring({ unlock: true });
      atEnd(() => keyring.stop());
      const other = withConfig((text) => text.replace('"keystore": "file"', '"keystore": "keychain"'));
      storeSecret(keyring.env);
      const { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR, XDG_DATA_HOME } = keyring.env;
      const env = { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR, XDG_DATA_HOME };
      expect((await doctor(other, { env })).levels).toMatchObject({ keystore: 'ok', device: 'ok' });
      lockKeyring(keyring.env);
      const locked = await doctor(other, { env });
      expect(locked.levels).toMatchObject({ keystore: 'fail', broker: 'ok', clock: 'ok', device: 'warn' });
      expect(locked.saying('keystore')).toContain('locked');
      const none = withoutBus();
      const absent = await doctor(other, { env: { XDG_RUNTIME_DIR: none.env.XDG_RUNTIME_DIR } });
      expect(absent.levels).toMatchObject({ keystore: 'fail', broker: 'ok', device: 'warn' });
      expect(absent.saying('keystore')).toContain('no keychain');
    },
  );
});

describe('files', () => {
  it('that others can read or write are named with their modes, and --fix closes them and nothing else', async () => {
    const here = tempDir();
    await enroll('ben', here);
    const [state, config] = [join(here, 'oncall/state'), join(here, 'oncall/config/config.yaml')];
    const [key] = readdirSync(join(state, 'keys')).map((name) => join(state, 'keys', name));
    const content = readFileSync(key!);
    chmodSync(key!, 0o644);
    chmodSync(state, 0o755);
    const outside = join(tempDir(), 'theirs');
    writeFileSync(outside, 'x', { mode: 0o644 });
    symlinkSync(outside, join(state, 'a-link'));
    const before = await doctor(here);
    expect(before.levels).toMatchObject({ files: 'warn', keystore: 'fail' });
    const named = before.lines.filter(({ check }) => check === 'files').map(({ fix }) => fix);
    expect(named.sort()).toEqual([`chmod 600 ${key}`, `chmod 700 ${state}`]);
    const after = await doctor(here, { args: ['--fix'] });
    expect(after.levels).toMatchObject({ files: 'ok', keystore: 'ok', names: 'ok' });
    const modes = [key!, state, outside, config].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o600, 0o700, 0o644, 0o600]);
    expect(readFileSync(key!)).toEqual(content);
  });

  it.skipIf(process.getuid?.() !== 0)('of somebody else are named, and left alone', async () => {
    const here = withConfig((text) => text);
    const file = join(here, 'oncall/state/foreign');
    writeFileSync(file, '', { mode: 0o666 });
    chownSync(file, 65534, 65534);
    const { levels, saying } = await doctor(here, { args: ['--fix'] });
    expect(levels.files).toBe('fail');
    expect(saying('files')).toContain(`${file} belongs to somebody else`);
    expect(statSync(file)).toMatchObject({
      uid: 65534,
      mode: expect.toSatisfy((mode) => (mode & 0o777) === 0o644 || (mode & 0o777) === 0o666),
    });
  });

  it('below a folder that others can write are warned of', async () => {
    const open = tempDir();
    const here = join(open, 'home');
    mkdirSync(here, { mode: 0o777 });
    chmodSync(here, 0o777);
    const { levels, lines } = await doctor(here, { env: { ONCALL_HOME: join(here, 'oncall') } });
    expect(levels.files).toBe('warn');
    expect(lines.find(({ check }) => check === 'files')).toMatchObject({
      fix: `chmod go-w ${here}`,
      canMend: false,
    });
  });
});

describe('what can be had again', () => {
  it('names for completion and the status: --fix fetches them', async () => {
    const here = tempDir();
    await enroll('carla', here);
    rmSync(join(here, 'oncall/cache'), { recursive: true, force: true });
    writeFileSync(join(here, 'oncall/state/status.json'), '{ half of', { mode: 0o600 });
    expect((await doctor(here)).levels).toMatchObject({ status: 'warn', names: 'warn' });
    const { levels, mended } = await doctor(here, { args: ['--fix'] });
    expect(levels).toMatchObject({ status: 'ok', names: 'ok' });
    // Once: it is one and the same.
    expect(mended).toEqual([{ check: 'status', did: 'oncall status --refresh' }]);
    expect(existsSync(join(here, 'oncall/cache/complete/resources'))).toBe(true);
  });

  it('that cannot be mended is said, and fails', async () => {
    const here = withConfig((text) => text.replace(/"broker": "[^"]*"/, '"broker": "https://127.0.0.1:1/"'));
    const { levels, saying } = await doctor(here, { args: ['--fix'] });
    expect(levels).toMatchObject({ status: 'fail', names: 'warn' });
    expect(saying('status')).toContain('cannot be mended');
  });

  it('blocks of oncall setup: an old one is written anew, an edited one is left', async () => {
    const here = withConfig((text) => text);
    const ssh = join(here, '.ssh/config');
    const rc = join(here, '.bashrc');
    for (const tool of ['ssh', 'redis'])
      expect(
        await runCli(['setup', tool, '--write'], { home: here, env: { SHELL: '/bin/bash' } }),
      ).toMatchObject({ code: 0 });
    const current = readFileSync(ssh, 'utf8');
    expect((await doctor(here)).saying('tools')).toBe('set up: ssh, redis');
    writeFileSync(ssh, formatBlock(['Include /of/an/older/version'], { name: 'ssh', comment: '#' }));
    const edited = readFileSync(rc, 'utf8').replace('redis-cli', 'my-own-redis-cli');
    writeFileSync(rc, edited);
    expect((await doctor(here)).levels.tools).toBe('warn');
    const { lines, mended } = await doctor(here, { args: ['--fix'] });
    expect(mended).toContainEqual({ check: 'tools', did: 'oncall setup ssh --write' });
    expect(lines.filter(({ check, level }) => check === 'tools' && level !== 'ok')).toMatchObject([
      { fix: 'oncall setup redis --write --force', canMend: false },
    ]);
    expect(readFileSync(ssh, 'utf8')).toBe(current.replace(' (made this file)', ''));
    expect(readFileSync(rc, 'utf8')).toBe(edited);
  });
});

describe('the agent', () => {
  const on = { ONCALL_AGENT: 'on' };
  const folder = (here: string) => join(here, 'oncall/run');
  function withRun(): string {
    const here = withConfig((text) => text);
    mkdirSync(folder(here), { mode: 0o700 });
    mkdirSync(join(here, 'oncall/state/locks'), { mode: 0o700 });
    return here;
  }

  it('that was killed has left its socket, which --fix removes', async () => {
    const here = withRun();
    const socket = join(folder(here), 'agent.sock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${socket}.1`, resolve));
    renameSync(`${socket}.1`, socket);
    await new Promise((resolve) => server.close(resolve));
    expect((await doctor(here, { env: on })).levels.agent).toBe('warn');
    const { levels, mended } = await doctor(here, { env: on, args: ['--fix'] });
    // Where packs are due, a command that has reached the broker starts an agent: a socket that is there now is a living one's.
    expect(levels.agent).toBe('ok');
    expect(mended).toContainEqual({ check: 'agent', did: `removed ${socket}` });
  });

  it('that hangs fails, and its socket stays', async () => {
    const here = withRun();
    const socket = join(folder(here), 'agent.sock');
    const lock = openLockFile(join(here, 'oncall/state/locks/agent'));
    expect((await loadLocks()).tryLock(lock)).toBe(true);
    const server = createServer(() => undefined);
    atEnd(() => void server.close());
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const { levels } = await doctor(here, { env: on, args: ['--fix'] });
    expect({ level: levels.agent, there: existsSync(socket) }).toEqual({ level: 'fail', there: true });
  });

  it('of another version is named, and does not speak for this device', async () => {
    const here = withRun();
    const greeting = {
      schema: 'oncall.agent/v1',
      pid: 4711,
      version: '9.9.9',
      profile: 'default',
      holdsKey: true,
    };
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(`${JSON.stringify(greeting)}\n`);
      socket.once('data', () => socket.end(`${JSON.stringify({ ok: true, value: {}, skewMs: 0 })}\n`));
    });
    atEnd(() => void server.close());
    await new Promise<void>((resolve) => server.listen(join(folder(here), 'agent.sock'), resolve));
    const { levels, saying } = await doctor(here, { env: on });
    expect(levels).toMatchObject({ agent: 'warn', device: 'ok' });
    expect(saying('agent')).toContain('4711 in version 9.9.9');
  });
});

// Last: nothing is enrolled as ana from here on.
describe('a device that was revoked', () => {
  it('fails as one that the broker does not take; the broker itself is well', async () => {
    const admin = tempDir();
    await enroll('dora', admin);
    const id = /"id": "(dev_\w+)"/.exec(readFileSync(configFile(), 'utf8'))?.[1] ?? '';
    expect(await runCli(['devices', 'revoke', id], { home: admin })).toMatchObject({ code: 0 });
    const { levels, lines } = await doctor(home);
    expect(levels).toMatchObject({
      broker: 'ok',
      tls: 'ok',
      clock: 'ok',
      keystore: 'ok',
      device: 'fail',
      shift: 'warn',
    });
    expect(lines.find(({ check }) => check === 'device')?.fix).toContain('invitation');
  });
});

describe('a check', () => {
  const screen = memoryScreen(false).screen;
  const io = { stdout: screen, stderr: screen, stdin: { isTerminal: false, stream: undefined } };
  const context = () => stageContext(io, { ONCALL_HOME: tempDir() }, {}, [], 'table');

  it('that breaks, or never ends, hides no other', async () => {
    const checks: Check[] = [
      { name: 'breaks', look: () => Promise.reject(new TypeError('a secret of ours')) },
      {
        name: 'breaks at once',
        look() {
          throw new Error('also');
        },
      },
      { name: 'hangs', look: () => new Promise(() => {}) },
      { name: 'is well', look: () => [well('fine')] },
    ];
    const examined = await examine(context(), checks, 50);
    expect(examined.map(({ check, findings }) => [check, findings.map(({ level }) => level)])).toEqual([
      ['breaks', ['fail']],
      ['breaks at once', ['fail']],
      ['hangs', ['warn']],
      ['is well', ['ok']],
    ]);
    expect(JSON.stringify(examined)).not.toContain('a secret of ours');
  });

  it('whose mending breaks stops no other, and is made anew', async () => {
    let isBroken = true;
    const repaired = async () => {
      isBroken = false;
      return 'repaired';
    };
    const checks: Check[] = [
      { name: 'cannot', look: () => [failed('bad', 'type this', () => Promise.reject(new Error('no')))] },
      { name: 'can', look: () => (isBroken ? [failed('bad', 'type that', repaired)] : [well('fine')]) },
    ];
    const { examined, mended } = await mend(context(), checks, await examine(context(), checks));
    expect(mended).toEqual([{ check: 'can', did: 'repaired' }]);
    expect(examined.map(({ findings }) => findings.map(({ level }) => level))).toEqual([
      ['fail', 'fail'],
      ['ok'],
    ]);
  });
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The keys of the enrolled home, as enrolment would have left them in a keychain. */
function storeSecret(env: Record<string, string>): void {
  const [name = ''] = readdirSync(join(home, 'oncall/state/keys'));
  const record = JSON.stringify(JSON.parse(readFileSync(join(home, 'oncall/state/keys', name), 'utf8')));
  const question = {
    op: 'set',
    service: 'oncall',
    account: `device:${name.replace('.json', '')}`,
    secret: record,
  };
  execFileSync(process.execPath, ['dist/keychain-child.js'], { env, input: JSON.stringify(question) });
}

function lockKeyring(env: Record<string, string>): void {
  const secrets = '/org/freedesktop/secrets';
  const call = ['call', '--session', '--dest', 'org.freedesktop.secrets', '--object-path', secrets];
  const lock = ['--method', 'org.freedesktop.Secret.Service.Lock', `['${secrets}/collection/login']`];
  execFileSync('gdbus', [...call, ...lock], { env, stdio: 'ignore' });
}

async function copyBroker(from: string, to: string): Promise<void> {
  const { cp } = await import('node:fs/promises');
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith('.lock') });
}
