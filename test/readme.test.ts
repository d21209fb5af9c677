// What the README shows is run as written: each block after `<!-- run: NAME -->`, by a shell, with `oncall` on the PATH.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { enrolled } from './support/device.ts';
import { part } from './support/parts.ts';
import { cleanEnvironment, ONCALL, startProcess } from './support/process.ts';
import { installWithTarget, type Target } from './support/target.ts';
import { tempDir } from './support/temp.ts';

const README = readFileSync('README.md', 'utf8');

function block(name: string): string {
  const [, text] = new RegExp(`<!-- run: ${name} -->\n\`\`\`sh\n(.*?)\`\`\``, 's').exec(README) ?? [];
  if (text === undefined) throw new Error(`the README has no block ${name}`);
  return text;
}

async function runBlock(name: string, home: string, env: Record<string, string> = {}) {
  const bin = join(home, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'oncall'), `#!/bin/sh\nexec ${process.execPath} ${ONCALL} "$@"\n`);
  chmodSync(join(bin, 'oncall'), 0o755);
  const clean = cleanEnvironment(home);
  const shell = startProcess('sh', ['-eux'], {
    env: { ...clean, ...env, PATH: `${bin}:${clean.PATH}` },
    cwd: home,
    input: block(name),
  });
  const { code } = await shell.ended;
  expect(`${shell.output()}\nexit ${code}`).toMatch(/\nexit 0$/);
  return shell.stdout();
}

describe.skipIf(!part('psql'))('the README', () => {
  let target: Target;
  let home: string;

  beforeAll(async () => {
    target = await installWithTarget();
    await target.installation.start();
    home = tempDir();
  });

  it('shows what an engineer does', async () => {
    const dora = await enrolled(target.installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-123', service: 'orders', priority: 'P1' });
    const stdout = await runBlock('engineer', home, { INVITATION: await target.installation.invite('ana') });
    expect(stdout).toContain('granted');
    expect(await target.roles()).toEqual([]);
  });

  it('shows what a runbook does', async () => {
    const stdout = await runBlock('runbook', home);
    expect(stdout).toMatch(/^42$/m);
    expect(await target.roles()).toEqual([]);
  });

  it('shows what an administrator does', async () => {
    const stdout = await runBlock('admin', tempDir());
    expect(stdout).toContain('enroll');
  });

  it('calls in .ci/run exactly what it tells people to run', () => {
    const [, command] = /```sh\n(npm ci && npm test)\n```/.exec(README) ?? [];
    expect(readFileSync('.ci/run', 'utf8').trim().split('\n').at(-1)).toBe(command);
  });
});
