// Completion in the real shells: what each offers, whatever the files of names hold and wherever they lie.
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { COMPLETED_SHELLS, completeIn } from '../support/shell-completion.ts';
import { tempDir } from '../support/temp.ts';

const soon = Math.floor(Date.now() / 1000) + 5_000;
const LISTS = {
  resources: ['db-main\tthe main database', 'db-replica\tpostgres production', 'web'],
  roles: ['db-main:read', 'db-replica:read\tr', 'db-replica:write\tw'],
  bundles: ['orders-incident\tdb-replica:read web:admin'],
  incidents: ['P1-123\tP1 orders: 50% of $(touch owned) `fail` %Bnow', 'P2-9\tP2 web: slow'],
  held: [`db-replica:read\tP1-123\t${soon}`, 'old:read\tP1-1\t1000000000'],
  grants: [`gr_0123456789abcdefghj\tdb-replica:read\t${soon}`],
  requests: [`req_1\tdb-main:write\t${soon}`],
  approvals: [`req_2\tana: db-main:write\t${soon}`],
};

/** A folder as oncall keeps it, with these lists. */
function namesIn(cache: string, lists: Readonly<Record<string, readonly string[]>>): string {
  const folder = join(cache, 'complete');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [list, rows] of Object.entries(lists))
    writeFileSync(join(folder, list), rows.map((row) => `${row}\n`).join(''), { mode: 0o600 });
  return folder;
}

/** What is typed, and what is offered for it, in any order. */
const TYPED: readonly (readonly [line: string, words: readonly string[]])[] = [
  ['oncall re', ['request', 'renew', 'release', 'resources', 'revoke', 'reviews']],
  ['oncall ex', ['exec', 'explain']],
  ['oncall broker rotate ', ['tls', 'tokens']],
  ['oncall agent st', ['status', 'stop']],
  ['oncall --profile staging --json devices l', ['list']],
  ['oncall request db', ['db-main', 'db-replica']],
  ['oncall request db-replica:', ['db-replica:read', 'db-replica:write']],
  ['oncall request db-replica:w', ['db-replica:write']],
  ['oncall request db-main:read or', ['orders-incident']],
  ['oncall exec w', ['web']],
  ['oncall connect db-main ', []],
  ['oncall request -i ', ['P1-123', 'P2-9']],
  ['oncall request db-main --incident P1', ['P1-123']],
  ['oncall request --incident=', ['--incident=P1-123', '--incident=P2-9']],
  ['oncall request --incident=P2', ['--incident=P2-9']],
  ["oncall request -r 'two words' -i P2", ['P2-9']],
  ['oncall explain db-main -r -i P1', ['P1-123']],
  ['oncall deny -r ', []],
  ['oncall -o ', ['table', 'json', 'ndjson']],
  ['oncall status --output=j', ['--output=json']],
  ['oncall reviews close --outcome m', ['misuse']],
  ['oncall setup p', ['psql', 'prompt']],
  ['oncall request --d', ['--dry-run']],
  ['oncall ls --r', ['--refresh']],
  ['oncall --v', ['--version']],
  ['oncall --profile ', ['staging']],
  ['oncall --profile staging request ', ['only-in-staging']],
  ['oncall request --profile=staging ', ['only-in-staging']],
  ['oncall --profile ../../else request ', []],
  ['oncall release ', ['db-replica:read', 'gr_0123456789abcdefghj']],
  ['oncall approve ', ['req_2']],
  ['oncall cancel ', ['req_1']],
  ['oncall nosuch ', []],
];

