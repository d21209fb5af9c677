import { askRequest, dryRunRequest, listResources } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import type { AskRequest } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import {
  defineCommand,
  durationOption,
  flagOption,
  incidentOption,
  readTarget,
  type Typed,
  type TypedTarget,
  textOption,
} from '../command.ts';
import type { Context } from '../context.ts';
import { canAsk, chooseSome } from '../prompt.ts';
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
}

export const requestCommand = defineCommand<RequestOptions>({
  declare: (command) =>
    void command
      .argument('[targets...]', 'resources, resource:role, or bundles (none: the bundle of the incident)')
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
  return {
    incident: incidentOption(typed),
    reason: textOption(typed, 'reason'),
    durationSeconds: durationOption(typed, 'for'),
  };
}

export async function runRequest(context: Context, options: RequestOptions): Promise<void> {
  const isBundleOfIncident = options.incident !== undefined;
  const targets =
    options.targets.length > 0 || isBundleOfIncident ? options.targets : await pickTargets(context);
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
  const incident = options.incident ?? (ONCALL_INCIDENT ? readIncidentRef(ONCALL_INCIDENT) : undefined);
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
    // Nobody picks here: the bundle of that incident.
    if (context.env.ONCALL_INCIDENT) return [];
    throw new AppError('usage', 'no target is named', {
      hint: 'oncall resources lists what can be asked for; -i with an incident alone opens its bundle',
    });
  }
  const { resources, bundles = [] } = await listResources(await context.broker());
  const wholes = bundles.map(({ name, targets, description }) => ({
    label: `${name}  bundle: ${description ?? targets.map(formatTarget).join(' ')}`,
    value: name,
  }));
  const singles = resources.flatMap(({ name, roles, kind, environment, description }) =>
    roles.map((role) => ({
      label: `${name}:${role}  ${kind} ${environment}${description === null ? '' : `  ${description}`}`,
      value: `${name}:${role}`,
    })),
  );
  const choices = [...wholes, ...singles];
  if (choices.length === 0) throw new AppError('not_found', 'the catalogue has no resource that you may see');
  return (await chooseSome(context.io, 'which access do you need?', choices)).map(readTarget);
}
