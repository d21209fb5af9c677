// Where a device's keys rest: a real gnome-keyring, a real ssh-agent, and what each command says when they are shut or gone.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DeviceList, RequestView } from '../../src/protocol/messages.ts';
import { startBusWithoutKeyring, startKeyring, type TestKeyring, withoutBus } from '../support/keyring.ts';
import { part } from '../support/parts.ts';
import { runCli, startProcess } from '../support/process.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { freePort, tempDir } from '../support/temp.ts';
import { createWorld, errorOf, NO_HOST_KEY, PEOPLE, sshResource, succeeded, type World } from './world.ts';

let world: World;

beforeAll(async () => {
  const host = { host: '127.0.0.1', port: await freePort() };
  world = await createWorld(`${PEOPLE}\nresources:${sshResource(host, SSH_LOGIN, NO_HOST_KEY)}`);
  await world.serve();
  await world.enroll('dora');
  succeeded(await world.as('dora', 'incident declare P1-1 --service orders --priority P1'));
}, 60_000);

interface Machine {
  env: Record<string, string>;
  home: string;
}

const on = ({ env, home }: Machine, ...args: string[]) => runCli(args, { env, home });

async function requests(machine: Machine): Promise<RequestView> {
  const asked = succeeded(await on(machine, 'request', 'db-host', '-i', 'P1-1', '--json'));
  return (asked.json() as { request: RequestView }).request;
}

/** How many devices a person has at the broker. */
async function deviceCount(user: string): Promise<number> {
  return (await world.json<DeviceList>('dora', `devices list --user ${user}`)).devices.length;
}

describe.skipIf(!part('keyring'))('the keychain', () => {
  // Named, because a container is told to choose by itself.
  const enrolOn = (machine: Machine, invitation: string) =>
    on(machine, 'enroll', invitation, '--keystore', 'keychain', '--json');
  /** Labels and secrets of what another tool finds there under our service. */
  const stored = (machine: Machine) =>
    execFileSync('secret-tool', ['search', '--all', 'service', 'oncall'], {
      env: machine.env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });

  function lock({ env }: TestKeyring): void {
    const call = ['call', '--session', '--dest', 'org.freedesktop.secrets'];
    const path = ['--object-path', '/org/freedesktop/secrets'];
    const method = ['--method', 'org.freedesktop.Secret.Service.Lock'];
    const what = "['/org/freedesktop/secrets/collection/login']";
    execFileSync('gdbus', [...call, ...path, ...method, what], { env, stdio: 'ignore' });
  }

  it('holds the keys of a device that works, and is not taken for empty when it is shut', async () => {
    const keyring = await startKeyring({ unlock: true });
    const state = join(keyring.home, 'oncall/state');
    const enrolled = await enrolOn(keyring, await world.invite('ana'));
    expect(succeeded(enrolled).json()).toMatchObject({ user: 'ana', device: { keystore: 'keychain' } });
    expect(stored(keyring)).toContain('@oncall');
    expect(existsSync(join(state, 'keys'))).toBe(false);
    expect(await requests(keyring)).toMatchObject({ state: 'granted' });
    succeeded(await on(keyring, 'run', 'db-host', '--', 'true'));

    const invitation = await world.invite('ana');
    const before = await deviceCount('ana');
    lock(keyring);
    for (const args of [['whoami'], ['request', 'db-host', '-i', 'P1-1'], ['run', 'db-host', '--', 'true']]) {
      const shut = await on(keyring, ...args, '--json');
      const code = args[0] === 'run' ? 125 : 9;
      expect({ args, code: shut.code }).toEqual({ args, code });
    }
    // Plain status needs no key.
    succeeded(await on(keyring, 'status'));
    // What is shut is not taken for what is not there: the device stays the one it was.
    expect((await enrolOn(keyring, invitation)).code).toBe(1);
    expect(await deviceCount('ana')).toBe(before);
  });

  it('that is shut from the beginning enrols nobody and spends no invitation', async () => {
    const keyring = await startKeyring({ unlock: false });
    const invitation = await world.invite('carla');
    const enrolled = await enrolOn(keyring, invitation);
    expect({ code: enrolled.code, error: errorOf(enrolled) }).toEqual({ code: 9, error: 'keychain_locked' });
    expect(await deviceCount('carla')).toBe(0);
    succeeded(await world.as('carla', `enroll ${invitation} --keystore file`));
    expect(await deviceCount('carla')).toBe(1);
  });

  it('that is not there is said, with what to type instead', async () => {
    const invitation = await world.invite('ben');
    for (const machine of [withoutBus(), await startBusWithoutKeyring()]) {
      const enrolled = await enrolOn(machine, invitation);
      expect({ code: enrolled.code, error: errorOf(enrolled) }).toEqual({
        code: 1,
        error: 'keychain_unavailable',
      });
    }
    const unasked = await on(withoutBus(), 'enroll', invitation);
    expect(unasked.code).toBe(1);
    expect(unasked.stderr).toContain('--keystore file');
    expect(await deviceCount('ben')).toBe(0);
  });

  it('gives up the keys of the very device that is revoked, and the machine can be enrolled again', async () => {
    const keyring = await startKeyring({ unlock: true });
    const enrolled = succeeded(await enrolOn(keyring, await world.invite('ana')));
    const { device } = enrolled.json() as { device: { id: string } };
    await requests(keyring);
    const revoked = await on(keyring, 'devices', 'revoke', device.id, '--json');
    expect(succeeded(revoked).json()).toMatchObject({ device: { id: device.id, state: 'revoked' } });
    expect(stored(keyring)).not.toContain('@oncall');
    const oncall = join(keyring.home, 'oncall');
    for (const gone of ['config/config.yaml', 'run', 'state/credentials', 'state/status.json'])
      expect({ gone, there: existsSync(join(oncall, gone)) }).toEqual({ gone, there: false });
    expect((await on(keyring, 'whoami')).code).toBe(4);
    expect((await on(keyring, 'status')).code).toBe(4);
    succeeded(await enrolOn(keyring, await world.invite('ana')));
    expect(await requests(keyring)).toMatchObject({ state: 'granted' });
  });
});

