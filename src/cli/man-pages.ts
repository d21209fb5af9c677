/**
 * Man pages out of what help is made of: the command table, the commands' own declarations and the topics. Run by build.mjs; never
 * loaded by a command. The language is that of man(7), plain enough for groff and mandoc.
 */
import { Command } from 'commander';
import type { AnyCommand, Example } from './command.ts';
import { type CommandEntry, sections } from './command-table.ts';
import type { TopicName } from './help.ts';
import { type Block, EXIT_CODES, FILES, type Term, TOPICS, topics, VARIABLES } from './help-topics.ts';
import { declareAll } from './program.ts';

/** By file name: `oncall.1`, `oncall-request.1`, `oncall-exit-codes.7`. */
export async function manPages(version: string): Promise<ReadonlyMap<string, string>> {
  const pages = new Map<string, string>([['oncall.1', mainPage(version)]]);
  for (const { commands } of sections)
    for (const entry of commands) pages.set(`oncall-${entry.name}.1`, await commandPage(entry, version));
  for (const [name, summary] of Object.entries(TOPICS) as [TopicName, string][])
    pages.set(`oncall-${name}.7`, topicPage(name, summary, version));
  return pages;
}

function mainPage(version: string): string {
  return page('oncall', 1, version, 'on-call access in seconds, and gone by itself', [
    section('SYNOPSIS', [`${bold('oncall')} ${italic('command')} [${italic('options')}]`]),
    section('DESCRIPTION', [
      roff(
        'Gives an on-call engineer the access that an incident needs, and takes it away by itself. Each request is signed with a key that never leaves the device; a broker grants at once, asks the right human, or refuses and says why.',
      ),
    ]),
    section(
      'COMMANDS',
      sections.flatMap(({ title, commands }) => [
        `.SS ${roff(title)}`,
        ...commands.flatMap(({ name, summary }) => term(`${bold(`oncall-${name}`)}(1)`, roff(summary))),
      ]),
    ),
    section(
      'TOPICS',
      Object.entries(TOPICS).flatMap(([name, summary]) =>
        term(`${bold(`oncall-${name}`)}(7)`, roff(summary)),
      ),
    ),
    section('EXIT STATUS', termList(EXIT_CODES)),
    section('ENVIRONMENT', termList(VARIABLES)),
    section('FILES', termList(FILES)),
  ]);
}

/** With the commands behind it, where it is a word for several. */
async function commandPage(entry: CommandEntry, version: string): Promise<string> {
  const own =
    entry.load === undefined
      ? []
      : await oneCommand(`oncall ${entry.name}`, entry.summary, await entry.load());
  const children = await childrenOf(entry, `oncall ${entry.name}`);
  return page(`oncall-${entry.name}`, 1, version, entry.summary, [...own, ...children, seeAlso()]);
}

async function childrenOf({ children = [] }: CommandEntry, path: string): Promise<string[]> {
  const pages = children.map(async (child) => {
    const name = `${path} ${child.name}`;
    if (child.load === undefined) return (await childrenOf(child, name)).join('\n');
    const parts = await oneCommand(name, child.summary, await child.load());
    // A heading for each would be too much: one for the command, its parts below it.
    const inner = parts.map((part) =>
      part.replace(/^\.SH (.*)$/gm, (_, title: string) => `.PP\n${bold(title)}`),
    );
    return [`.SH ${roff(name.toUpperCase())}`, roff(child.summary), ...inner].join('\n');
  });
  return Promise.all(pages);
}

async function oneCommand(name: string, summary: string, command: AnyCommand): Promise<string[]> {
  const declared = declareAll(new Command(name), summary, command);
  const help = declared.createHelp();
  const given = help
    .visibleArguments(declared)
    .map((argument): string[] =>
      term(italic(help.argumentTerm(argument)), roff(help.argumentDescription(argument))),
    );
  const options = help
    .visibleOptions(declared)
    .map((option) => term(bold(help.optionTerm(option)), roff(help.optionDescription(option))));
  return [
    section('SYNOPSIS', [roff(help.commandUsage(declared))]),
    ...(given.length === 0 ? [] : [section('ARGUMENTS', given.flat())]),
    section('OPTIONS', options.flat()),
    ...(command.json.length === 0 ? [] : [section('JSON', [jsonWords(name, command)])]),
    section('EXAMPLES', command.examples.flatMap(example)),
  ];
}

function jsonWords(name: string, { json }: AnyCommand): string {
  const command = name.replace(/^oncall /, '');
  return roff(`${json.map((one) => `oncall.${one}/v1`).join(', ')}: oncall help json ${command} --schema`);
}

function topicPage(name: TopicName, summary: string, version: string): string {
  return page(`oncall-${name}`, 7, version, summary, [
    section(
      'DESCRIPTION',
      topics[name].flatMap((block, index) => [
        // Terms begin a paragraph by themselves.
        ...(index === 0 || isTerms(block) ? [] : ['.PP']),
        ...blockLines(block),
      ]),
    ),
    seeAlso(),
  ]);
}

function isTerms(block: Block): boolean {
  return typeof block !== 'string' && 'terms' in block;
}

function blockLines(block: Block): string[] {
  if (typeof block === 'string') return [roff(block)];
  return 'lines' in block ? codeLines(block.lines) : termList(block.terms);
}

function seeAlso(): string {
  return section('SEE ALSO', [`${bold('oncall')}(1)`]);
}

function example([line, says]: Example): string[] {
  return [...codeLines([line]), '.RS 4', roff(says), '.RE', '.PP'];
}

// man(7) -------------------------------------------------------------------------------------------------------------

function page(
  name: string,
  chapter: number,
  version: string,
  summary: string,
  parts: readonly string[],
): string {
  const head = [
    `.TH ${roff(name.toUpperCase())} ${chapter} "" ${quoted(`oncall ${version}`)} oncall`,
    '.nh',
    section('NAME', [`${roff(name)} \\- ${roff(summary)}`]),
  ];
  return `${[...head, ...parts].join('\n')}\n`;
}

/** The last `.PP` of a section would stand before a heading, where it means nothing. */
function section(title: string, lines: readonly string[]): string {
  const end = lines.at(-1) === '.PP' ? lines.slice(0, -1) : lines;
  return [`.SH ${roff(title)}`, ...end].join('\n');
}

function termList(terms: readonly Term[]): string[] {
  return terms.flatMap(([name, words]) => term(bold(name), roff(words)));
}

function term(head: string, words: string): string[] {
  return ['.TP', head, words];
}

function codeLines(lines: readonly string[]): string[] {
  return ['.RS 2', '.nf', ...lines.map((line) => roff(line)), '.fi', '.RE'];
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${roff(text)}\\fR`;
}

function quoted(text: string): string {
  return `"${roff(text)}"`;
}

/** What is typed must be copied as it is: a minus is no hyphen, and a quote is straight. */
const SIGNS: Readonly<Record<string, string>> = {
  '\\': '\\(rs',
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

/** Nothing in a text is a request of roff's: neither in it nor at its beginning. */
export function roff(text: string): string {
  const signs = text.replace(/[\\\-'"`^~]/g, (sign) => SIGNS[sign] ?? sign);
  const ascii = signs.replace(
    /[^\n\x20-\x7e]/gu,
    (sign) => `\\[u${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
  );
  return ascii.replace(/^\./gm, '\\&.');
}
