// The completion scripts as texts: that those in the repository are of these commands, and that each is in the language that its
// shells have, old ones included.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defineCommand, INCIDENTS } from '../../src/cli/command.ts';
import type { CommandEntry } from '../../src/cli/command-table.ts';
import { generateCompletions } from '../../src/cli/completion/generate.ts';
import { createTables } from '../../src/cli/completion/tables.ts';
import { type CompletedCommand, readTree } from '../../src/cli/completion/tree.ts';

const read = (name: string) => readFileSync(join('completions', name), 'utf8');

describe('the completion scripts', () => {
  it('are those of the commands as they are now: node build.mjs writes them', async () => {
    const scripts = await generateCompletions('src/cli/completion');
    expect(readdirSync('completions').sort()).toEqual(Object.keys(scripts).sort());
    for (const [name, text] of Object.entries(scripts))
      expect({ [name]: read(name) }).toEqual({ [name]: text });
  });

  it('are of characters that every locale has', () => {
    for (const name of readdirSync('completions')) expect(read(name)).toMatch(/^[\n\t\x20-\x7e]*$/);
  });
});

/** What bash 3.2, which macOS has, does not know. */
const NEWER_THAN_3_2: Readonly<Record<string, RegExp>> = {
  'mapfile, readarray': /\b(mapfile|readarray)\b/,
  'associative arrays, name references, global declarations': /\b(declare|local|typeset)\s+-\w*[Ang]/,
  'changing case': /\$\{[^}]*(\^|,,|,\})/,
  transformations: /\$\{[^}]*@[QEPAaKkUuL]\}/,
  'the last element by a negative index': /\[-\d+\]/,
  'a negative length of a substring': /\$\{\w+:[^}]*:\s*-/,
  'whether a variable is set': /\[\[\s+(!\s+)?-[vR]\s/,
  'both streams at once': /&>>|\|&/,
  'falling through a case': /;;?&/,
  'padded ranges, coprocesses, lastpipe': /\bcoproc\b|\blastpipe\b|\bglobstar\b/,
  'clocks that are not guarded': /printf -v \w+ '%\((?!.*\|\|)/,
  'an escape of a code point': /\$'[^']*\\[uU]/,
  'local options': /\blocal -$|\blocal -;/m,
  'reading without waiting, or exactly': /\bread\b[^\n]*\s-[iN]\b/,
};

