/**
 * The shape of a command, after gh: `declare` names arguments and options, `read` turns what was typed into typed options
 * and refuses what makes no sense, `run` does the work. The three are apart so that each is tested alone; a command's file
 * is loaded only when that command was asked for.
 */
import type { Command } from 'commander';
import type { NameList } from '../client/completion-names.ts';
import { parseDuration } from '../protocol/durations.ts';
import { AppError } from '../protocol/errors.ts';
import { parseTarget } from '../protocol/names.ts';
import type { Context } from './context.ts';
import type { OutputName } from './outputs.ts';
import { readIncidentRef } from './read-incident.ts';

/** What the parser found. `rest` is what followed `--`, undefined where there was no `--`. */
export interface Typed {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly rest: readonly string[] | undefined;
}

/** What the shell offers for one argument, or for the value of one option. */
export interface Offer {
  /** Live names, from the files that the client keeps; `profiles` are the folders of the installations. */
  readonly names?: readonly (NameList | 'profiles')[];
  /** Fixed words, with what each is where that is not plain. */
  readonly words?: readonly (string | readonly [word: string, description: string])[];
  readonly paths?: 'files' | 'folders';
  /** Another program and its arguments. */
  readonly program?: true;
}

/**
 * By the name of an argument (`targets`), by an option (`--incident`), and `--` for what stands behind that. What is not here is
 * words of the person's own.
 */
export type Completes = Readonly<Record<string, Offer>>;

/** A command line as somebody would type it, and what it is for. */
export type Example = readonly [line: string, says: string];

/** What help, the man pages and the tests know of a command besides its arguments and options. */
export interface CommandPage {
  /** What it writes with --json; none where its stdout is another program's, or empty. The usual one first. */
  readonly json: readonly OutputName[];
  readonly examples: readonly [Example, Example, ...Example[]];
}

export interface CommandSpec<Options> extends CommandPage {
  /** Names arguments and options on commander's command; nothing else. */
  declare(command: Command): void;
  readonly completes?: Completes;
  /** Throws AppError `usage`. */
  read(typed: Typed): Options;
  run(context: Context, options: Options): Promise<void>;
}

/** A command whose options' type is nobody else's business. */
export interface AnyCommand extends CommandPage {
  declare(command: Command): void;
  readonly completes: Completes;
  prepare(typed: Typed): { readonly options: unknown; run(context: Context): Promise<void> };
}

export function defineCommand<Options>(spec: CommandSpec<Options>): AnyCommand {
  return {
    json: spec.json,
    examples: spec.examples,
    declare: (command) => spec.declare(command),
    completes: spec.completes ?? {},
    prepare: (typed) => {
      const options = spec.read(typed);
      return { options, run: (context) => spec.run(context, options) };
    },
  };
}

// Completing ---------------------------------------------------------------------------------------------------------

/** What can be asked for: `db-replica`, `db-replica:write`, and bundles. */
export const TARGETS: Offer = { names: ['resources', 'roles', 'bundles'] };
export const INCIDENTS: Offer = { names: ['incidents'] };
export const FILES: Offer = { paths: 'files' };
export const FOLDERS: Offer = { paths: 'folders' };

// Reading ------------------------------------------------------------------------------------------------------------

export function textOption(typed: Typed, name: string): string | undefined {
  const value = typed.options[name];
  if (typeof value !== 'string') return undefined;
  if (value === '') throw new AppError('usage', `--${kebab(name)} is empty`);
  return value;
}

/** Throws `usage` that names the missing flag: nothing is asked where nobody can answer. */
export function requiredOption(typed: Typed, name: string, example: string): string {
  const value = textOption(typed, name);
  if (value === undefined) {
    throw new AppError('usage', `--${kebab(name)} is missing`, { hint: `add --${kebab(name)} ${example}` });
  }
  return value;
}

/** `-i`: an incident as people type it. Throws `usage`. */
export function incidentOption(typed: Typed): string | undefined {
  const text = textOption(typed, 'incident');
  return text === undefined ? undefined : readIncidentRef(text);
}

export function flagOption(typed: Typed, name: string): boolean {
  return typed.options[name] === true;
}

/** Whole seconds of `90s`, `2h`, `1h30m`. */
export function durationOption(typed: Typed, name: string): number | undefined {
  const text = textOption(typed, name);
  if (text === undefined) return undefined;
  const seconds = parseDuration(text);
  if (seconds === undefined) {
    throw new AppError('usage', `not a duration: --${kebab(name)} ${text}`, {
      hint: 'write it like 90s, 45m, 2h or 1h30m (at most 366d)',
    });
  }
  return seconds;
}

export interface TypedTarget {
  readonly resource: string;
  readonly role?: string;
}

/** `db-replica` or `db-replica:write`. Throws `usage`. */
export function readTarget(text: string): TypedTarget {
  const target = parseTarget(text);
  if (target === undefined) {
    throw new AppError('usage', `not a target: ${text}`, {
      hint: 'a target is a resource, or resource:role, such as db-replica:write; oncall resources lists them',
    });
  }
  return target.role === undefined
    ? { resource: target.resource }
    : { resource: target.resource, role: target.role };
}

export function firstArgument(typed: Typed, name: string): string {
  const [value] = typed.args;
  if (value === undefined) throw new AppError('usage', `${name} is missing`);
  return value;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
