import { describe, expect, it } from 'vitest';
import { readAgentArguments } from '../../src/agent/arguments.ts';
import { sections } from '../../src/cli/command-table.ts';
import { formatOf, readPlainStatus } from '../../src/cli/common-options.ts';
import { allHelp } from '../../src/cli/help-pages.ts';
import { parseCommandLine } from '../../src/cli/program.ts';
import { isAppError } from '../../src/protocol/errors.ts';

async function optionsOf(...argv: string[]): Promise<unknown> {
  const parsed = await parseCommandLine(argv);
  if (parsed.kind !== 'command') throw new Error(`${argv.join(' ')} is no command`);
  return parsed.options;
}

async function refusalOf(...argv: string[]): Promise<string> {
  try {
    await parseCommandLine(argv);
  } catch (error) {
    if (isAppError(error)) return `${error.code}: ${error.hint}`;
    throw error;
  }
  return 'accepted';
}

describe('parsing', () => {
  it('turns a request into its options', async () => {
    expect(
      await optionsOf(
        'request',
        'db-replica',
        'db-main:write',
        '-i',
        'P1-123',
        '-r',
        'slow queries',
        '-d',
        '1h30m',
      ),
    ).toEqual({
      targets: [{ resource: 'db-replica' }, { resource: 'db-main', role: 'write' }],
      incident: 'P1-123',
      reason: 'slow queries',
      durationSeconds: 5400,
      wait: true,
      timeoutSeconds: undefined,
      dryRun: false,
      key: undefined,
    });
  });

  it('waits unless told not to', async () => {
    expect(await optionsOf('request', 'db', '--no-wait')).toMatchObject({ wait: false });
    expect(await optionsOf('request', 'db', '--wait', '--timeout', '10m')).toMatchObject({
      wait: true,
      timeoutSeconds: 600,
    });
  });

  it("keeps what is behind -- for the child, the child's own -- included", async () => {
    expect(await optionsOf('run', 'db', '-i', 'P1-1', '--', 'psql', '--json', '--', 'x')).toMatchObject({
      targets: [{ resource: 'db' }],
      incident: 'P1-1',
      command: ['psql', '--json', '--', 'x'],
      request: true,
    });
  });

  it('knows exec for run and ls for status', async () => {
    expect(await parseCommandLine(['exec', 'db', '--', 'true'])).toMatchObject({ name: 'run' });
    expect(await parseCommandLine(['ls', '--refresh'])).toMatchObject({ name: 'status' });
  });

  it('knows a word that is a command itself and has others behind it', async () => {
    expect(await parseCommandLine(['agent', 'status', '--json'])).toMatchObject({ name: 'agent status' });
    expect(await parseCommandLine(['agent', 'install', '--remove'])).toMatchObject({
      options: { remove: true },
    });
    expect(await parseCommandLine(['--json', 'agent'])).toMatchObject({ name: 'agent' });
    expect(await refusalOf('agent', 'dance')).toBe('usage: oncall agent --help');
    expect(await parseCommandLine(['agent', '--help'])).toMatchObject({ kind: 'help' });
  });

  it('hands over to the agent what it takes, and nothing else', () => {
    expect(readAgentArguments(['agent'])).toEqual({ profile: undefined, stays: false, isHanded: false });
    expect(readAgentArguments(['--profile', 'a', 'agent', '--stay'])).toMatchObject({
      profile: 'a',
      stays: true,
    });
    expect(readAgentArguments(['agent', '--handed', '--profile=b'])).toMatchObject({
      profile: 'b',
      isHanded: true,
    });
    for (const argv of [
      [],
      ['status'],
      ['agent', 'status'],
      ['agent', '--help'],
      ['agent', '--profile'],
      ['--stay'],
    ])
      expect(readAgentArguments(argv)).toBeUndefined();
  });

  it('takes common options before and behind the command', async () => {
    for (const argv of [
      ['--json', '--profile', 'staging', 'devices', 'list'],
      ['devices', '-ojson', '--profile=staging', 'list'],
      ['devices', 'list', '-o', 'json', '--profile', 'staging'],
    ]) {
      expect(await parseCommandLine(argv)).toMatchObject({
        name: 'devices list',
        common: { format: 'json', profile: 'staging' },
      });
    }
  });

  it.each([
    [['request', 'a', '--json', '-o', 'ndjson'], 'usage: use one of them'],
    [['request', 'a:b:c'], 'usage: a target is'],
    [['request', 'a', '--for', '1.5h'], 'usage: write it like'],
    [['request', 'a', '--reason', ''], 'usage: oncall request --help'],
    [['release', 'a', '--all'], 'usage: use one of them'],
    [['renw'], 'usage: did you mean oncall renew'],
    [['audit', 'verfy', 'x'], 'usage: did you mean oncall audit verify'],
    [['broker', 'rotate', 'tsl'], 'usage: did you mean oncall broker rotate tls'],
    [['broker', 'target', '../x'], 'usage: oncall broker target --help'],
    [['devices', 'list', '--user', 'a b'], 'usage: oncall devices list --help'],
    [['run', 'a', '--'], 'usage: put it behind --'],
  ])('refuses %j', async (argv, expected) => {
    expect(await refusalOf(...argv)).toContain(expected);
  });

  it('takes the last help and the first version', async () => {
    expect(await parseCommandLine(['--version', 'grants'])).toEqual({ kind: 'version' });
    expect(await parseCommandLine(['--help', 'grants'])).toMatchObject({ kind: 'help' });
    expect(await parseCommandLine(['broker', 'init', '-h'])).toMatchObject({
      kind: 'help',
      text: expect.stringContaining('--public-url'),
    });
  });

  it('gives the broker directory by argument or --dir', async () => {
    expect(await optionsOf('broker', 'init', 'here', '--admin', 'alice')).toMatchObject({
      directory: 'here',
      admin: 'alice',
    });
    expect(await optionsOf('broker', 'invite', 'bob', '--dir', 'there', '-d', '24h')).toEqual({
      user: 'bob',
      forSeconds: 86_400,
      directory: 'there',
    });
    expect(await optionsOf('broker', 'serve')).toEqual({ directory: undefined });
  });
});

