import { askRequest, dryRunRequest, listResources } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import type { AskRequest } from '../../protocol/messages.ts';
import {
  defineCommand,
  durationOption,
  flagOption,
  readTarget,
  type Typed,
  type TypedTarget,
  textOption,
} from '../command.ts';
import type { Context } from '../context.ts';
import { canAsk, chooseSome } from '../prompt.ts';
import { readIncidentId } from '../read-incident.ts';
import { finishRequest, showDryRun } from '../request-flow.ts';

export interface AskOptions {
  readonly incident: string | undefined;
  readonly reason: string | undefined;
  readonly durationSeconds: number | undefined;
}

export interface RequestOptions extends AskOptions {
  /** None: a person picks. */
  readonly targets: readonly TypedTarget[];
  readonly wait: boolean;
  readonly timeoutSeconds: number | undefined;
  readonly dryRun: boolean;
}

export const requestCommand = defineCommand<RequestOptions>({
  declare: (command) =>
    void command
      .argument('[targets...]', 'resources, or resource:role')
      .option('-i, --incident <id>', 'the incident it is for (ONCALL_INCIDENT)')
      .option('-r, --reason <words>', 'why')
      .option('-d, --for <duration>', 'how long, such as 45m')
      .option('--wait', 'wait for an approval where one is needed (this is the default)')
      .option('--no-wait', 'do not wait: exit 8 where an approval is needed')
      .option('--timeout <duration>', 'wait this long at most')
      .option('--dry-run', 'decide and record nothing'),
  read: (typed) => ({
    targets: typed.args.map(readTarget),
    ...readAsk(typed),
    wait: typed.options.wait !== false,
    timeoutSeconds: durationOption(typed, 'timeout'),
    dryRun: flagOption(typed, 'dryRun'),
  }),
  run: runRequest,
});

export function readAsk(typed: Typed): AskOptions {
  const incident = textOption(typed, 'incident');
  return {
    incident: incident === undefined ? undefined : readIncidentId(incident),
    reason: textOption(typed, 'reason'),
    durationSeconds: durationOption(typed, 'for'),
  };
}

export async function runRequest(context: Context, options: RequestOptions): Promise<void> {
  const targets = options.targets.length > 0 ? options.targets : await pickTargets(context);
  const ask = askFor(context, targets, options);
  const broker = await context.broker();
  if (options.dryRun) return showDryRun(context, await dryRunRequest(broker, ask));
  const request = await askRequest(broker, ask, { meanwhile: prepareForGrant });
  await finishRequest(context, request, { command: 'request', ...options });
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
  const incident = options.incident ?? (ONCALL_INCIDENT ? readIncidentId(ONCALL_INCIDENT) : undefined);
  const { reason, durationSeconds } = options;
  return {
    targets: [...targets],
    ...(incident !== undefined && { incident }),
    ...(reason !== undefined && { reason }),
    ...(durationSeconds !== undefined && { durationSeconds }),
  };
}

async function pickTargets(context: Context): Promise<TypedTarget[]> {
  if (!canAsk(context.io)) {
    throw new AppError('usage', 'no target is named', {
      hint: 'oncall resources lists what can be asked for',
    });
  }
  const { resources } = await listResources(await context.broker());
  const choices = resources.flatMap(({ name, roles, kind, environment, description }) =>
    roles.map((role) => ({
      label: `${name}:${role}  ${kind} ${environment}${description === null ? '' : `  ${description}`}`,
      value: `${name}:${role}`,
    })),
  );
  if (choices.length === 0) throw new AppError('not_found', 'the catalogue has no resource that you may see');
  return (await chooseSome(context.io, 'which access do you need?', choices)).map(readTarget);
}
