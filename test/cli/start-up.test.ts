// What each way through the command line loads: one static import in the wrong place makes every command slower, and no test
// of what it prints would notice. Nothing here is timed.
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { saveConfig } from '../../src/client/config.ts';
import { createDeviceKeys } from '../../src/client/device-key.ts';
import { openKeystore } from '../../src/client/keystore.ts';
import { resolvePaths } from '../../src/client/paths.ts';
import { testContext } from '../client/fixture.ts';
import { startTestBroker } from '../client/test-broker.ts';
import { cleanEnvironment, ONCALL, startProcess } from '../support/process.ts';
import { freePort, tempDir } from '../support/temp.ts';

const REPORT = `
process.on('exit', () => {
  const loaded = { files: Object.keys(require.cache), builtins: process.moduleLoadList };
  require('fs').writeFileSync(process.env.LOADED, JSON.stringify(loaded));
});
`;

async function loadedBy(args: readonly string[], env: Record<string, string>, code: number) {
  const folder = tempDir();
  const [report, preload] = [join(folder, 'loaded.json'), join(folder, 'preload.cjs')];
  writeFileSync(preload, REPORT);
  const child = startProcess(process.execPath, ['-r', preload, ONCALL, ...args], {
    env: { ...cleanEnvironment(), ...env, LOADED: report },
  });
  expect(await child.ended).toMatchObject({ code });
  const { files, builtins } = JSON.parse(readFileSync(report, 'utf8')) as Record<string, string[]>;
  return {
    files: (files ?? []).filter((path) => path !== preload).map((path) => relative(resolve('.'), path)),
    builtins: (builtins ?? []).map((name) => name.replace('NativeModule ', '')),
  };
}

/** Each of them costs a twentieth of node's own start or more. */
const HEAVY = ['net', 'tty', 'tls', 'http', 'https', 'crypto', 'child_process', 'readline', 'worker_threads'];

describe('the command line', () => {
  it.each([['--version'], ['status'], ['status', '--json']])('answers %s from one file', async (...args) => {
    const env = { ONCALL_HOME: homeWithStatus() };
    const { files, builtins } = await loadedBy(args, env, 0);
    expect(files).toEqual(['bin/oncall', 'dist/fast.js']);
    expect(builtins.filter((name) => HEAVY.includes(name))).toEqual([]);
  });

  it('answers status --check from one file, the no as well', async () => {
    const env = { ONCALL_HOME: homeWithStatus() };
    const { files, builtins } = await loadedBy(['status', '--check', 'db', '--expires-in', '10m'], env, 6);
    expect(files).toEqual(['bin/oncall', 'dist/fast.js']);
    expect(builtins.filter((name) => HEAVY.includes(name))).toEqual([]);
  });

  it('answers --help without the parser and the network', async () => {
    const { files, builtins } = await loadedBy(['--help'], {}, 0);
    expect(files).toEqual(['bin/oncall', 'dist/fast.js', 'dist/main.js']);
    expect(builtins.filter((name) => HEAVY.includes(name))).toEqual([]);
  });

  it('asks for access with what is in its main file', async () => {
    const { files } = await loadedBy(['request', 'db-replica', '--json'], await enrolledHome(), 5);
    expect(files).toEqual(['bin/oncall', 'dist/fast.js', 'dist/main.js']);
    expect(statSync('dist/fast.js').size).toBeLessThan(48 * 1024);
    expect(statSync('dist/main.js').size).toBeLessThan(396 * 1024);
  });
});

function homeWithStatus(): string {
  const home = tempDir();
  const { statusFile } = resolvePaths({ ONCALL_HOME: home }, 'default');
  const empty = { grants: [], pending: [], incidents: [], shifts: [], approvalsWaiting: 0, notices: [] };
  const status = { schema: 'oncall.status/v1', user: 'ana', brokerContactAt: new Date().toISOString() };
  mkdirSync(dirname(statusFile), { recursive: true, mode: 0o700 });
  writeFileSync(statusFile, JSON.stringify({ ...status, ...empty }), { mode: 0o600 });
  return home;
}

/** A device with the file keystore, whose broker is not there. */
async function enrolledHome(): Promise<Record<string, string>> {
  const context = testContext();
  const { record, keyId } = await createDeviceKeys();
  await (await openKeystore('file', context)).save(keyId, record);
  const { trust } = await startTestBroker();
  const device = { id: 'dev_1', keyId, name: 'laptop', keystore: 'file' as const };
  const broker = `https://127.0.0.1:${await freePort()}/`;
  await saveConfig(context.paths, { ...trust, broker, version: 1, user: 'ana', device });
  return { ONCALL_HOME: String(context.env.ONCALL_HOME) };
}
