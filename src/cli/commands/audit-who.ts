import type { AuditEntry } from '../../audit/entry.ts';
import type { FindEntries } from '../../audit/trace.ts';
import { MOST_NAME_LENGTH } from '../../audit/trace-names.ts';
import { AppError } from '../../protocol/errors.ts';
import type { AuditWho } from '../../protocol/messages.ts';
import { formatInstant } from '../../protocol/time.ts';
import { defineCommand, FILES, firstArgument, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { linesOf } from '../export-file.ts';
import { warn, writeHint, writeResult } from '../io.ts';
import { traceLines } from '../views/traces.ts';

export interface AuditWhoOptions {
  readonly name: string;
  /** RFC 3339 in UTC. */
  readonly at: string | undefined;
  /** An export, in place of the broker. */
  readonly file: string | undefined;
}

/** RFC 3339, seconds and their fraction optional: what a target's log says, where it says the zone. */
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

/** In an entry's text. */
const HANDLE = /"handle":"([^"\\]{1,128})"/;
/** Names that a mistyped one may have meant. */
const MOST_NEAR = 5000;

export const auditWhoCommand = defineCommand<AuditWhoOptions>({
  json: ['audit.who'],
  examples: [
    [
      'oncall audit who oncall_ana_7f3k --at 2026-01-05T02:14:00Z',
      'who acted under a database role at that time',
    ],
    ['oncall audit who 4711 --file audit.ndjson', 'the same from an export, offline'],
  ],
  declare: (command) =>
    void command
      .argument('<name>', 'a role, a key id, a serial, an account: as the target wrote it')
      .option('--at <time>', 'when, with its zone: 2026-01-05T02:14:00Z')
      .option('--file <file>', 'search an export, offline'),
  completes: { '--file': FILES },
  read: (typed) => ({
    name: readName(firstArgument(typed, 'name')),
    at: readTime(textOption(typed, 'at')),
    file: textOption(typed, 'file'),
  }),
  run: runAuditWho,
});

export async function runAuditWho(context: Context, options: AuditWhoOptions): Promise<void> {
  const { file } = options;
  const data = file === undefined ? await askBroker(context, options) : await searchFile(file, options);
  for (const { contradiction } of data.traces)
    if (contradiction !== null) await warn(context.io, contradiction);
  await writeResult(context.io, context.format, {
    command: 'audit.who',
    data,
    lines: () => traceLines(data, context.now()),
  });
  if (file !== undefined && context.format === 'table')
    await writeHint(context.io, `whether the file can be believed: oncall audit verify ${file}`);
}

async function askBroker(context: Context, { name, at }: AuditWhoOptions): Promise<AuditWho> {
  const { askWho } = await import('../../client/calls.ts');
  return askWho(await context.broker(), name, at);
}

async function searchFile(file: string, { name, at }: AuditWhoOptions): Promise<AuditWho> {
  const { traceName, unknownName } = await import('../../audit/trace.ts');
  const { nearest } = await import('../../catalogue/nearest.ts');
  const handles = new Set<string>();
  const find = findInFile(file, handles);
  const traces = await traceName(find, name, at === undefined ? undefined : Date.parse(at));
  if (traces.length > 0) return { name, at: at ?? null, traces };
  throw unknownName(at === undefined ? [] : await traceName(find, name, undefined), nearest(name, handles));
}

/** Reads the file anew for each question: it may be larger than memory. */
function findInFile(file: string, handles: Set<string>): FindEntries {
  return async (values, events) => {
    const { parseHeader, parseLine } = await import('../../audit/export.ts');
    const needles = [...values].map((value) => JSON.stringify(value));
    const found: AuditEntry[] = [];
    let isFirst = true;
    for await (const text of linesOf(file)) {
      if (isFirst) parseHeader(text);
      isFirst = false;
      const handle = HANDLE.exec(text)?.[1];
      if (handle !== undefined && handles.size < MOST_NEAR) handles.add(handle);
      // Most lines are none of these, and parsing costs the most.
      if (!needles.some((needle) => text.includes(needle))) continue;
      const line = parseLine(text);
      if (line.kind !== 'entry') continue;
      if (events !== undefined && !events.includes(line.entry.event)) continue;
      if (Object.values(line.entry.subject ?? {}).some((value) => values.has(value))) found.push(line.entry);
    }
    return found;
  };
}

function readName(text: string): string {
  const name = text.trim().toWellFormed();
  if (name !== '' && name.length <= MOST_NAME_LENGTH) return name;
  throw new AppError(
    'usage',
    name === '' ? 'the name is empty' : `a name has at most ${MOST_NAME_LENGTH} characters`,
  );
}

function readTime(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const ms = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new AppError('usage', `not a time with its zone: --at ${text}`, {
      hint: 'write it like 2026-01-05T02:14:00Z or 2026-01-05T03:14:00+01:00',
    });
  }
  return formatInstant(ms);
}
