import { askRequest, dryRunRequest, getIncident } from '../../client/calls.ts';
import { requireWritable } from '../../client/files.ts';
import { isAppError } from '../../protocol/errors.ts';
import type { AskRequest } from '../../protocol/messages.ts';
import {
  defineCommand,
  durationOption,
  flagOption,
  INCIDENTS,
  incidentOption,
  readTarget,
  TARGETS,
  type Typed,
  type TypedTarget,
  textOption,
} from '../command.ts';
import type { Context } from '../context.ts';
import { canAsk } from '../prompt.ts';
import { readIncidentRef } from '../read-incident.ts';
import { finishRequest, showDryRun } from '../request-flow.ts';

export interface AskOptions {
  readonly incident: string | undefined;
  readonly reason: string | undefined;
  readonly durationSeconds: number | undefined;
}

export interface RequestOptions extends AskOptions {
  /** Resources and bundles. None: the bundle of the incident; without that a person picks. */
  readonly targets: readonly TypedTarget[];
  readonly wait: boolean;
  readonly timeoutSeconds: number | undefined;
  readonly dryRun: boolean;
  /** Asked again under the same key within a day, it is the same request, whatever became of it. */
  readonly key: string | undefined;
}

export const requestCommand = defineCommand<RequestOptions>({
  json: ['request'],
  examples: [
    ['oncall request db-replica -i P1-123', 'the default role, for an incident'],
    [
      "oncall request db-replica:write -i P1-123 -r 'fix the index' -d 45m",
      'a wider role, with a reason, for 45 minutes',
    ],
    ['oncall request orders-incident -i P1-123 --wait --timeout 5m', 'a bundle, in a runbook'],
  ],
  declare: (command) =>
    void command
      .argument('[targets...]', 'resources, resource:role, or bundles (none: the bundle of the incident)')
      .option('-i, --incident <id>', 'the incident it is for (ONCALL_INCIDENT)')
      .option('-r, --reason <words>', 'why')
      .option('-d, --for <duration>', 'how long, such as 45m')
      .option('--wait', 'wait for an approval where one is needed (this is the default)')
      .option('--no-wait', 'do not wait: exit 8 where an approval is needed')
      .option('--timeout <duration>', 'wait this long at most')
      .option('--key <words>', 'the same key, the same request: for retries, good for a day')
      .option('--dry-run', 'decide and record nothing'),
  completes: { targets: TARGETS, '--incident': INCIDENTS },
  read: (typed) => ({
    targets: typed.args.map(readTarget),
    ...readAsk(typed),
    wait: typed.options.wait !== false,
    timeoutSeconds: durationOption(typed, 'timeout'),
    dryRun: flagOption(typed, 'dryRun'),
    key: textOption(typed, 'key'),
  }),
  run: runRequest,
});

export function readAsk(typed: Typed): AskOptions {
  return {
    incident: incidentOption(typed),
    reason: textOption(typed, 'reason'),
    durationSeconds: durationOption(typed, 'for'),
  };
}

export async function runRequest(context: Context, options: RequestOptions): Promise<void> {
  const isNamed = options.targets.length > 0 || options.incident !== undefined;
  const targets = isNamed ? options.targets : await pick(context);
  const ask = askFor(context, targets, options);
  const broker = await context.broker();
  if (options.dryRun) return showDryRun(context, await dryRunRequest(broker, ask));
  const { paths } = await context.clientContext();
  requireWritable(paths.stateDir, paths.runDir);
  const { key } = options;
  const idempotencyKey = key === undefined ? undefined : await keyFor(key);
  const send = (asked: AskRequest) =>
    askRequest(broker, asked, {
      meanwhile: prepareForGrant,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    });
  const request = await send(ask).catch(async (error: unknown) => {
    const { incident } = ask;
    if (targets.length > 0 || incident === undefined || !isAppError(error, 'not_found')) throw error;
    if (!canAsk(context.io)) throw error;
    // No bundle belongs to it: a person picks. That there is no such incident is said instead.
    await getIncident(broker, incident);
    return send({ ...ask, targets: await pick(context) });
  });
  await finishRequest(context, request, { command: 'request', ...options });
}

async function pick(context: Context): Promise<TypedTarget[]> {
  const { pickTargets } = await import('../pick-targets.ts');
  return pickTargets(context);
}

async function keyFor(words: string): Promise<string> {
  const { idempotencyKeyOf } = await import('../../client/idempotency.ts');
  return idempotencyKeyOf(words);
}

function prepareForGrant(): void {
  import('../../client/hold.ts').then(
    ({ prepareToHold }) => prepareToHold(),
    // Reported where it is needed.
    () => {},
  );
}

/** The message for these options; ONCALL_INCIDENT stands in for a missing `-i`. */
export function askFor(context: Context, targets: readonly TypedTarget[], options: AskOptions): AskRequest {
  const { ONCALL_INCIDENT } = context.env;
  const incident = options.incident ?? (ONCALL_INCIDENT ? readIncidentRef(ONCALL_INCIDENT) : undefined);
  const { reason, durationSeconds } = options;
  return {
    targets: [...targets],
    ...(incident !== undefined && { incident }),
    ...(reason !== undefined && { reason }),
    ...(durationSeconds !== undefined && { durationSeconds }),
  };
}
