// What help says is true: examples parse, topics name what the code reads, every schema is one, every hint can be typed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { AnyCommand } from '../../src/cli/command.ts';
import { type CommandEntry, sections } from '../../src/cli/command-table.ts';
import { rootHelp, type TopicName } from '../../src/cli/help.ts';
import { allHelp } from '../../src/cli/help-pages.ts';
import {
  EXIT_CODES,
  FILES,
  SET_VARIABLES,
  TOPICS,
  topicHelp,
  topics,
  VARIABLES,
} from '../../src/cli/help-topics.ts';
import { HINTS } from '../../src/cli/hints.ts';
import { outputs } from '../../src/cli/outputs.ts';
import { parseCommandLine } from '../../src/cli/program.ts';
import { resolvePaths } from '../../src/client/paths.ts';
import { ERROR_CODES } from '../../src/protocol/errors.ts';

interface Known {
  readonly name: string;
  readonly command: AnyCommand;
}

async function commandsOf(entries: readonly CommandEntry[], path: readonly string[] = []): Promise<Known[]> {
  const found = entries.map(async ({ name, load, children = [] }) => {
    const own = [...path, name];
    const below = await commandsOf(children, own);
    return load === undefined ? below : [{ name: own.join(' '), command: await load() }, ...below];
  });
  return (await Promise.all(found)).flat();
}

const commands = await commandsOf(sections.flatMap(({ commands }) => commands));
const helpOf = async (...argv: string[]) => {
  const parsed = await parseCommandLine(['help', ...argv]);
  if (parsed.kind !== 'help') throw new Error(`help ${argv.join(' ')} is no page`);
  return parsed.text;
};

/** As a shell would, as far as examples go. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word.replace(/['"]/g, ''));
}

describe.each(commands)('oncall $name', ({ name, command }) => {
  it('has examples that parse, and shows them', async () => {
    // A topic of the same name comes first under `help`.
    const parsed = await parseCommandLine([...name.split(' '), '--help']);
    const page = parsed.kind === 'help' ? parsed.text : '';
    expect(command.examples.length).toBeGreaterThanOrEqual(2);
    for (const [line, says] of command.examples) {
      expect(page).toContain(`  ${line}\n      ${says}\n`);
      const parts = line.split(/ (?:\|\||&&|[|>]) /).filter((part) => part.startsWith('oncall '));
      expect(parts.length).toBeGreaterThan(0);
      for (const part of parts)
        expect(await parseCommandLine(shellWords(part).slice(1))).toMatchObject({ kind: 'command' });
      expect(await parseCommandLine(shellWords(parts[0]!).slice(1))).toMatchObject({ name });
    }
  });

  it('publishes the schema of what it writes', async () => {
    if (command.json.length === 0) return expect(WRITES_NONE).toContain(name);
    expect(command.json[0]).toBe(name.replaceAll(' ', '.'));
    const schema = JSON.parse(await helpOf('json', ...name.split(' '), '--schema'));
    expect(new Ajv2020.default({ strict: false }).compile(schema)).toBeTypeOf('function');
    const text = await helpOf('json', ...name.split(' '));
    for (const output of command.json) expect(text).toContain(`"oncall.${output}/v1"`);
  });
});

/** Their stdout is another program's, or logs, or empty. */
const WRITES_NONE = ['run', 'connect', 'held', 'agent', 'host run', 'broker serve'];

describe('schemas', () => {
  it('are each the output of a command, or of all', () => {
    const declared = commands.flatMap(({ command }) => command.json);
    expect([...declared, 'error', 'note', 'warning'].sort()).toEqual(Object.keys(outputs).sort());
  });

  it('take members that are not known yet, because they may come under the same version', async () => {
    const ajv = new Ajv2020.default({ strict: false });
    const validate = ajv.compile(JSON.parse(await helpOf('json', 'agent', 'stop', '--schema')));
    expect(validate({ schema: 'oncall.agent.stop/v1', stopped: true, since: 'later' })).toBe(true);
    expect(validate({ schema: 'oncall.agent.stop/v1' })).toBe(false);
    expect(validate({ schema: 'oncall.agent.stop/v2', stopped: true })).toBe(false);
  });

  it('of an error knows what every error has', async () => {
    const { required } = JSON.parse(await helpOf('json', 'error', '--schema'));
    expect(required).toEqual(['schema', 'code', 'message', 'hint', 'exitCode', 'correlationId']);
  });
});

