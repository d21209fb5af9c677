/** `oncall help` with a word that is no command: every command, a topic, what a command writes as JSON. Loaded when it is asked for. */
import { AppError } from '../protocol/errors.ts';
import { type CommandEntry, sections } from './command-table.ts';
import { entryLines, isTopic } from './help.ts';
import { TOPICS, topicHelp } from './help-topics.ts';

type Find = (words: readonly string[]) => Promise<CommandEntry | undefined>;

const JSON_HINT = 'oncall help json request --schema';

/** `find` throws AppError `usage` for words that are no command, as this does for what is no page. */
export async function helpPage([word = '', ...rest]: readonly string[], find: Find): Promise<string> {
  if (!isTopic(word)) return allHelp();
  if (word === 'json' && rest.length > 0) return jsonPage(rest, find);
  if (rest.length > 0) throw new AppError('usage', 'one topic at a time', { hint: `oncall help ${word}` });
  return topicHelp(word);
}

/** `oncall help json devices list --schema`. */
async function jsonPage(rest: readonly string[], find: Find): Promise<string> {
  const words = rest.filter((word) => word !== '--schema');
  const title = words.join(' ');
  const { jsonHelp } = await import('./help-json.ts');
  const asSchema = words.length < rest.length;
  if (words.length === 0) throw new AppError('usage', '--schema of which command?', { hint: JSON_HINT });
  if (title === 'error' || title === 'warning' || title === 'note')
    return jsonHelp({ names: [title], asSchema }, title);
  const names = (await (await find(words))?.load?.())?.json;
  if (names === undefined) throw new AppError('usage', `${title} is not one command`, { hint: JSON_HINT });
  return jsonHelp({ names, asSchema }, `oncall ${title}`);
}

/** Every command, by what it is for. */
export function allHelp(): string {
  const widest = Math.max(...sections.flatMap(({ commands }) => commands.map(({ name }) => name.length)));
  return `Usage: oncall <command> [options]

${sections.map(({ title, commands }) => `${title}\n${entryLines(commands, widest)}`).join('\n\n')}

Options of every command
  -o, --output <format>  table, json or ndjson
  --json                 short for -o json
  --profile <name>       which installation (ONCALL_PROFILE)
  --no-agent             neither use nor start the background agent (ONCALL_AGENT=off)
  -h, --help             more about a command
  -V, --version          the version

Topics (oncall help <topic>)
${entryLines(
  Object.entries(TOPICS).map(([name, summary]) => ({ name, summary })),
  widest,
)}
`;
}