describe('every command', () => {
  const entries = sections.flatMap(({ commands }) => commands).flatMap((entry) => entry.children ?? [entry]);

  it.each(entries.filter(({ load }) => load !== undefined))(
    '$name loads, and has a page of its own',
    async ({ load }) => {
      expect(await load?.()).toHaveProperty('prepare');
    },
  );

  it('stands in the page of all', () => {
    for (const { name } of sections.flatMap(({ commands }) => commands))
      expect(allHelp()).toContain(`  ${name} `);
  });
});

describe('before parsing', () => {
  it('answers plain status without the parser, and nothing else', () => {
    expect(readPlainStatus(['status'])).toEqual({
      format: 'table',
      profile: undefined,
      agent: true,
      check: undefined,
    });
    expect(readPlainStatus(['-o', 'ndjson', 'ls', '--profile=staging'])).toEqual({
      format: 'ndjson',
      profile: 'staging',
      agent: true,
      check: undefined,
    });
    expect(readPlainStatus(['status', '--check', 'db:read', '--expires-in=1h30m'])).toMatchObject({
      check: { target: { resource: 'db', role: 'read' }, neededSeconds: 5400 },
    });
    expect(readPlainStatus(['status', '--no-agent'])).toMatchObject({ agent: false });
    for (const argv of [
      [],
      ['--json'],
      ['status', '--watch'],
      ['status', 'x'],
      ['status', '-o'],
      ['status', '--check'],
      ['status', '--check', 'a:b:c'],
      ['status', '--check', 'db', '--expires-in', 'soon'],
      ['status', '--expires-in', '10m'],
      ['status', '--check', 'db', '--refresh'],
      ['whoami'],
    ]) {
      expect(readPlainStatus(argv)).toBeUndefined();
    }
  });

  it('finds the format for errors in what may not parse', () => {
    expect(formatOf(['wait', '--json'])).toBe('json');
    expect(formatOf(['-ondjson', 'wait'])).toBe('ndjson');
    expect(formatOf(['run', 'x', '--', 'tool', '--json'])).toBe('table');
    expect(formatOf(['wait', '-o'])).toBe('table');
  });
});
