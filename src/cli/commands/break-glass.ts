/**
 * Break-glass. The broker is asked first, for a moment: it may answer, and what it has refused stays refused. Where it does not
 * decide, what this device keeps for that time is opened (break-glass-offline.ts).
 */
import { askBreakGlass, listBreakGlass } from '../../client/break-glass-calls.ts';
import { getIncident } from '../../client/calls.ts';
import { createIdempotencyKey } from '../../client/idempotency.ts';
import { outcomeWithin } from '../../client/outcome.ts';
import { formatDuration } from '../../protocol/durations.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { AskBreakGlass, BreakGlassOption, RequestView } from '../../protocol/messages.ts';
import { decideOrOpen, showOpened } from '../break-glass-offline.ts';
import {
  defineCommand,
  durationOption,
  INCIDENTS,
  incidentOption,
  readTarget,
  TARGETS,
  type TypedTarget,
  textOption,
} from '../command.ts';
import type { Context } from '../context.ts';
import { canAsk, chooseSome, confirm } from '../prompt.ts';
import { askLongReason } from '../reason.ts';
import { finishRequest } from '../request-flow.ts';
import { breakGlassLines } from '../views/opened-glass.ts';
import { askFor } from './request.ts';

/** Longer than a broker takes that is well, and no longer than somebody waits who has to get in. */
const SURE_MS = 1500;
/** A call goes on for so long at most while there is nothing else to be done. */
const CALL_MS = 15_000;

export interface BreakGlassOptions {
  /** None: the bundle of the incident; without that a person picks. */
  readonly targets: readonly TypedTarget[];
  readonly incident: string | undefined;
  readonly reason: string | undefined;
  readonly durationSeconds: number | undefined;
  readonly wait: boolean;
  readonly timeoutSeconds: number | undefined;
}

export const breakGlassCommand = defineCommand<BreakGlassOptions>({
  json: ['break-glass'],
  examples: [
    [
      "oncall break-glass db-replica --reason 'primary is down, need the lag'",
      'open at once, whether the broker answers or not',
    ],
    ["oncall break-glass -i P1-123 --reason 'paged, approver asleep'", 'the bundle of an incident'],
  ],
  declare: (command) =>
    void command
      .argument('[targets...]', 'resources, resource:role, or bundles (none: the bundle of the incident)')
      .option('-r, --reason <words>', 'what is broken, and why it cannot wait (at least 10 characters)')
      .option('-i, --incident <id>', 'the incident it is for (ONCALL_INCIDENT)')
      .option('-d, --for <duration>', 'how long, within the cap for break-glass')
      .option('--wait', 'where a second person is needed, wait for them (this is the default)')
      .option('--no-wait', 'do not wait: exit 8 where a second person is needed')
      .option('--timeout <duration>', 'wait this long at most'),
  read: (typed) => ({
    targets: typed.args.map(readTarget),
    incident: incidentOption(typed),
    reason: textOption(typed, 'reason'),
    durationSeconds: durationOption(typed, 'for'),
    wait: typed.options.wait !== false,
    timeoutSeconds: durationOption(typed, 'timeout'),
  }),
  completes: { targets: TARGETS, '--incident': INCIDENTS },
  run: runBreakGlass,
});

export async function runBreakGlass(context: Context, options: BreakGlassOptions): Promise<void> {
  const reason = await askLongReason(context.io, options.reason, 'what is broken, and why can it not wait?');
  const asked: AskBreakGlass = { ...askFor(context, options.targets, options), reason };
  const isNamed = asked.targets.length > 0 || asked.incident !== undefined;
  const targets = isNamed ? asked.targets : ((await pick(context)) ?? []);
  const isDone = await open(context, { ...asked, targets }, options);
  // No bundle belongs to the incident: somebody has to say what they need.
  if (!isDone) await open(context, { ...asked, targets: (await pick(context)) ?? [] }, options);
}

/** False where the broker knows the incident, and no bundle that belongs to it. */
async function open(context: Context, ask: AskBreakGlass, options: BreakGlassOptions): Promise<boolean> {
  const broker = await context.broker();
  const { targets, incident, reason } = ask;
  // However often it is sent, it is one request.
  const idempotencyKey = createIdempotencyKey();
  const send = (signal: AbortSignal) =>
    askBreakGlass(broker, ask, { signal, idempotencyKey, timeoutMs: CALL_MS });
  const wanted = { targets, reason, incident, drill: false };
  const outcome = await decideOrOpen(context, wanted, send).catch(async (error: unknown) => {
    if (targets.length > 0 || incident === undefined || !isAppError(error, 'not_found') || !error.isSigned)
      throw error;
    // That there is no such incident is said instead.
    await getIncident(broker, incident);
    return undefined;
  });
  if (outcome === undefined) return false;
  if (outcome.kind === 'opened') {
    await showOpened(context, outcome.opened, outcome.probes);
    return true;
  }
  const { wait, timeoutSeconds } = options;
  const lines = (request: RequestView) => breakGlassLines(request, context.now());
  await finishRequest(context, outcome.value, { command: 'break-glass', wait, timeoutSeconds, lines });
  return true;
}

/** What a person picks and confirms; undefined where the broker does not say what is possible. */
async function pick(context: Context): Promise<TypedTarget[] | undefined> {
  const { io } = context;
  const listed = listBreakGlass(await context.broker(), { timeoutMs: CALL_MS });
  const outcome = await outcomeWithin(listed, SURE_MS);
  if (outcome.kind === 'refused') throw outcome.error;
  if (outcome.kind === 'undecided') return undefined;
  const { options } = outcome.value;
  if (options.length === 0) {
    throw new AppError('denied', 'there is nothing that you may open by break-glass', {
      hint: 'oncall request',
    });
  }
  if (!canAsk(io)) {
    throw new AppError('usage', 'no target is named', {
      hint: `it is possible on ${options.map(nameOf).join(', ')}`,
    });
  }
  const choices = options.flatMap((option) =>
    option.roles.map((role) => ({ label: labelOf(option, role), value: `${option.resource}:${role}` })),
  );
  const chosen = await chooseSome(io, 'BREAK-GLASS: which access can not wait?', choices);
  const isSure = await confirm(
    io,
    `open ${chosen.join(' ')} now? Everybody concerned is told, and it is reviewed`,
  );
  if (!isSure) throw new AppError('interrupted', 'interrupted', { hint: 'nothing was opened' });
  return chosen.map(readTarget);
}

function nameOf({ resource, roles }: BreakGlassOption): string {
  return roles.length === 1 ? resource : `${resource}:${roles.join('|')}`;
}

function labelOf(
  { resource, description, windowSeconds, twoPerson }: BreakGlassOption,
  role: string,
): string {
  const second = twoPerson ? ', with a second person' : '';
  const words = description === null ? '' : `  ${description}`;
  return `${resource}:${role}  for ${formatDuration(windowSeconds)}${second}${words}`;
}
