/**
 * The command tree as the tables that all four scripts look things up in. What may be offered is rows, a word and what it is;
 * the words `@incidents`, `/f`, `/d` and `!` stand for a file of names, files, folders and another program.
 */
import type { Offer } from '../command.ts';
import type { CompletedCommand, CompletedOption } from './tree.ts';

export interface Row {
  readonly word: string;
  readonly description: string;
}

/** What is the same for several keys. */
export interface Entry {
  readonly keys: readonly string[];
  readonly rows: readonly Row[];
}

export interface Tables {
  /** `devices/list` leads to `devices list`, `/ls` to `status`. */
  readonly children: readonly { readonly key: string; readonly path: string }[];
  /** Options with values. A key is `request --incident`, or `* --profile` for one of every command; `?` may go without. */
  readonly values: readonly (Entry & { readonly takes: '=' | '?' })[];
  /** `connect 0`, or `request *` for all that are left. */
  readonly arguments: readonly Entry[];
  /** What stands behind `--`. */
  readonly rests: readonly Entry[];
  readonly commands: readonly Entry[];
  /** Own options of each command; `*` for those of all. */
  readonly options: readonly Entry[];
}

/** What a shell would have to quote is no word of ours. */
const PLAIN_WORD = /^[A-Za-z0-9-][A-Za-z0-9._:-]*$/;

export function createTables(tree: readonly CompletedCommand[]): Tables {
  const isCommon = (option: CompletedOption) =>
    tree.every(({ options }) => options.some((other) => JSON.stringify(other) === JSON.stringify(option)));
  const [root] = tree;
  const common = root?.options.filter(isCommon) ?? [];
  // Those of all last: the first key that fits counts.
  const all = [
    ...tree.map(({ path, options }) => ({
      key: path.join(' '),
      options: options.filter((option) => !isCommon(option)),
    })),
    { key: '*', options: common },
  ];
  const each = <T>(read: (command: CompletedCommand, path: string) => readonly T[]) =>
    tree.flatMap((command) => read(command, command.path.join(' ')));
  return {
    children: each(({ children }, path) =>
      children.flatMap(({ name, aliases }) =>
        [name, ...aliases].map((word) => ({
          key: `${path}/${plain(word)}`,
          path: path === '' ? name : `${path} ${name}`,
        })),
      ),
    ),
    values: grouped(
      all.flatMap(({ key, options }) =>
        options.flatMap(({ flags, takes, offer = {} }) =>
          takes === 'nothing'
            ? []
            : flags.map((flag) => ({
                key: `${key} ${flag}`,
                value: { takes: takes === 'value' ? ('=' as const) : ('?' as const), rows: rowsOf(offer) },
              })),
        ),
      ),
    ),
    arguments: grouped(
      each((command, path) =>
        command.arguments.flatMap(({ offer, isMany }, index) =>
          offer === undefined
            ? []
            : [{ key: `${path} ${isMany ? '*' : index}`, value: { rows: rowsOf(offer) } }],
        ),
      ),
    ),
    rests: grouped(
      each(({ rest }, path) => (rest === undefined ? [] : [{ key: path, value: { rows: rowsOf(rest) } }])),
    ),
    commands: grouped(
      each(({ children }, path) =>
        children.length === 0 ? [] : [{ key: path, value: { rows: children.flatMap(childRows) } }],
      ),
    ),
    options: grouped(
      all
        .map(({ key, options }) => ({ key, value: { rows: options.flatMap(optionRows) } }))
        .filter(({ value }) => value.rows.length > 0),
    ),
  };
}

/** Keys with the same value stand together, in the order of the first. */
function grouped<T extends object>(entries: readonly { readonly key: string; readonly value: T }[]) {
  const groups = new Map<string, T & { keys: string[] }>();
  for (const { key, value } of entries) {
    const name = JSON.stringify(value);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, { ...value, keys: [key] });
    else group.keys.push(key);
  }
  return [...groups.values()];
}

/** In characters that every locale has: these are read by shells that may take UTF-8 for something else. */
function asciiOf(text: string): string {
  return text
    .replaceAll('…', '...')
    .replaceAll('’', "'")
    .replace(/[^\x20-\x7e]/g, '?');
}

function childRows({ name, aliases, summary }: CompletedCommand['children'][number]): Row[] {
  return [name, ...aliases].map((word) => ({ word: plain(word), description: asciiOf(summary) }));
}

function optionRows({ flags, summary }: CompletedOption): Row[] {
  return flags.map((flag) => ({ word: plain(flag), description: asciiOf(summary) }));
}

function rowsOf({ names = [], words = [], paths, program }: Offer): Row[] {
  return [
    ...names.map((name) => ({ word: `@${name}`, description: '' })),
    ...words.map((word): Row => {
      const [text, description] = typeof word === 'string' ? [word, ''] : word;
      return { word: plain(text), description: asciiOf(description) };
    }),
    ...(paths === undefined ? [] : [{ word: paths === 'files' ? '/f' : '/d', description: '' }]),
    ...(program === undefined ? [] : [{ word: '!', description: '' }]),
  ];
}

function plain(word: string): string {
  if (PLAIN_WORD.test(word)) return word;
  throw new Error(`completion cannot offer a word that shells would read otherwise: ${word}`);
}
