/** The tables as functions of fish, which print what they find, one word a line. */
import type { Entry, Row, Tables } from './tables.ts';

export function fishTables(tables: Tables): string {
  const common = tables.options.find(({ keys }) => keys.includes('*'))?.rows ?? [];
  const own = tables.options.filter(({ keys }) => !keys.includes('*'));
  return [
    '# Prints the child that a word names: "devices/list" leads to "devices list".',
    switchFunction(
      '__oncall_child',
      tables.children.map(({ key, path }) => [[key], `echo ${quote(path)}`]),
    ),
    '',
    '# Prints = (a value) or ? (perhaps one) for an option ("request --incident"), then what may be its value.',
    switchFunction(
      '__oncall_value',
      tables.values.map(({ keys, takes, rows }) => [
        keys,
        print([{ word: takes, description: '' }, ...rows]),
      ]),
    ),
    '',
    '# Each prints what may stand there: an argument ("connect 1"), what is behind --, a child, an option.',
    ...(
      [
        ['__oncall_argument', tables.arguments],
        ['__oncall_rest', tables.rests],
        ['__oncall_commands', tables.commands],
      ] as const
    ).flatMap(([name, entries]) => [switchFunction(name, entries.map(toCase)), '']),
    switchFunction('__oncall_options', own.map(toCase), [print(common)]),
  ].join('\n');
}

function toCase({ keys, rows }: Entry): [keys: readonly string[], body: string] {
  return [keys, print(rows)];
}

function switchFunction(
  name: string,
  cases: readonly (readonly [keys: readonly string[], body: string])[],
  first: readonly string[] = [],
): string {
  return [
    `function ${name}`,
    ...first.map((line) => `    ${line}`),
    '    switch $argv[1]',
    // A star in quotes is one all the same.
    ...cases.flatMap(([keys, body]) => [`        case ${keys.map(quote).join(' ')}`, `            ${body}`]),
    '    end',
    'end',
  ].join('\n');
}

function print(rows: readonly Row[]): string {
  const words = rows.map(({ word, description }) =>
    description === '' ? quote(word) : `${quote(word)}\\t${quote(description)}`,
  );
  return `printf '%s\\n' ${words.join(' ')}`;
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
