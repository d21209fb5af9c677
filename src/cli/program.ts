/**
 * From argv to one prepared command. Only the command that was asked for is loaded and declared: the words before it are
 * found in the table without commander.
 */
import type { Command, CommanderError } from 'commander';
import { nearest } from '../catalogue/nearest.ts';
import { AppError } from '../protocol/errors.ts';
import type { AnyCommand, Typed } from './command.ts';
import { type CommandEntry, sections } from './command-table.ts';
import { type CommonOptions, readCommonOptions, takeCommonWord } from './common-options.ts';
import type { Context } from './context.ts';
import { groupHelp, rootHelp } from './help.ts';

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
  const { path, entry, words, special } = findCommand(argv);
  if (special === 'version') return { kind: 'version' };
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

interface Found {
  path: string[];
  entry: CommandEntry | undefined;
  /** What is left for the command itself, common options included. */
  words: string[];
  special: 'help' | 'version' | undefined;
}

function findCommand(argv: readonly string[]): Found {
  const found: Found = { path: [], entry: undefined, words: [], special: undefined };
  let level: readonly CommandEntry[] = sections.flatMap(({ commands }) => commands);
  let index = 0;
  for (; index < argv.length && (found.entry?.load === undefined || level.length > 0); index++) {
    const word = argv[index] ?? '';
    const taken = takeCommonWord(argv, index);
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
      if (entry === undefined) throw unknownWord(word, found.path, level);
      found.entry = entry;
      found.path.push(entry.name);
      level = entry.children ?? [];
    }
  }
  found.words.push(...argv.slice(index));
  if (found.special === 'help' && found.entry?.load !== undefined) found.words = ['--help'];
  return found;
}

function unknownWord(word: string, path: readonly string[], level: readonly CommandEntry[]): AppError {
  const prefix = ['oncall', ...path].join(' ');
  if (word.startsWith('-')) {
    return new AppError('usage', `unknown option: ${word}`, { hint: `${prefix} --help` });
  }
  if (word === 'login' && path.length === 0) {
    return new AppError('usage', 'unknown command: login', {
      hint: 'there is nothing to sign in to; oncall enroll URL registers this device once',
    });
  }
  const names = level.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  const near = nearest(word, names);
  return new AppError('usage', `unknown command: ${[...path, word].join(' ')}`, {
    hint: near === undefined ? `${prefix} --help` : `did you mean ${prefix} ${near}`,
  });
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
    throw usageError(name, error);
  }
  const typed: Typed = {
    args: commander.args,
    options: commander.opts(),
    rest: end < 0 ? undefined : words.slice(end + 1),
  };
  try {
    return { kind: 'command', name, common: readCommonOptions(typed), ...command.prepare(typed) };
  } catch (error) {
    if (!(error instanceof AppError) || error.hint !== undefined) throw error;
    throw new AppError(error.code, error.message, { hint: `oncall ${name} --help` });
  }
}

/** All that can be typed behind the command's name, what every command takes included. */
export function declareAll(
  commander: Command,
  summary: string,
  command: Pick<AnyCommand, 'declare'>,
): Command {
  commander
    .description(summary)
    .exitOverride()
    .allowExcessArguments(false)
    .helpOption('-h, --help', 'show this page');
  command.declare(commander);
  return commander
    .option('-o, --output <format>', 'table, json or ndjson')
    .option('--json', 'short for -o json')
    .option('--profile <name>', 'which installation (ONCALL_PROFILE)')
    .option('--no-agent', 'neither use nor start the background agent (ONCALL_AGENT=off)');
}

/** commander says "error: …", and sometimes "(Did you mean …?)" on a second line. */
function usageError(name: string, error: CommanderError): AppError {
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const near = suggestion?.match(/Did you mean (.+)\?/)?.[1];
  return new AppError(
    'usage',
    first.replace('. Expected', ': expected').replace(/\.$/, '').replaceAll("'", ''),
    {
      hint: near === undefined ? `oncall ${name} --help` : `did you mean ${near}`,
    },
  );
}
