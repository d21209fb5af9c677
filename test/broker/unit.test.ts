import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokerUnit } from '../../src/broker/unit.ts';
import { install } from '../support/installation.ts';
import { findCommand } from '../support/machine-parts.ts';
import { runCli } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';

const input = {
  directory: '/srv/on call/50%',
  program: [process.execPath, '/opt/oncall/bin/oncall'],
  user: 'root',
};

describe("the broker's unit", () => {
  it.skipIf(findCommand('systemd-analyze') === undefined)('is one that systemd understands', () => {
    const file = join(tempDir(), 'oncall-broker.service');
    writeFileSync(file, brokerUnit(input));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    const about = stderr.split('\n').filter((line) => line.includes('oncall-broker'));
    expect({ status, about }).toEqual({ status: 0, about: [] });
  });

  it('holds the folder as systemd reads it, and no right that the broker needs not', () => {
    const unit = brokerUnit(input);
    expect(unit).toContain('"broker" "serve" "/srv/on call/50%%"\n');
    expect(unit).toContain('ReadWritePaths="/srv/on call/50%%"\n');
    expect(unit).toContain('ProtectSystem=strict\n');
    expect(unit).toContain('CapabilityBoundingSet=\n');
    // V8 compiles: with this it would not start.
    expect(unit).not.toContain('MemoryDenyWriteExecute');
    expect(() => brokerUnit({ ...input, user: 'root\nExecStartPre=/bin/sh' })).toThrow();
    expect(() => brokerUnit({ ...input, directory: '/srv/a\nExecStart=/bin/sh' })).toThrow();
  });

  it('is printed for the folder that it is asked for, whose user is told', async () => {
    const { directory } = await install();
    const { code, stdout } = await runCli(['broker', 'unit', directory, '--user', 'oncall'], {
      home: tempDir(),
    });
    expect(code).toBe(0);
    expect(stdout).toContain('User=oncall\n');
    expect(stdout).toContain(`"${directory}"`);
    expect((await runCli(['broker', 'unit', tempDir()], { home: tempDir() })).code).toBe(1);
  });
});