describe('the script for bash', () => {
  const code = read('oncall.bash').replace(/^\s*#.*$/gm, '');

  it.each(Object.entries(NEWER_THAN_3_2))('has none of: %s', (_, pattern) => {
    expect(code.split('\n').filter((line) => pattern.test(line))).toEqual([]);
  });

  it('says compopt only where there is one', () => {
    const lines = code.split('\n');
    const calls = lines.flatMap((line, index) => (/\bcompopt\b/.test(line) ? [lines[index - 1]] : []));
    expect(calls).toHaveLength(2);
    for (const guard of calls) expect(guard).toMatch(/\$\{BASH_VERSINFO\[0\]\} -ge 4/);
  });

  it('evaluates nothing: no eval, no word list, no text of a process but of compgen where another program is completed', () => {
    expect(code).not.toMatch(/\beval\b|compgen -W|complete -W|-C\b|`/);
    expect(code.match(/[$<]\((?!\()[^)]*\)/g)).toEqual(['<(compgen -c -- "$2")']);
  });
});

describe('the script for zsh', () => {
  it('evaluates nothing, and starts nothing: only files are read', () => {
    const code = read('_oncall').replace(/^\s*#.*$/gm, '');
    expect(read('_oncall').split('\n')[0]).toBe('#compdef oncall');
    expect(code).not.toMatch(/\beval\b|`|\$\{\(e\)|\(%\)|_call_program/);
    expect(code.match(/\$\((?!\()[^)]*\)/g)).toEqual(['$(<$files[1])']);
  });
});

describe('the script for fish', () => {
  it('evaluates nothing', () => {
    const code = read('oncall.fish')
      .replace(/^\s*#.*$/gm, '')
      .replace(/'(?:[^'\\]|\\.)*'/g, "''");
    expect(code).not.toMatch(/\beval\b|\bsource\b|`|\bcat\b|\bseq\b|\bdate\b/);
    // Twice: the command's own, and what the shell would complete for the program that is run.
    expect(code.match(/\bcomplete -\S+ /g)).toEqual(['complete -C ', 'complete -c ', 'complete -c ']);
  });
});

describe('the script for PowerShell', () => {
  const text = read('oncall.ps1');
  const code = text
    .replace(/'(?:[^']|'')*'/g, "''")
    .replace(/"[^"\n]*"/g, '""')
    .replace(/#.*$/gm, '');

  it('says that it is not run here', () => {
    expect(text).toContain('# Not run in CI.');
  });

  it('evaluates nothing and starts nothing', () => {
    expect(code).not.toMatch(
      /Invoke-Expression|\biex\b|Start-Process|Invoke-Command|Add-Type|\[scriptblock\]::Create|`/i,
    );
    // Only blocks of its own are called.
    expect([...new Set(code.match(/&\s*[$\w]+/g))].sort()).toEqual([
      '& $folderOf',
      '& $namesOf',
      '& $profilesOf',
      '& $rowsOf',
    ]);
  });

  it('is balanced, in brackets of every kind', () => {
    const open: string[] = [];
    for (const bracket of code.replace(/[^()[\]{}]/g, ''))
      if ('([{'.includes(bracket)) open.push(bracket);
      else expect(`${open.pop()}${bracket}`).toMatch(/^(\(\)|\[\]|\{\})$/);
    expect(open).toEqual([]);
  });

  it('has no key twice in a table: to PowerShell they are the same in any case', () => {
    for (const [, body = ''] of text.matchAll(/= @\{\n([\s\S]*?)\n {4}\}/g)) {
      const keys = [...body.matchAll(/^ {8}'([^']*)' =/gm)].map(([, key]) => key!.toLowerCase());
      expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
    }
  });
});

describe('what the scripts are made of', () => {
  const entry = (command: Parameters<typeof defineCommand>[0]): CommandEntry => ({
    name: 'open',
    summary: "it's new",
    aliases: ['o'],
    load: async () => defineCommand(command),
  });
  const examples = [
    ['oncall open a', 'one'],
    ['oncall o b', 'another'],
  ] as const;
  const base = { json: [], examples, read: () => ({}), run: async () => {} };

  it('takes a new command from the tree, with what it declares', async () => {
    const tree = await readTree([
      entry({
        ...base,
        declare: (command) =>
          void command
            .argument('<what>')
            .argument('[where...]')
            .option('-i, --incident <id>', 'which')
            .option('--maybe [x]'),
        completes: { what: { words: ['a', 'b'] }, where: { paths: 'folders' }, '--incident': INCIDENTS },
      }),
    ]);
    const tables = createTables(tree);
    expect(tables.children).toEqual([
      { key: '/open', path: 'open' },
      { key: '/o', path: 'open' },
    ]);
    expect(tables.arguments).toMatchObject([
      { keys: ['open 0'], rows: [{ word: 'a' }, { word: 'b' }] },
      { keys: ['open *'], rows: [{ word: '/d' }] },
    ]);
    expect(tables.values).toContainEqual({
      keys: ['open -i', 'open --incident'],
      takes: '=',
      rows: [{ word: '@incidents', description: '' }],
    });
    expect(tables.values).toContainEqual({ keys: ['open --maybe'], takes: '?', rows: [] });
  });

  it('refuses what is declared nowhere, and words that a shell would read otherwise', async () => {
    const wrong = entry({ ...base, declare: () => {}, completes: { nothing: INCIDENTS } });
    await expect(readTree([wrong])).rejects.toThrow('oncall open completes what it does not take: nothing');
    const evil = entry({
      ...base,
      declare: (command) => void command.argument('<what>'),
      completes: { what: { words: ['$(touch x)'] } },
    });
    const tree = await readTree([evil]);
    expect(() => createTables(tree)).toThrow('$(touch x)');
  });

  it('offers live names wherever a command takes what is listed', async () => {
    const LIVE: Readonly<Record<string, RegExp>> = {
      '--incident': /incidents/,
      '--resource': /resources/,
      '--profile': /profiles/,
    };
    const without = (await readTree()).flatMap(({ path, options }: CompletedCommand) =>
      options
        .filter(({ flags, offer }) =>
          flags.some((flag) => LIVE[flag] !== undefined && !LIVE[flag].test(String(offer?.names))),
        )
        .map(({ flags }) => [...path, ...flags].join(' ')),
    );
    expect(without).toEqual([]);
  });
});
