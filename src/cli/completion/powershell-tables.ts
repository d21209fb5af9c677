/** The tables as hashtables of PowerShell. A star stands for any word, or any number. */
import type { Entry, Row, Tables } from './tables.ts';

export function powershellTables(tables: Tables): string {
  return [
    table(
      'children',
      tables.children.map(({ key, path }) => [key, quote(path)]),
    ),
    table(
      'values',
      tables.values.flatMap(({ keys, takes, rows }) =>
        keys.map((key) => [key, list([{ word: takes, description: '' }, ...rows])] as const),
      ),
    ),
    table('arguments', entries(tables.arguments)),
    table('commands', entries(tables.commands)),
    table('options', entries(tables.options)),
  ].join('\n');
}

function entries(all: readonly Entry[]): (readonly [string, string])[] {
  return all.flatMap(({ keys, rows }) => keys.map((key) => [key, list(rows)] as const));
}

function table(name: string, pairs: readonly (readonly [key: string, value: string])[]): string {
  return [
    `    $${name} = @{`,
    ...pairs.map(([key, value]) => `        ${quote(key)} = ${value}`),
    '    }',
  ].join('\n');
}

/** `-join` of a word and its description by a tab, as rows of the names files are. */
function list(rows: readonly Row[]): string {
  const words = rows.map(({ word, description }) =>
    description === '' ? quote(word) : `(${quote(word)} + $tab + ${quote(description)})`,
  );
  return `@(${words.join(', ')})`;
}

/** PowerShell takes typographic quotes for quotes too. */
function quote(text: string): string {
  return `'${text.replace(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`;
}
