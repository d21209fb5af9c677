/**
 * From argv to one prepared command. Only the command that was asked for is loaded and declared: the words before it are
 * found in the table without commander.
 */
import type { Command } from 'commander';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { AnyCommand, Example, Typed } from './command.ts';
import { type CommandEntry, sections } from './command-table.ts';
import { type CommonOptions, readCommonOptions, takeCommonWord } from './common-options.ts';
import type { Context } from './context.ts';
import { ALL_PAGES, groupHelp, isTopic, rootHelp } from './help.ts';

export type Parsed =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'command';
      /** `request`, `devices list`. */
      readonly name: string;
      readonly common: CommonOptions;
      readonly options: unknown;
      run(context: Context): Promise<void>;
    };

/** Throws AppError `usage` with the nearest thing that exists as its hint. */
export async function parseCommandLine(argv: readonly string[]): Promise<Parsed> {
  const { path, entry, words, special, page } = await knownCommand(argv);
  if (special === 'version') return { kind: 'version' };
  if (page !== undefined) {
    const { helpPage } = await import('./help-pages.ts');
    return { kind: 'help', text: await helpPage(page, async (typed) => (await knownCommand(typed)).entry) };
  }
  if (entry === undefined) {
    if (special === 'help') return { kind: 'help', text: rootHelp() };
    const { startCommand } = await import('./commands/start.ts');
    return parseCommand('', '', startCommand, words);
  }
  if (entry.load === undefined) {
    if (special === 'help') return { kind: 'help', text: groupHelp(path, entry) };
    const children = (entry.children ?? []).map(({ name }) => name);
    throw new AppError('usage', `${path.join(' ')} needs one of: ${children.join(', ')}`, {
      hint: `oncall ${path.join(' ')} --help`,
    });
  }
  return parseCommand(path.join(' '), entry.summary, await entry.load(), words);
}

/** A topic whose name is also that of a group gives way to the commands of the group. */
function isPage([word = '', next]: readonly string[], level: readonly CommandEntry[]): boolean {
  if (ALL_PAGES.includes(word)) return true;
  const children = level.find(({ name }) => name === word)?.children ?? [];
  return isTopic(word) && !children.some(({ name }) => name === next);
}

export interface Found {
  path: string[];
  entry: CommandEntry | undefined;
  /** What is left for the command itself, common options included. */
  words: string[];
  special: 'help' | 'version' | undefined;
  /** What follows `help`, where that is no command. */
  page?: readonly string[];
  /** What is no command, and what there is in its place. */
  unknown?: { readonly word: string; readonly level: readonly CommandEntry[] };
}

/** Throws AppError `usage` for a word that is no command. */
async function knownCommand(argv: readonly string[]): Promise<Found> {
  const found = findCommand(argv);
  if (found.unknown === undefined) return found;
  throw (await import('./wrong-usage.ts')).unknownWord(found.unknown, found);
}

function findCommand(argv: readonly string[]): Found {
  const found: Found = { path: [], entry: undefined, words: [], special: undefined };
  let level: readonly CommandEntry[] = sections.flatMap(({ commands }) => commands);
  let index = 0;
  for (; index < argv.length && (found.entry?.load === undefined || level.length > 0); index++) {
    const word = argv[index] ?? '';
    const taken = takeCommonWord(argv, index);
    // A topic comes before a command of the same name, whose own page is under --help.
    if (found.special === 'help' && found.path.length === 0 && isPage(argv.slice(index), level))
      return { ...found, page: argv.slice(index) };
    if (taken > 0) {
      found.words.push(...argv.slice(index, index + taken));
      index += taken - 1;
    } else if (word === '-h' || word === '--help' || (word === 'help' && found.entry === undefined)) {
      found.special = 'help';
    } else if (word === '-V' || word === '--version') {
      found.special = 'version';
      return found;
    } else {
      const entry = level.find(({ name, aliases }) => name === word || aliases?.includes(word));
      // Perhaps a word of the command's own.
      if (entry === undefined && found.entry?.load !== undefined) break;
      if (entry === undefined) return { ...found, unknown: { word, level } };
      found.entry = entry;
      found.path.push(entry.name);
      level = entry.children ?? [];
    }
  }
  found.words.push(...argv.slice(index));
  if (found.special === 'help' && found.entry?.load !== undefined) found.words = ['--help'];
  return found;
}

async function parseCommand(
  name: string,
  summary: string,
  command: AnyCommand,
  words: readonly string[],
): Promise<Parsed> {
  const { Command, CommanderError } = await import('commander');
  // `--` is ours: commander would mix what follows it with the arguments before it.
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  const commander = declareAll(new Command(`oncall ${name}`), summary, command);
  let help = '';
  const write = (text: string) => {
    help += text;
  };
  commander.configureOutput({ writeOut: write, writeErr: () => {} });
  try {
    commander.parse(own, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return { kind: 'help', text: help };
    throw (await import('./wrong-usage.ts')).wrongUsage(name, error);
  }
  const typed: Typed = {
    args: commander.args,
    options: commander.opts(),
    rest: end < 0 ? undefined : words.slice(end + 1),
  };
  try {
    const { options, run } = command.prepare(typed);
    return {
      ...{ kind: 'command', name, common: readCommonOptions(typed), options },
      run: (context) => run(context).catch((error) => rethrowNearest(context, error, name, typed)),
    };
  } catch (error) {
    if (!(error instanceof AppError) || error.hint !== undefined) throw error;
    throw new AppError(error.code, error.message, { hint: `oncall ${name} --help` });
  }
}

async function rethrowNearest(context: Context, error: unknown, name: string, typed: Typed): Promise<never> {
  if (!isAppError(error, 'not_found') && !isAppError(error, 'invalid_request')) throw error;
  const { withNearestName } = await import('./nearest-names.ts');
  throw await withNearestName(context, error, name, typed);
}

/** All that can be typed behind the command's name, what every command takes included. */
export function declareAll(
  commander: Command,
  summary: string,
  { declare, examples }: Pick<AnyCommand, 'declare'> & Partial<Pick<AnyCommand, 'examples'>>,
): Command {
  commander
    .description(summary)
    .exitOverride()
    .allowExcessArguments(false)
    .helpOption('-h, --help', 'show this page');
  declare(commander);
  if (examples !== undefined)
    commander.addHelpText('after', `\nExamples\n${examples.map(exampleText).join('\n')}`);
  return commander
    .option('-o, --output <format>', 'table, json or ndjson')
    .option('--json', 'short for -o json')
    .option('--profile <name>', 'which installation (ONCALL_PROFILE)')
    .option('--no-agent', 'neither use nor start the background agent (ONCALL_AGENT=off)');
}

function exampleText([line, says]: Example): string {
  return `  ${line}\n      ${says}`;
}