describe('the first page', () => {
  it('is short, fits a terminal, and leads to the others', () => {
    const lines = rootHelp().split('\n');
    expect(lines.length).toBeLessThan(24);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.filter((line) => line.startsWith('  oncall ') && !line.includes(' help '))).toHaveLength(6);
    for (const topic of Object.keys(TOPICS)) expect(rootHelp()).toContain(topic);
  });

  it('shows what parses', async () => {
    const shown = rootHelp().matchAll(/^ {2}(oncall (?!help).*?) {2,}/gm);
    for (const [, line = ''] of shown)
      expect(await parseCommandLine(shellWords(line).slice(1))).toMatchObject({ kind: 'command' });
  });

  it('of all commands is under all and commands', async () => {
    expect(await helpOf('all')).toBe(allHelp());
    expect(await helpOf('commands')).toBe(allHelp());
  });
});

describe.each(Object.keys(TOPICS) as TopicName[])('oncall help %s', (topic) => {
  it('fits a terminal', async () => {
    const page = await helpOf(topic);
    expect(page).toBe(topicHelp(topic));
    expect(page.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('names commands and options that exist', async () => {
    await expectTypeable(JSON.stringify(topics[topic]));
  });
});

describe('topics', () => {
  it('know every exit code', () => {
    const known = EXIT_CODES.map(([code]) => Number(code));
    expect(known).toEqual(expect.arrayContaining([0, 125, 126, 127, ...Object.values(ERROR_CODES)]));
  });

  it('know every variable of ours that is read or set, and no other', () => {
    const inCode = new Set(
      [...source('src')]
        .flatMap(({ text }) => [...text.matchAll(/(?:env\.|['"`{ ])(ONCALL_[A-Z_]+)\b(?!\s*=>)/g)])
        .map(([, name]) => name!),
    );
    const said = new Set([...VARIABLES, ...SET_VARIABLES].flatMap(([names]) => names.split(', ')));
    for (const name of INTERNAL) inCode.delete(name);
    expect([...said].filter((name) => name.startsWith('ONCALL_')).sort()).toEqual([...inCode].sort());
  });

  it('name variables of other tools that occur in the code', () => {
    const targets = source('src/client')
      .map(({ text }) => text)
      .join('\n');
    for (const [names] of SET_VARIABLES)
      for (const name of names.split(', '))
        expect({ name, is: targets.includes(name) }).toEqual({ name, is: true });
  });

  it('know where files are', () => {
    const roots = {
      XDG_CONFIG_HOME: '/c',
      XDG_STATE_HOME: '/s',
      XDG_CACHE_HOME: '/k',
      XDG_RUNTIME_DIR: '/r',
    };
    const paths = new Set(Object.values(resolvePaths(roots, 'default')));
    for (const [file] of FILES) {
      const path = file.replace(/\$(\w+)/, (_, name: keyof typeof roots) => roots[name]);
      const isKnown = paths.has(path) || [...paths].some((known) => known.startsWith(`${path}/`));
      expect({ file, isKnown }).toEqual({ file, isKnown: true });
    }
  });
});

/** Put in at build time; in a table of what tools' files quote. */
const INTERNAL = ['ONCALL_VERSION', 'ONCALL_CERT_QUERY_TOOL'];

describe('every error', () => {
  const files = ['src/cli', 'src/client', 'src/agent'].flatMap((folder) => source(folder));
  const sites = files.flatMap(({ file, text }) => callsOf(text).map((call) => ({ file, call })));

  it('has a hint of its own, or one for its code', () => {
    const without = sites.filter(({ call }) => !call.includes('hint'));
    const bare = without.filter(({ file, call }) => {
      const code = /new AppError\(\s*'(\w+)'/.exec(call)?.[1];
      // Wrong usage gets the command's own page (program.ts); these say the same wherever they come from.
      const isUsage = code === 'usage' && file.startsWith('src/cli/');
      return !isUsage && !['interrupted', 'internal'].includes(code ?? '') && !SEEN_BY_NOBODY.includes(file);
    });
    expect(sites.length).toBeGreaterThan(150);
    expect(bare).toEqual([]);
  });

  it('has a hint that can be typed: commands and options that exist', async () => {
    for (const { call } of [
      ...sites,
      ...source('src/broker').flatMap(({ text }) => callsOf(text).map((call) => ({ call }))),
    ])
      await expectTypeable(call.slice(call.indexOf('hint')));
    await expectTypeable(JSON.stringify(HINTS));
  });

  it('of every code says something', () => {
    expect(Object.keys(HINTS)).toEqual(Object.keys(ERROR_CODES));
  });
});

/** Between the agent and a command of ours, and in a file's name that we made. */
const SEEN_BY_NOBODY = ['src/agent/serve.ts', 'src/client/credentials.ts'];

function source(folder: string): { file: string; text: string }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ file: join(folder, name), text: readFileSync(join(folder, name), 'utf8') }));
}

/** Each `new AppError(…)`, up to its closing parenthesis. */
function callsOf(text: string): string[] {
  return [...text.matchAll(/new AppError\(/g)].map(({ index }) => {
    let depth = 0;
    let quote = '';
    for (let at = index + 'new AppError'.length; at < text.length; at++) {
      const sign = text[at]!;
      if (quote !== '') {
        if (sign === '\\') at++;
        else if (sign === quote) quote = '';
      } else if (`'"\``.includes(sign)) quote = sign;
      else if (sign === '(') depth++;
      else if (sign === ')' && --depth === 0) return text.slice(index, at + 1);
    }
    throw new Error('an AppError without an end');
  });
}

/** Every `oncall …` in a text must be a command, with options that it has. */
async function expectTypeable(text: string): Promise<void> {
  for (const [, said = ''] of text.matchAll(/\boncall ((?:(?!\boncall ).)*)/gs)) {
    const words = (said.split(/[;,]/)[0] ?? '').split(/[\s'"`\\:()]+/);
    if (words[0]?.startsWith('$') || !/^(-|[a-z]+)/.test(words[0] ?? '')) continue;
    const isPage = words[0] === 'help' || words[0] === '--version' || words[0] === '--help';
    const problem = isPage ? undefined : await problemWith(words);
    expect({ said, problem }).toEqual({ said, problem: undefined });
  }
}

async function problemWith(words: readonly string[]): Promise<string | undefined> {
  let level: readonly CommandEntry[] = sections.flatMap(({ commands }) => commands);
  let entry: CommandEntry | undefined;
  for (const word of words) {
    const next = level.find(({ name, aliases = [] }) => name === word || aliases.includes(word));
    if (next === undefined) break;
    entry = next;
    level = next.children ?? [];
  }
  // While it is only a word that others stand behind.
  if (words[0] === 'break-glass' && entry?.load === undefined) return undefined;
  if (entry === undefined) return PROSE.includes(words[0] ?? '') ? undefined : `${words[0]} is no command`;
  const command = await entry.load?.();
  const commander = new Command();
  command?.declare(commander);
  const options = new Set([...COMMON, ...commander.options.flatMap(({ long, short }) => [long, short])]);
  return words.find((word) => /^--?[a-z]/.test(word) && !options.has(word));
}

const COMMON = ['--json', '-o', '--output', '--profile', '--no-agent', '--help'];
/** Our own name as a word. */
const PROSE = [
  'in',
  'older',
  'newer',
  'here',
  'there',
  'itself',
  'on',
  'knows',
  'that',
  'and',
  'is',
  'was',
  'of',
];
