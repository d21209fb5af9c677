/** Options that every command has. They may stand before or behind the command's name. */
import { parseDuration } from '../protocol/durations.ts';
import { AppError } from '../protocol/errors.ts';
import { isPartName, parseTarget } from '../protocol/names.ts';
import type { Completes, Typed } from './command.ts';
import type { OutputFormat } from './io.ts';

export interface CommonOptions {
  readonly format: OutputFormat;
  readonly profile: string | undefined;
  /** Whether the background agent may be used, and started. */
  readonly agent: boolean;
}

export const COMMON_COMPLETES: Completes = {
  '--output': { words: ['table', 'json', 'ndjson'] },
  '--profile': { names: ['profiles'] },
};

/** How many words at `index` are a common option and its value: 0, 1 or 2. */
export function takeCommonWord(argv: readonly string[], index: number): 0 | 1 | 2 {
  const word = argv[index] ?? '';
  if (word === '--json' || word === '--no-agent' || /^(--output=|--profile=|-o.)/.test(word)) return 1;
  return word === '-o' || word === '--output' || word === '--profile' ? 2 : 0;
}

/** Throws AppError `usage`. */
export function readCommonOptions({ options }: Typed): CommonOptions {
  const { output, json, profile } = options;
  if (typeof output === 'string' && !isFormat(output)) {
    throw new AppError('usage', `unknown output format: ${output}`, { hint: 'use -o table, json or ndjson' });
  }
  if (json === true && typeof output === 'string' && output !== 'json') {
    throw new AppError('usage', `--json and -o ${output} contradict each other`, { hint: 'use one of them' });
  }
  if (typeof profile === 'string' && !isPartName(profile)) {
    throw new AppError('usage', `not a profile name: ${profile}`, { hint: 'use a-z, 0-9 and -' });
  }
  return {
    format: json === true ? 'json' : typeof output === 'string' && isFormat(output) ? output : 'table',
    profile: typeof profile === 'string' ? profile : undefined,
    agent: options.agent !== false,
  };
}

/** The format that argv asks for, for errors that come before or out of parsing. */
export function formatOf(argv: readonly string[]): OutputFormat {
  let format: OutputFormat = 'table';
  for (const [index, word] of argv.entries()) {
    if (word === '--') break;
    const value =
      /^(?:-o|--output=)(.+)$/.exec(word)?.[1] ?? (/^(-o|--output)$/.test(word) ? argv[index + 1] : '');
    if (word === '--json') format = 'json';
    else if (value !== undefined && isFormat(value)) format = value;
  }
  return format;
}

/** Whether something is good for long enough: a question of scripts. */
export interface StatusCheck {
  readonly target: { readonly resource: string; readonly role?: string };
  readonly neededSeconds: number;
}

/**
 * `oncall status` (or `ls`) with nothing but common options and `--check`, which is answered without the parser. Undefined for
 * anything else, and for what the parser will refuse.
 */
export function readPlainStatus(
  argv: readonly string[],
): (CommonOptions & { readonly check: StatusCheck | undefined }) | undefined {
  const typed: Record<string, unknown> = {};
  let named = false;
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    const taken = takeCommonWord(argv, index);
    const own = /^--(check|expires-in)(?:=(.*))?$/.exec(word);
    if (own !== null) {
      const value = own[2] ?? argv[++index];
      if (!value || value.startsWith('-')) return undefined;
      typed[own[1] ?? ''] = value;
    } else if (taken === 0) {
      if (named || (word !== 'status' && word !== 'ls')) return undefined;
      named = true;
    } else if (word === '--json') {
      typed.json = true;
    } else if (word === '--no-agent') {
      typed.agent = false;
    } else {
      const value = taken === 2 ? argv[++index] : word.replace(/^(--\w+=|-o)/, '');
      if (!value) return undefined;
      typed[word.startsWith('--profile') ? 'profile' : 'output'] = value;
    }
  }
  const check = readPlainCheck(typed);
  if (!named || check === 'refused') return undefined;
  return { ...readCommonOptions({ args: [], options: typed, rest: undefined }), check };
}

function readPlainCheck(typed: Readonly<Record<string, unknown>>): StatusCheck | 'refused' | undefined {
  const { check, 'expires-in': expiresIn } = typed;
  if (typeof check !== 'string') return expiresIn === undefined ? undefined : 'refused';
  const target = parseTarget(check);
  const neededSeconds = typeof expiresIn === 'string' ? parseDuration(expiresIn) : 0;
  if (target === undefined || neededSeconds === undefined) return 'refused';
  const { resource, role } = target;
  return { target: role === undefined ? { resource } : { resource, role }, neededSeconds };
}

function isFormat(text: string): text is OutputFormat {
  return text === 'table' || text === 'json' || text === 'ndjson';
}
