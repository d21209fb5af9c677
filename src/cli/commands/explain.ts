import { explain, getStatus } from '../../client/calls.ts';
import { formatDuration } from '../../protocol/durations.ts';
import type { Explain, Explanation, FactView } from '../../protocol/messages.ts';
import {
  defineCommand,
  durationOption,
  firstArgument,
  flagOption,
  INCIDENTS,
  incidentOption,
  readTarget,
  textOption,
} from '../command.ts';
import type { Context } from '../context.ts';
import { type Line, writeResult } from '../io.ts';
import { resolveId } from '../match-id.ts';
import { propertyLines, tableLines } from '../table.ts';
import { localWords } from '../times.ts';
import { breakGlassCommandFor } from '../views/break-glass-words.ts';
import { decisionLines } from '../views/requests.ts';

export interface ExplainOptions {
  /** `req_…` (or the beginning of one), or a target. */
  readonly about: string;
  readonly incident: string | undefined;
  readonly durationSeconds: number | undefined;
  readonly hasReason: boolean;
}

export const explainCommand = defineCommand<ExplainOptions>({
  json: ['explain'],
  examples: [
    ['oncall explain db-replica:write -i P1-123', 'which rules decide, and what would change it'],
    ['oncall explain req_01kdz', 'the same for a request that was made'],
  ],
  declare: (command) =>
    void command
      .argument('<about>', 'a resource, resource:role, or a request')
      .option('-i, --incident <id>', 'as if asked for this incident')
      .option('-d, --for <duration>', 'as if asked for this long')
      .option('-r, --reason [words]', 'as if a reason was given'),
  completes: { about: { names: ['resources', 'roles', 'requests'] }, '--incident': INCIDENTS },
  read: (typed) => {
    const about = firstArgument(typed, 'about');
    if (!isRequest(about)) readTarget(about);
    return {
      about,
      incident: incidentOption(typed),
      durationSeconds: durationOption(typed, 'for'),
      hasReason: flagOption(typed, 'reason') || textOption(typed, 'reason') !== undefined,
    };
  },
  run: runExplain,
});

export async function runExplain(context: Context, options: ExplainOptions): Promise<void> {
  const broker = await context.broker();
  const { about, incident, durationSeconds } = options;
  const asked: Explain = isRequest(about)
    ? { requestId: await resolveId(about, 'request', async () => (await getStatus(broker)).pending) }
    : {
        target: readTarget(about),
        ...(incident !== undefined && { incident }),
        ...(durationSeconds !== undefined && { durationSeconds }),
        ...(options.hasReason && { hasReason: true }),
      };
  const explanation = await explain(broker, asked);
  await writeResult(context.io, context.format, {
    command: 'explain',
    data: explanation,
    lines: () => explanationLines(explanation, context.now()),
  });
}

function isRequest(about: string): boolean {
  return about.startsWith('req_');
}

function explanationLines(explanation: Explanation, now: number): Line[] {
  const { user, decision, durationSeconds, facts, changes, ...rest } = explanation;
  const { breakGlass = [] } = rest;
  return [
    ...decisionLines(decision),
    '',
    ...propertyLines([
      ['user', user],
      ['for', formatDuration(durationSeconds)],
      ['policy', rest.policySha256.slice(0, 12)],
      ['catalogue', rest.catalogueSha256.slice(0, 12)],
    ]),
    '',
    ...tableLines(facts, [
      { header: 'FACT', cell: ({ name }) => ({ text: name, style: 'bold' }) },
      {
        header: 'VALUE',
        cell: (fact) => ({ text: localWords(valueText(fact), now), style: fact.known ? 'bold' : 'yellow' }),
      },
      { header: 'SOURCE', cell: ({ source }) => source },
      { header: 'AGE', cell: ({ ageSeconds }) => formatDuration(ageSeconds) },
    ]),
    ...(changes.length === 0 ? [] : ['']),
    ...changes.map(
      ({ words, effect }): Line => [
        `${words}: `,
        effect === 'grant' ? 'granted' : effect === 'ask' ? 'could be asked for' : 'denied',
      ],
    ),
    ...(breakGlass.length === 0 ? [] : ['', `what can not wait: ${breakGlassCommandFor(breakGlass)}`]),
  ];
}

/** `onCall=true level=1` for a fact of several parts. */
function valueText({ known, value }: FactView): string {
  if (!known) return 'unknown';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return plain(value);
  return Object.entries(value)
    .map(([name, part]) => `${name}=${plain(part)}`)
    .join(' ');
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.map(plain).join(',') || '-';
  return typeof value === 'string' ? value || '-' : JSON.stringify(value);
}
