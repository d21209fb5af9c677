/** The tables as functions of bash and zsh, which differ in how a list is written. */
import type { Entry, Row, Tables } from './tables.ts';

/** How a shell writes the rows of an offer. */
type FormatOffer = (rows: readonly Row[]) => string;

/** Without descriptions, which bash has no place for. */
export function bashTables(tables: Tables): string {
  return posixTables(tables, (rows) => quote(rows.map(({ word }) => word).join(' ')), '$offer $common');
}

export function zshTables(tables: Tables): string {
  const list: FormatOffer = (rows) =>
    `( ${rows.map(({ word, description }) => quoteRow(description === '' ? word : `${word}\t${description}`)).join(' ')} )`;
  return posixTables(tables, list, '( $offer $common )');
}

function posixTables(tables: Tables, format: FormatOffer, both: string): string {
  const set = (entry: Entry) => `offer=${format(entry.rows)}`;
  const nothing = `offer=${format([])}`;
  const common = tables.options.find(({ keys }) => keys.includes('*'))?.rows ?? [];
  return [
    '# Sets command to the child that $1 names: "devices/list" leads to "devices list".',
    caseFunction(
      '__oncall_child',
      tables.children.map(({ key, path }) => `${quote(key)}) command=${quote(path)} ;;`),
      'return 1',
    ),
    '',
    '# Sets takes to = (a value) or ? (perhaps one) for an option ("request --incident"), and offer to what may be its value.',
    caseFunction(
      '__oncall_value',
      tables.values.map((entry) => `${pattern(entry)}) takes='${entry.takes}' ${set(entry)} ;;`),
      `takes='' ${nothing}`,
    ),
    '',
    '# Each sets offer to what may stand there: an argument ("connect 1"), what is behind --, a child, an option.',
    ...(
      [
        ['__oncall_argument', tables.arguments],
        ['__oncall_rest', tables.rests],
        ['__oncall_commands', tables.commands],
      ] as const
    ).flatMap(([name, entries]) => [
      caseFunction(
        name,
        entries.map((entry) => `${pattern(entry)}) ${set(entry)} ;;`),
        nothing,
      ),
      '',
    ]),
    caseFunction(
      '__oncall_options',
      tables.options
        .filter(({ keys }) => !keys.includes('*'))
        .map((entry) => `${pattern(entry)}) ${set(entry)} ;;`),
      nothing,
      [`local common=${format(common)}`],
      [both.startsWith('(') ? `offer=${both}` : `offer="${both}"`],
    ),
  ].join('\n');
}

function caseFunction(
  name: string,
  cases: readonly string[],
  otherwise: string,
  first: readonly string[] = [],
  last: readonly string[] = [],
): string {
  return [
    `${name}() {`,
    ...first.map((line) => `  ${line}`),
    '  case $1 in',
    ...cases.map((line) => `    ${line}`),
    `    *) ${otherwise} ;;`,
    '  esac',
    ...last.map((line) => `  ${line}`),
    '}',
  ].join('\n');
}

/** The star in a key stands for any word, or any number. */
function pattern({ keys }: Entry): string {
  return keys
    .map((key) => quote(key).replaceAll('*', "'*'").replaceAll("''*", '*').replaceAll("*''", '*'))
    .join(' | ');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** With a tab in it. */
function quoteRow(text: string): string {
  return text.includes('\t') ? `$'${text.replace(/[\\']/g, '\\$&').replaceAll('\t', '\\t')}'` : quote(text);
}
