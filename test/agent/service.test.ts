import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeService } from '../../src/agent/service.ts';
import { findCommand } from '../support/machine-parts.ts';
import { runCli } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';

const env = { HOME: '/home/ana', ONCALL_HOME: '/home/ana/on call/50%$HOME"x\\' };
const program = [process.execPath, '/opt/on call/dist/agent.js'];

describe('the job', () => {
  it.skipIf(findCommand('systemd-analyze') === undefined)('is one that systemd understands', () => {
    const { text, path } = describeService({ platform: 'linux', env, profile: 'staging', program });
    expect(path).toBe('/home/ana/.config/systemd/user/oncall-agent-staging.service');
    const file = join(tempDir(), 'oncall-agent-staging.service');
    writeFileSync(file, text);
    const { status, stderr } = spawnSync('systemd-analyze', ['--user', 'verify', file], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: tempDir(), XDG_RUNTIME_DIR: tempDir() },
    });
    expect({ status, about: stderr.split('\n').filter((line) => line.includes('oncall-agent')) }).toEqual({
      status: 0,
      about: [],
    });
  });

  it('passes on words that systemd would read otherwise', () => {
    const { text } = describeService({ platform: 'linux', env, profile: 'default', program });
    expect(text).toContain(
      `ExecStart="${process.execPath}" "/opt/on call/dist/agent.js" "agent" "--profile" "default" "--stay"\n`,
    );
    expect(text).toContain('Environment="ONCALL_HOME=/home/ana/on call/50%%$$HOME\\"x\\\\"\n');
  });

  it('of launchd is a property list with the same words', () => {
    const mac = { HOME: '/Users/ana', ONCALL_HOME: '/Users/ana/a&b<c>' };
    const { text, path } = describeService({ platform: 'darwin', env: mac, profile: 'default', program });
    expect(path).toBe('/Users/ana/Library/LaunchAgents/oncall.agent.plist');
    expect(text).toContain('<string>/Users/ana/a&amp;b&lt;c&gt;</string>');
    const words = [...text.matchAll(/<string>(.*)<\/string>/g)].map(([, word]) => word);
    expect(words).toEqual(expect.arrayContaining(['/opt/on call/dist/agent.js', 'agent', '--stay']));
  });

  it('is none where neither is known, and never holds what ends a line', () => {
    expect(() => describeService({ platform: 'win32', env, profile: 'default', program })).toThrow('systemd');
    const bad = { HOME: '/home/ana', ONCALL_HOME: '/home/ana\nExecStart=/bin/sh' };
    expect(() => describeService({ platform: 'linux', env: bad, profile: 'default', program })).toThrow();
  });

  it.runIf(process.platform === 'linux')(
    'is written and taken away by the command, and nobody else’s is touched',
    async () => {
      const home = tempDir();
      const file = join(home, '.config/systemd/user/oncall-agent.service');
      mkdirSync(join(home, '.config'), { mode: 0o755 });
      const installed = await runCli(['agent', 'install', '--json'], { home });
      expect(installed.json()).toMatchObject({
        file,
        installed: true,
        next: expect.stringContaining('systemctl'),
      });
      expect(readFileSync(file, 'utf8')).toContain(`ONCALL_HOME=${join(home, 'oncall')}`);
      expect(statSync(join(home, '.config')).mode & 0o777).toBe(0o755);
      expect((await runCli(['agent', 'install'], { home })).code).toBe(0);
      const removed = await runCli(['agent', 'install', '--remove', '--json'], { home });
      expect(removed.json()).toMatchObject({ file, installed: false });
      expect(existsSync(file)).toBe(false);
      writeFileSync(file, '[Service]\nExecStart=/bin/true\n');
      for (const args of [
        ['agent', 'install'],
        ['agent', 'install', '--remove'],
      ])
        expect((await runCli(args, { home })).code).toBe(1);
      expect(readFileSync(file, 'utf8')).toContain('/bin/true');
    },
  );
});
