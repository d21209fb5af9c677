// The man pages that were built: one for each command and topic, without a complaint of a strict reader, and true to the options.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sections } from '../src/cli/command-table.ts';
import { TOPICS } from '../src/cli/help-topics.ts';
import { roff } from '../src/cli/man-pages.ts';
import { part } from './support/parts.ts';

const folder = join('dist', 'man');
const pages = readdirSync(folder).sort();

it('are there for every command and every topic', () => {
  const commands = sections.flatMap(({ commands }) => commands.map(({ name }) => `oncall-${name}.1`));
  const topics = Object.keys(TOPICS).map((name) => `oncall-${name}.7`);
  expect(pages).toEqual(['oncall.1', ...commands, ...topics].sort());
});

it('stand in package.json, each by its name: npm takes no folder', () => {
  const { man } = JSON.parse(readFileSync('package.json', 'utf8')) as { man: string[] };
  expect([...man].sort()).toEqual(pages.map((page) => `dist/man/${page}`));
});

describe.skipIf(!part('manpages'))('for a reader', () => {
  it.each(pages)('%s has nothing to complain about', (page) => {
    const { stdout, status } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', page], {
      cwd: folder,
      encoding: 'utf8',
    });
    // There is no date that would not change with every build.
    const complaints = stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'));
    expect({ complaints, status: complaints.length === 0 ? 0 : status }).toEqual({
      complaints: [],
      status: 0,
    });
  });

  it('shows options, examples and signs as they are typed', () => {
    const env = { ...process.env, MANWIDTH: '100', LC_ALL: 'C.UTF-8', MANPAGER: 'cat', PAGER: 'cat' };
    const { stdout, stderr, status } = spawnSync(
      'man',
      ['--warnings', '-l', resolve(join(folder, 'oncall-request.1'))],
      { encoding: 'utf8', env },
    );
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const text = stdout.replace(/.\u0008/g, '');
    expect(text).toContain("oncall request db-replica:write -i P1-123 -r 'fix the index' -d 45m");
    expect(text).toContain('-i, --incident <id>');
    expect(text).toContain('oncall.request/v1: oncall help json request --schema');
  });

  it('shows what stands behind a word for several', () => {
    const { stdout } = spawnSync('mandoc', ['-T', 'utf8', 'oncall-audit.1'], {
      cwd: folder,
      encoding: 'utf8',
    });
    const text = stdout.replace(/.\u0008/g, '');
    for (const wanted of ['ONCALL AUDIT WHO', '--at <time>', 'oncall audit verify audit.ndjson'])
      expect(text).toContain(wanted);
  });
});

it('take no text for a request of their own', () => {
  expect(roff('.SH x\n.TP')).toBe('\\&.SH x\n\\&.TP');
  expect(roff("a\\b 'c' -d …")).toBe('a\\(rsb \\(aqc\\(aq \\-d \\[u2026]');
});
