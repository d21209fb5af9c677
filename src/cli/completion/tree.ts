/**
 * All that can be typed, read off the commands themselves for the completion scripts. Runs when the package is built, never on the
 * engineer's machine.
 */
import { Command } from 'commander';
import type { AnyCommand, Completes, Offer } from '../command.ts';
import { type CommandEntry, sections } from '../command-table.ts';
import { COMMON_COMPLETES } from '../common-options.ts';
import { declareAll } from '../program.ts';

export interface CompletedChild {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
}

export interface CompletedOption {
  /** `-i` and `--incident`. */
  readonly flags: readonly string[];
  readonly summary: string;
  /** `perhaps`: the next word is its value unless that begins with a dash. */
  readonly takes: 'nothing' | 'value' | 'perhaps';
  readonly offer: Offer | undefined;
}

export interface CompletedCommand {
  /** Its words; none for `oncall` itself. */
  readonly path: readonly string[];
  readonly children: readonly CompletedChild[];
  readonly options: readonly CompletedOption[];
  readonly arguments: readonly { readonly offer: Offer | undefined; readonly isMany: boolean }[];
  /** What stands behind `--`. */
  readonly rest: Offer | undefined;
}

/** In the order of the help page, each before its children. Throws where a command completes what it does not declare. */
export async function readTree(
  entries: readonly CommandEntry[] = sections.flatMap(({ commands }) => commands),
): Promise<CompletedCommand[]> {
  const root = readCommand([], entries, { declare: () => {}, completes: {} });
  const version = {
    flags: ['-V', '--version'],
    summary: 'the version',
    takes: 'nothing',
    offer: undefined,
  } as const;
  const below = await Promise.all(entries.map((entry) => readEntry([], entry)));
  return [{ ...root, options: [...root.options, version] }, ...below.flat()];
}

async function readEntry(above: readonly string[], entry: CommandEntry): Promise<CompletedCommand[]> {
  const path = [...above, entry.name];
  const children = entry.children ?? [];
  const own = readCommand(path, children, (await entry.load?.()) ?? { declare: () => {}, completes: {} });
  return [own, ...(await Promise.all(children.map((child) => readEntry(path, child)))).flat()];
}

function readCommand(
  path: readonly string[],
  entries: readonly CommandEntry[],
  command: Pick<AnyCommand, 'declare' | 'completes'>,
): CompletedCommand {
  const declared = declareAll(new Command(), '', command);
  const completes: Completes = { ...COMMON_COMPLETES, ...command.completes };
  const used = new Set<string>();
  const offerFor = (name: string, choices: readonly string[] | undefined): Offer | undefined => {
    used.add(name);
    return completes[name] ?? (choices && { words: choices });
  };
  const options = declared.options
    .filter(({ hidden }) => !hidden)
    .map((option): CompletedOption => {
      const flags = [option.short, option.long].filter((flag) => flag !== undefined);
      return {
        flags,
        summary: option.description,
        takes: option.required ? 'value' : option.optional ? 'perhaps' : 'nothing',
        offer: offerFor(flags.at(-1) ?? '', option.argChoices),
      };
    });
  const help = {
    flags: ['-h', '--help'],
    summary: 'more about it',
    takes: 'nothing',
    offer: undefined,
  } as const;
  const result: CompletedCommand = {
    path,
    children: entries.map(({ name, aliases = [], summary }) => ({ name, aliases, summary })),
    options: [...options, help],
    arguments: declared.registeredArguments.map((argument) => ({
      offer: offerFor(argument.name(), argument.argChoices),
      isMany: argument.variadic,
    })),
    rest: offerFor('--', undefined),
  };
  const unknown = Object.keys(completes).filter((name) => !used.has(name));
  if (unknown.length > 0)
    throw new Error(`oncall ${path.join(' ')} completes what it does not take: ${unknown.join(', ')}`);
  return result;
}