describe('a code', () => {
  it('for one’s next device works once, and all of the person’s devices are told', async () => {
    const [first, second, third] = [tempDir(), tempDir(), tempDir()].map((home) => ({ env: {}, home }));
    const enrol = (machine: Machine, url: string) =>
      on(machine, 'enroll', url, '--keystore', 'file', '--name', 'tablet', '--json');
    succeeded(await enrol(first!, await world.invite('sam')));
    const { url } = succeeded(await on(first!, 'devices', 'add', '--json')).json() as { url: string };
    expect(succeeded(await enrol(second!, url)).json()).toMatchObject({ user: 'sam' });
    expect((await enrol(third!, url)).code).toBe(4);
    expect(await deviceCount('sam')).toBe(2);
    const { notices } = succeeded(await on(first!, 'whoami', '--json')).json() as {
      notices: { text: string }[];
    };
    expect(notices.map(({ text }) => text).join()).toContain('tablet');
  });

  it('that was guessed, or belongs to another broker, enrols nobody', async () => {
    const url = await world.invite('sam');
    const guess = `${url.slice(0, -6)}${url.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA'}`;
    expect((await on({ env: {}, home: tempDir() }, 'enroll', guess, '--keystore', 'file')).code).not.toBe(0);
    const other = await createWorld(`${PEOPLE}\nresources: {}\n`);
    await other.serve();
    const moved = `${other.url}/${url.slice(url.indexOf('#'))}`;
    const machine = { env: {}, home: tempDir() };
    expect((await on(machine, 'enroll', moved, '--keystore', 'file')).code).not.toBe(0);
    expect(existsSync(join(machine.home, 'oncall/config/config.yaml'))).toBe(false);
    // The code itself is as good as before.
    succeeded(await on(machine, 'enroll', url, '--keystore', 'file'));
  });
});

describe('files', () => {
  it('go from the machine with the device that is revoked at it', async () => {
    const here = { env: {}, home: tempDir() };
    const url = await world.invite('ben');
    const { device } = succeeded(await on(here, 'enroll', url, '--keystore', 'file', '--json')).json() as {
      device: { id: string };
    };
    const keys = join(here.home, 'oncall/state/keys');
    expect(execFileSync('find', [keys, '-type', 'f'], { encoding: 'utf8' })).not.toBe('');
    succeeded(await on(here, 'devices', 'revoke', device.id));
    expect(execFileSync('find', [join(here.home, 'oncall'), '-path', '*keys/*'], { encoding: 'utf8' })).toBe(
      '',
    );
    expect((await on(here, 'whoami')).code).toBe(4);
  });
});

describe.skipIf(!part('sshd'))('an ssh-agent', () => {
  it.each(['ed25519', 'ecdsa'])('signs with the %s key it holds, and nothing without it', async (type) => {
    const home = tempDir();
    const folder = tempDir();
    const env = { SSH_AUTH_SOCK: join(folder, 'agent') };
    const machine = { env, home };
    const agent = startProcess('ssh-agent', ['-D', '-a', env.SSH_AUTH_SOCK], { input: '' });
    await agent.waitForOutput('SSH_AUTH_SOCK');
    const key = join(folder, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', `ana@${type}`, '-f', key]);
    const full = { env: { ...process.env, ...env }, stdio: 'ignore' as const };
    execFileSync('ssh-add', [key], full);

    const url = await world.invite('ana');
    const enrolled = await on(machine, 'enroll', url, '--keystore', 'ssh-agent', '--json');
    expect(succeeded(enrolled).json()).toMatchObject({
      device: { keystore: 'ssh-agent' },
      cachesAtRest: false,
    });
    expect(await requests(machine)).toMatchObject({ state: 'granted' });
    succeeded(await on(machine, 'run', 'db-host', '--', 'true'));
    // Nothing secret rests here.
    expect(existsSync(join(home, 'oncall/state/keys'))).toBe(false);
    expect(existsSync(join(home, 'oncall/state/credentials'))).toBe(false);

    execFileSync('ssh-add', ['-D'], full);
    const empty = await on(machine, 'whoami', '--json');
    expect({ code: empty.code, error: errorOf(empty) }).toEqual({ code: 9, error: 'keychain_locked' });
    await agent.stop();
    const gone = await on(machine, 'whoami', '--json');
    expect({ code: gone.code, error: errorOf(gone) }).toEqual({ code: 1, error: 'keychain_unavailable' });
  });
});
