import { readSafeFile } from '../../client/files.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { type Line, writeResult } from '../io.ts';
import { localTime, localWords } from '../times.ts';

export const agentLogsCommand = defineCommand<null>({
  json: ['agent.logs'],
  examples: [
    ['oncall agent logs', 'what the agent has done, oldest first'],
    ['oncall agent logs -o ndjson', 'the same for a log collector'],
  ],
  declare: () => {},
  read: () => null,
  run: runAgentLogs,
});

type Entry = Readonly<Record<string, unknown>>;

/** What this device's agents have done, oldest first, as far as it is kept. */
export async function runAgentLogs(context: Context): Promise<void> {
  const { agentLog } = (await context.clientContext()).paths;
  const lines = [`${agentLog}.1`, agentLog].flatMap(readEntries);
  await writeResult(context.io, context.format, {
    command: 'agent.logs',
    data: { file: agentLog, lines },
    lines: () =>
      lines.length === 0 ? ['nothing is logged'] : lines.map((entry) => entryLine(entry, context.now())),
  });
}

/** A line that was cut off by a full disk is left out. */
function readEntries(path: string): Entry[] {
  const text = readSafeFile(path)?.toString('utf8') ?? '';
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Entry];
    } catch {
      return [];
    }
  });
}

function entryLine({ at, event, ...more }: Entry, now: number): Line {
  const words = Object.entries(more).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]));
  const when = typeof at === 'string' ? localTime(Date.parse(at), now) : '';
  return [{ text: when, style: 'dim' }, ` ${event} `, localWords(words.join(' '), now)];
}