describe.skipIf(!part('shells') || !part('pty')).each(COMPLETED_SHELLS)('completion in %s', (shell) => {
  it('knows commands, options, their values and names', async () => {
    const home = tempDir();
    namesIn(join(home, 'cache'), LISTS);
    namesIn(join(home, 'cache', 'profiles', 'staging'), { resources: ['only-in-staging'] });
    mkdirSync(join(home, 'config', 'profiles', 'staging'), { recursive: true });
    const lines = TYPED.map(([line]) => line);
    const { offered, said } = await completeIn(shell, lines, { env: { ONCALL_HOME: home }, cwd: home });
    const found = offered.map(({ words }, index) => [lines[index], [...words].sort()]);
    expect(found).toEqual(TYPED.map(([line, words]) => [line, [...words].sort()]));
    expect(said).not.toMatch(/not found|unknown command|no such file|error/i);
    expect(existsSync(join(home, 'owned'))).toBe(false);
  });

  it.skipIf(shell === 'bash')('shows what a name is, and how much time it has', async () => {
    const home = tempDir();
    namesIn(join(home, 'cache'), LISTS);
    const lines = ['oncall request -i ', 'oncall release db', 'oncall request --dry', 'oncall setup ss'];
    const { offered } = await completeIn(shell, lines, { env: { ONCALL_HOME: home } });
    const shown = offered.map((one) => one.shown.join('\n'));
    expect(shown[0]).toContain('P1 orders: 50% of $(touch owned) `fail` %Bnow');
    expect(shown[1]).toMatch(/P1-123, 1h2[123]m left$/);
    expect(shown[2]).toContain('decide and record nothing');
    expect(shown[3]).toContain('ssh, scp and sftp: hosts by name');
  });

  it('offers nothing that is no plain name, and runs nothing', async () => {
    const home = tempDir();
    const rows = [
      ...[
        '$(touch owned)',
        '`touch owned`',
        '$(touch owned)\tx',
        'a;touch owned',
        "a'b",
        'a"b',
        '-rf',
        '--all',
        '/f',
        '@roles',
        '!',
      ],
      ...[
        'a b',
        '*',
        '~root',
        'ä',
        'a\x1b[2J',
        '\x1b]0;x\x07',
        'a\\nb',
        'a\r',
        '$PATH',
        'a&b',
        'a=b',
        '#a',
        '',
        ' a',
        '\t',
        '.',
      ],
      'bell\t\x07\x1b[31mred\x1b[0m',
      'bidi\t\u202eevil',
      'c1\t\u009b31m',
      'sound\tall is well',
      `long${'x'.repeat(100_000)}\ty`,
    ];
    const folder = namesIn(join(home, 'cache'), { resources: rows, bundles: [], incidents: [] });
    writeFileSync(join(folder, 'bundles'), Buffer.from('ok\n\xff\xfe\xfa bad\xff\n', 'latin1'));
    writeFileSync(join(folder, 'incidents'), 'P1-1\0$(touch owned)\nP1-2\n');
    const lines = [
      'oncall request ',
      'oncall request -i ',
      'oncall request $(touch owned)',
      'oncall request `touch owned`/',
    ];
    const { offered, said } = await completeIn(shell, lines, { env: { ONCALL_HOME: home }, cwd: home });
    const words = offered[0]!.words.filter((word) => word.length < 100);
    // Those with a description that is no good keep their name.
    expect([...words].sort()).toEqual(['bell', 'bidi', 'c1', 'ok', 'sound']);
    expect(JSON.stringify(offered)).not.toMatch(/\\u001b|\\u0007|\u202e|\u009b|touch/);
    expect(offered[2]!.words).toEqual([]);
    expect(said).not.toMatch(/not found|unknown command/i);
    expect(readdirSync(home).sort()).toEqual(['cache']);
  });

  it('offers two thousand names, in order', async () => {
    const home = tempDir();
    const names = Array.from({ length: 2_000 }, (_, n) => `resource-${String(n).padStart(4, '0')}`);
    namesIn(join(home, 'cache'), { resources: names.map((name) => `${name}\tpostgres production`) });
    const lines = ['oncall request ', 'oncall request resource-19'];
    const { offered } = await completeIn(shell, lines, { env: { ONCALL_HOME: home } });
    expect(offered[0]!.words).toEqual(names);
    expect(offered[1]!.words).toEqual(names.slice(1900));
  });

  it('reads no file that is missing, a link, a pipe, a folder or not ours to read', async () => {
    const home = tempDir();
    const cache = join(home, 'cache');
    const folder = namesIn(cache, { resources: ['secret-1'], bundles: ['fine'] });
    renameSync(join(folder, 'resources'), join(home, 'elsewhere'));
    symlinkSync(join(home, 'elsewhere'), join(folder, 'resources'));
    execFileSync('mkfifo', [join(folder, 'incidents')]);
    mkdirSync(join(folder, 'held'));
    writeFileSync(join(folder, 'approvals'), 'req_9\n', { mode: 0o000 });
    if (process.getuid?.() === 0) chownSync(join(folder, 'approvals'), 65_534, 65_534);
    const lines = [
      'oncall request ',
      'oncall request -i ',
      'oncall release ',
      'oncall approve ',
      'oncall cancel ',
    ];
    const { offered, said } = await completeIn(shell, lines, { env: { ONCALL_HOME: home } });
    expect(offered.map(({ words }) => words)).toEqual([['fine'], [], [], [], []]);
    expect(said).not.toMatch(/no such|cannot|denied|is a directory/i);
  });

  it('finds the files where the client puts them', async () => {
    const home = join(tempDir(), "Anä's 家 home");
    const other = join(tempDir(), 'other cache');
    namesIn(join(home, '.cache', 'oncall'), { resources: ['in-home'] });
    namesIn(join(other, 'oncall'), { resources: ['in-xdg'] });
    namesIn(join(other, 'oncall', 'profiles', 'staging'), { resources: ['of-staging'] });
    namesIn(join(home, 'cache'), { resources: ['in-oncall-home'] });
    const none = { ONCALL_HOME: undefined, XDG_CACHE_HOME: undefined };
    const cases = [
      [{ HOME: home, ...none }, ['in-home']],
      [{ HOME: home, ...none, XDG_CACHE_HOME: 'relative' }, ['in-home']],
      [{ HOME: home, ...none, XDG_CACHE_HOME: other }, ['in-xdg']],
      [{ HOME: home, ...none, XDG_CACHE_HOME: other, ONCALL_PROFILE: 'staging' }, ['of-staging']],
      [{ ...none, ONCALL_HOME: home }, ['in-oncall-home']],
      [{ HOME: home, ...none, ONCALL_HOME: 'cache' }, []],
      [{ ...none, HOME: undefined }, []],
      [{ ...none, HOME: 'relative' }, []],
    ] as const;
    for (const [env, words] of cases) {
      // A shell that starts without a home gives itself one: it is taken away again.
      const gone = shell === 'fish' ? 'set -e HOME' : 'unset HOME';
      const before = 'HOME' in env && env.HOME === undefined ? gone : '';
      const { offered, said } = await completeIn(shell, ['oncall request '], { env, before });
      expect({ env, words: offered[0]!.words }).toEqual({ env, words });
      expect(said).not.toMatch(/no such|not found|unbound/i);
    }
  });
});
