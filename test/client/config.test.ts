import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type ClientConfig, loadConfig, saveConfig } from '../../src/client/config.ts';
import { ensureDir } from '../../src/client/files.ts';
import { resolvePaths } from '../../src/client/paths.ts';
import { failureOf, testContext } from './fixture.ts';

const CONFIG: ClientConfig = {
  version: 1,
  broker: 'https://broker.example.com:7443/',
  identityKey: 'ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  identityCertificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  logKey: 'ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  origin: 'broker.example.com/audit',
  ca: 'pinned',
  user: 'ana',
  device: {
    id: 'dev_1',
    keyId: '-key_id',
    name: "ana's laptop: #1",
    keystore: 'ssh-agent',
    sshAgentKey: 'ssh-ed25519 AAAA',
  },
};

describe('the configuration', () => {
  test('is absent before enrolment, and reads back as it was written', async () => {
    const { paths } = testContext();
    expect(await loadConfig(paths)).toBeUndefined();
    await saveConfig(paths, CONFIG);
    expect(await loadConfig(paths)).toEqual(CONFIG);
  });

  test.each([
    ['an unknown key', (text: string) => `${text}colour: red\n`, /unknown key `colour`/],
    [
      'an unknown key of the device',
      (text: string) => text.replace('  id: dev_1', '  id: dev_1\n  size: big'),
      /`device.size`/,
    ],
    ['a key given twice', (text: string) => `${text}user: eve\n`, /YAML/],
    ['a missing key', (text: string) => text.replace('user: ana\n', ''), /`user`/],
    ['a number where text belongs', (text: string) => text.replace('user: ana', 'user: 7'), /`user`/],
    [
      'another keystore',
      (text: string) => text.replace('keystore: ssh-agent', 'keystore: drawer'),
      /keystore/,
    ],
    ['a relative CA file', (text: string) => text.replace('ca: pinned', 'ca: ca.pem'), /ca must be/],
    ['no version', (text: string) => text.replace('version: 1', 'user2: 1'), /version/],
    [
      'a newer version',
      (text: string) => `${text.replace('version: 1', 'version: 2')}colour: red\n`,
      /newer/,
    ],
    ['broken YAML', () => 'a: [', /YAML/],
    ['an alias bomb', () => 'a: &a [x]\nb: [*a, *a]\n', /YAML|hold|version/],
    ['nothing', () => '', /hold/],
  ])('in YAML, with %s is refused', async (_, edit, words) => {
    const { paths } = testContext();
    await saveConfig(paths, CONFIG);
    writeFileSync(paths.configFile, edit(stringify(CONFIG, { lineWidth: 0 })));
    const error = await failureOf(loadConfig(paths));
    expect(error).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(words) });
    expect(error.hint).toBeTruthy();
  });

  test.each([
    ['an unknown key', (text: string) => text.replace('{', '{"colour": "red",'), /unknown key `colour`/],
    ['a key given twice', (text: string) => text.replace('{', '{"user": "eve",'), /YAML/],
    ['a number where text belongs', (text: string) => text.replace('"ana"', '7'), /`user`/],
    ['half of it', (text: string) => text.slice(0, text.length / 2), /YAML/],
  ])('as enrolment writes it, with %s is refused', async (_, edit, words) => {
    const { paths } = testContext();
    await saveConfig(paths, CONFIG);
    writeFileSync(paths.configFile, edit(readFileSync(paths.configFile, 'utf8')));
    const error = await failureOf(loadConfig(paths));
    expect(error).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(words) });
  });

  test('may be written in any YAML', async () => {
    const { paths } = testContext();
    await saveConfig(paths, CONFIG);
    writeFileSync(paths.configFile, stringify(CONFIG));
    expect(await loadConfig(paths)).toEqual(CONFIG);
    await saveConfig(paths, CONFIG);
    writeFileSync(paths.configFile, readFileSync(paths.configFile, 'utf8').replace('"pinned"', 'system'));
    expect(await loadConfig(paths)).toEqual({ ...CONFIG, ca: 'system' });
  });

  test('that others can write is refused', async () => {
    const { paths } = testContext();
    await saveConfig(paths, CONFIG);
    chmodSync(paths.configFile, 0o666);
    expect(await failureOf(loadConfig(paths))).toMatchObject({ code: 'unsafe_file' });
  });

  test('needs the key line with an ssh-agent', async () => {
    const { paths } = testContext();
    ensureDir(paths.configDir);
    const { sshAgentKey: _, ...device } = CONFIG.device;
    await saveConfig(paths, { ...CONFIG, device });
    expect(await failureOf(loadConfig(paths))).toMatchObject({ code: 'config_invalid' });
  });
});

describe('the paths', () => {
  test('follow XDG, and ignore what is relative there', () => {
    const env = {
      HOME: '/home/ana',
      XDG_STATE_HOME: '/state',
      XDG_CACHE_HOME: 'relative',
      XDG_RUNTIME_DIR: '/run/user/7',
    };
    expect(resolvePaths(env, 'default')).toMatchObject({
      configFile: '/home/ana/.config/oncall/config.yaml',
      statusFile: '/state/oncall/status.json',
      completeDir: '/home/ana/.cache/oncall/complete',
      runDir: '/run/user/7/oncall',
    });
    expect(resolvePaths({ HOME: '/home/ana' }, 'default').runDir).toBe('/home/ana/.local/state/oncall/run');
  });

  test('lie together under ONCALL_HOME, with each profile apart', () => {
    const env = { ONCALL_HOME: '/x', XDG_STATE_HOME: '/state' };
    const staging = resolvePaths(env, 'staging');
    expect(staging.configFile).toBe('/x/config/profiles/staging/config.yaml');
    expect(staging.runDir).toBe('/x/run/profiles/staging');
    expect(resolvePaths(env, 'default').stateDir).toBe('/x/state');
  });

  test.each([
    [{}, 'default', 'config_invalid'],
    [{ HOME: 'home' }, 'default', 'config_invalid'],
    [{ ONCALL_HOME: 'here' }, 'default', 'config_invalid'],
    [{ HOME: '/h' }, '../default', 'usage'],
    [{ HOME: '/h' }, '', 'usage'],
  ])('of %j for profile %j are refused', (env, profile, code) => {
    expect(() => resolvePaths(env, profile)).toThrow(expect.objectContaining({ code }));
  });
});
