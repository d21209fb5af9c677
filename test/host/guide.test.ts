// What `oncall broker target` prints for a host, done on a folder of the test's own: the unit, the configuration, the key.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { brokerTarget } from '../../src/broker/commands.ts';
import { readHostConfig } from '../../src/host/config.ts';
import { withSsh } from '../broker/ssh-catalogue.ts';
import { type Installation, install, withPostgres } from '../support/installation.ts';
import { findCommand } from '../support/machine-parts.ts';
import { runCli } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';

interface Step {
  title: string;
  where: string;
  text: string;
}

async function stepsOf(installation: Installation, resource: string): Promise<Step[]> {
  const host = {
    ...{ out: () => undefined, err: () => undefined, env: {}, program: ['oncall'], now: Date.now },
    ...{ signal: new AbortController().signal, onReload: () => undefined },
  };
  const options = { directory: installation.directory, resource, check: false };
  return ((await brokerTarget(options, host)).data as { steps: Step[] }).steps;
}

describe('the guide', () => {
  let root: string;
  let config: string;
  let steps: Step[];

  beforeAll(async () => {
    steps = await stepsOf(await install({ catalogue: withSsh(), tls: true }), 'db-host');
    root = tempDir();
    config = join(root, 'etc/oncall/host.json');
    mkdirSync(join(root, 'etc/systemd/system'), { recursive: true });
    const step = steps.find(({ text }) => text.includes('host.json'))!;
    const lines = step.text
      .replaceAll('/etc/', join(root, 'etc/'))
      .split('\n')
      .filter((line) => !/^(systemctl|oncall) /.test(line));
    for (let twice = 0; twice < 2; twice += 1) execFileSync('sh', ['-eu'], { input: lines.join('\n') });
  });

  it('has a unit that systemd takes', () => {
    const unit = join(root, 'etc/systemd/system/oncall-host.service');
    expect(readFileSync(unit, 'utf8')).toContain('host run --config');
    if (findCommand('systemd-analyze') === undefined) return;
    const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    expect(stderr.split('\n').filter((line) => line.includes('oncall-host'))).toEqual([]);
  });

  it('has a configuration by which the broker is known', () => {
    expect(readHostConfig(config)).toMatchObject({
      ...{ ca: 'pinned', state: '/var/lib/oncall-host' },
      identityKey: expect.stringMatching(/^ed25519:/),
      identityCertificate: expect.stringContaining('BEGIN CERTIFICATE'),
      ssh: { log: 'journal' },
    });
  });

  it('says what to type at the broker, with a key that stays', async () => {
    const state = join(root, 'state');
    const text = readFileSync(config, 'utf8').replace('/var/lib/oncall-host', state);
    writeFileSync(config, text, { mode: 0o644 });
    const init = () => runCli(['host', 'init', '--resource', 'db-host', '--config', config]);
    const first = await init();
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^ {2}oncall broker host add db-host \S+ --key ed25519:[\w-]{43}$/m);
    expect((await init()).stdout.split('\n')[1]).toBe(first.stdout.split('\n')[1]);
    expect(statSync(join(state, 'key.pem')).mode & 0o777).toBe(0o600);
  });

  it('of PostgreSQL asks for a log in which no line can be forged', async () => {
    const own = await stepsOf(await install({ catalogue: withPostgres() }), 'db-replica');
    expect(own.map(({ text }) => text).join('\n')).toContain('jsonlog');
  });

  it.each([
    ['{', 'not JSON'],
    ['{"version":2}', 'a later form'],
    [JSON.stringify({ version: 1, broker: 'x' }), 'half of it'],
  ])('%s is refused: %s', async (text) => {
    const file = join(tempDir(), 'host.json');
    writeFileSync(file, text, { mode: 0o644 });
    expect(() => readHostConfig(file)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});
