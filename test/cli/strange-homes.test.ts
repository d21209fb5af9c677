// Homes that a person may have and nobody thinks of: none, one that cannot be written, one with a name that shells and tools trip
// over, one that an older or a newer version has left, one that two commands use at once.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DeviceList } from '../../src/protocol/messages.ts';
import { atEnd } from '../support/at-end.ts';
import { part } from '../support/parts.ts';
import { type CliResult, runCli } from '../support/process.ts';
import { canMount } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { startTeam, type Team } from './team.ts';

let team: Team;
beforeAll(async () => {
  team = await startTeam();
});

/** An error of ours in two lines: no stack, nothing internal, and something to type. */
function expectRefused({ code, stdout, stderr }: CliResult, expected: { code: number; says: string }): void {
  expect({ code, stdout, stderr }).toEqual({
    code: expected.code,
    stdout: '',
    stderr: expect.stringMatching(/^oncall: error: .*\noncall: hint: .*\n$/),
  });
  expect(stderr).toContain(expected.says);
}

describe('no home folder', () => {
  const env = { HOME: undefined, USERPROFILE: undefined, ONCALL_HOME: undefined, XDG_CONFIG_HOME: undefined };

  it.each([
    ['status'],
    ['whoami'],
    ['request db-host -i P1-1'],
    ['resources'],

    ['agent status'],
  ])('%s says which variable is missing', async (words) => {
    expectRefused(await runCli(words.split(' '), { env }), { code: 1, says: 'HOME' });
  });

  it('keeps nobody from the help and the version, nor from a folder that ONCALL_HOME names', async () => {
    expect(await runCli(['--help'], { env })).toMatchObject({ code: 0, stderr: '' });
    expect(await runCli(['--version'], { env })).toMatchObject({ code: 0, stderr: '' });
    const named = { ...env, ONCALL_HOME: join(team.home.ana!, 'oncall') };
    expect(await runCli(['whoami'], { env: named })).toMatchObject({ code: 0, stderr: '' });
  });

  it('that is a relative path is none, and one that is a file is refused', async () => {
    const relative = { ...env, HOME: 'somewhere' };
    expectRefused(await runCli(['whoami'], { env: relative }), { code: 1, says: 'HOME' });
    const file = join(tempDir(), 'file');
    writeFileSync(file, '');
    const paste = ['enroll', await team.broker.invite('ben'), '--keystore', 'file'];
    expectRefused(await runCli(paste, { env: { ...env, HOME: file } }), { code: 1, says: file });
  });
});

describe.skipIf(!canMount())('a home that cannot be written', () => {
  /** Ana's own, as it is on a disk that went read-only. */
  function readOnly(): string {
    const home = tempDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', home]);
    atEnd(() => void execFileSync('umount', [home]));
    execFileSync('cp', ['-a', join(team.home.ana!, 'oncall'), home]);
    execFileSync('mount', ['-o', 'remount,ro', home]);
    return home;
  }

  it('still shows what there is, and what the broker says', async () => {
    const home = readOnly();
    for (const words of [
      'status',
      'whoami',
      'resources',
      'grants',
      'incident list',
      'explain db-host -i P1-1',
    ]) {
      expect({ words, ...(await runCli(words.split(' '), { home })) }).toMatchObject({
        words,
        code: 0,
        stderr: '',
      });
    }
  });

  it('is named by what has to write, which has asked the broker for nothing by then', async () => {
    const home = readOnly();
    for (const words of ['request db-host -i P1-1', 'status --refresh']) {
      expectRefused(await runCli(words.split(' '), { home }), { code: 1, says: 'cannot be written' });
    }
    expect(await team.json('ana', 'grants')).toMatchObject({ grants: [] });
  });

  it('is enrolled from by nobody, and the invitation stays good', async () => {
    const home = tempDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700,ro', 'tmpfs', home]);
    atEnd(() => void execFileSync('umount', [home]));
    const paste = ['enroll', await team.broker.invite('ben'), '--keystore', 'file'];
    expectRefused(await runCli(paste, { home }), { code: 1, says: 'cannot be written' });
    expect(await runCli(paste, { home: tempDir() })).toMatchObject({ code: 0 });
  });

  it('is what doctor says it is', async () => {
    const { code, stdout } = await runCli(['doctor'], { home: readOnly() });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fail +files .*read-only/m);
    expect(stdout).toMatch(/^ok +device/m);
  });
});

describe('a home with spaces and letters of all kinds', () => {
  const NAME = "Anä O'Brien; `id`  日本 ~ #1";
  let home: string;
  const env = { ONCALL_HOME: undefined, SHELL: '/bin/bash' };
  const as = (words: string) => runCli(words.split(' '), { home, env });

  beforeAll(async () => {
    home = join(tempDir(), NAME);
    mkdirSync(home, { mode: 0o700 });
    const paste = ['enroll', await team.broker.invite('ana'), '--keystore', 'file'];
    expect(await runCli(paste, { home, env })).toMatchObject({ code: 0 });
  });

  it('is as good as any', async () => {
    expect(existsSync(join(home, '.config/oncall/config.yaml'))).toBe(true);
    expect(await as('request db-host -i P1-1')).toMatchObject({ code: 0 });
    const key = await runCli(['run', 'db-host', '--', 'sh', '-c', 'env | grep -c "日本"'], { home, env });
    expect(key).toMatchObject({ code: 0 });
    expect(await as('status')).toMatchObject({ code: 0, stdout: expect.stringContaining('db-host') });
    expect(await as('doctor')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok +device/m) });
  });

  it.each(['ssh', 'psql', 'mariadb', 'redis', 'aws', 'prompt'])(
    'takes the lines of %s, twice as once',
    async (tool) => {
      expect(await as(`setup ${tool} --write`)).toMatchObject({ code: 0 });
      expect(await as(`setup ${tool} --write`)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('stands already'),
      });
    },
  );

  it.skipIf(!part('sshd'))('is found by ssh', async () => {
    const shown = execFileSync('ssh', ['-G', '-F', join(home, '.ssh/config'), 'db-host-1'], {
      encoding: 'utf8',
    });
    expect(shown).toMatch(/^port \d+$/m);
    expect(shown).toContain(NAME.slice(0, 3));
  });

  it.skipIf(!part('shells'))('starts a shell that runs nothing of it', () => {
    const started = execFileSync('bash', ['--rcfile', join(home, '.bashrc'), '-i', '-c', 'echo ready'], {
      encoding: 'utf8',
      env: { HOME: home, PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(started).toBe('ready\n');
  });
});

describe('a configuration', () => {
  /** Ana's, changed. */
  function changed(change: (config: Record<string, unknown>) => string): string {
    const home = tempDir();
    execFileSync('cp', ['-a', join(team.home.ana!, 'oncall'), home]);
    const file = join(home, 'oncall/config/config.yaml');
    const config = JSON.parse(readFileSync(file, 'utf8').replace(/^#.*\n/, '')) as Record<string, unknown>;
    writeFileSync(file, change(config));
    return home;
  }

  it('of a newer version asks for an update of this machine, whatever else is in it', async () => {
    const home = changed((config) =>
      JSON.stringify({ ...config, version: 2, brokers: ['a', 'b'], broker: undefined }),
    );
    for (const words of ['whoami', 'request db-host -i P1-1', 'enroll https://127.0.0.1:1/#x']) {
      const result = await runCli(words.split(' '), { home });
      expectRefused(result, { code: 1, says: words.startsWith('enroll') ? 'newer' : 'newer' });
      expect(result.stderr).toContain('update oncall on this machine');
    }
  });

  it('as older ones wrote it, as YAML and without what came later, is as good as ever', async () => {
    const home = changed(({ agent: _, ...config }) =>
      Object.entries(config)
        .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
        .join('\n'),
    );
    expect(await runCli(['whoami'], { home })).toMatchObject({ code: 0, stderr: '' });
  });

  it('of no version that there ever was is refused', async () => {
    for (const version of [0, '1', undefined]) {
      const home = changed((config) => JSON.stringify({ ...config, version }));
      expectRefused(await runCli(['whoami'], { home }), { code: 1, says: 'version: 1' });
    }
  });

  it('that names somebody with a name that steers terminals shows it as it is written', async () => {
    const home = changed((config) =>
      JSON.stringify({ ...config, user: '\u001b[2Jana', broker: 'http://\u001b]0;x' }),
    );
    const { code, stdout, stderr } = await runCli(['doctor'], { home });
    expect(code).toBe(1);
    expect(stdout + stderr).not.toContain('\u001b');
  });
});

describe('two commands at once', () => {
  const both = (home: string, words: readonly string[]) =>
    Promise.all([runCli(words, { home }), runCli(words, { home })]);

  it('that enrol with one invitation make one device', async () => {
    const home = tempDir();
    const before = await devicesOf('dora');
    const results = await both(home, ['enroll', await team.broker.invite('dora'), '--keystore', 'file']);
    expect(results.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(results.find(({ code }) => code === 1)?.stderr).toContain('already enrolled');
    expect(await devicesOf('dora')).toBe(before + 1);
    expect(readdirSync(join(home, 'oncall/state/keys'))).toHaveLength(1);
    expect(await runCli(['whoami'], { home })).toMatchObject({ code: 0 });
  });

  it('that ask for the same get the same', async () => {
    const results = await both(team.home.ana!, ['request', 'db-host', '-i', 'P1-1']);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    const { grants } = await team.json<{ grants: object[] }>('ana', 'grants');
    expect(grants).toHaveLength(1);
    expect(await team.as('ana', 'run db-host --no-request -- true')).toMatchObject({ code: 0 });
  });

  it.each(['status --refresh', 'setup ssh --write', 'doctor --fix'])(
    'of %s do what one does',
    async (words) => {
      const results = await both(team.home.ana!, words.split(' '));
      expect(results.map(({ code, stderr }) => ({ code, failed: stderr.includes('error') }))).toEqual([
        { code: 0, failed: false },
        { code: 0, failed: false },
      ]);
    },
  );

  it('that give the same back leave nothing, and neither says that it stands', async () => {
    const results = await both(team.home.ana!, ['release', '--all']);
    const { grants } = await team.json<{ grants: { state: string }[] }>('ana', 'grants');
    expect(grants.filter(({ state }) => state !== 'ended')).toEqual([]);
    for (const { code, stderr } of results) {
      // The later one may find nothing at all.
      expect([0, 1]).toContain(code);
      if (code !== 0) expect(stderr).toContain('you hold nothing to release');
    }
  });

  it('of setup leave one block', () => {
    const text = readFileSync(join(team.home.ana!, '.ssh/config'), 'utf8');
    expect(text.match(/>>> oncall ssh/g)).toHaveLength(1);
  });
});

async function devicesOf(user: string): Promise<number> {
  return (await team.json<DeviceList>(user, 'devices list')).devices.length;
}
