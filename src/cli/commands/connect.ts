import type { HeldCredential } from '../../client/credentials.ts';
import type { Command } from '../../client/targets/client-target.ts';
import { clientTarget } from '../../client/targets/kinds.ts';
import { AppError } from '../../protocol/errors.ts';
import { formatTarget } from '../../protocol/names.ts';
import {
  defineCommand,
  durationOption,
  firstArgument,
  INCIDENTS,
  readTarget,
  TARGETS,
  type TypedTarget,
} from '../command.ts';
import type { Context } from '../context.ts';
import { formatTyped } from '../held-grants.ts';
import { obtainGrants } from '../obtain-grants.ts';
import { canAsk, chooseOne } from '../prompt.ts';
import { runWithAccess } from '../run-with-access.ts';
import { takeOpened } from '../take-opened.ts';
import { type AskOptions, readAsk } from './request.ts';

export interface ConnectOptions extends AskOptions {
  readonly target: TypedTarget;
  /** One of its hosts. */
  readonly place: string | undefined;
  /** For the client, behind what we say to it. */
  readonly args: readonly string[];
  readonly request: boolean;
  readonly timeoutSeconds: number | undefined;
}

export const connectCommand = defineCommand<ConnectOptions>({
  json: [],
  examples: [
    [
      'oncall connect db-replica -i P1-123',
      'psql, ssh, mariadb, redis-cli, kubectl or aws: the client that fits',
    ],
    ["oncall connect db-replica -- -c 'select 1'", "the client's own arguments stand behind --"],
    ['oncall connect db-host db-host-2', 'one of several hosts'],
  ],
  declare: (command) =>
    void command
      .usage("<target> [host] [options] [-- <the client's own arguments...>]")
      .argument('<target>', 'a resource, or resource:role')
      .argument('[host]', 'which of its hosts')
      .option('-i, --incident <id>', 'the incident it is for (ONCALL_INCIDENT, or the only one that fits)')
      .option('-r, --reason <words>', 'why')
      .option('-d, --for <duration>', 'how long, such as 45m')
      .option('--timeout <duration>', 'wait this long at most for an approval')
      .option('--no-request', 'use what is held, ask for nothing'),
  completes: { target: TARGETS, '--incident': INCIDENTS },
  read: (typed) => ({
    target: readTarget(firstArgument(typed, 'target')),
    place: typed.args[1],
    args: typed.rest ?? [],
    ...readAsk(typed),
    request: typed.options.request !== false,
    timeoutSeconds: durationOption(typed, 'timeout'),
  }),
  run: runConnect,
});

/** Opens the client that fits the kind of the resource, asking for access where none is held. The client's exit code is ours. */
export async function runConnect(context: Context, options: ConnectOptions): Promise<void> {
  const { target, place, args } = options;
  await context.client();
  const { opened, rest } = await takeOpened(context, [target], 'oncall connect');
  const grants = rest.length === 0 ? [] : await obtainGrants(context, { ...options, targets: rest });
  if (grants.length > 1) {
    throw new AppError('usage', `${formatTyped(target)} is a bundle: nothing says which part to open`, {
      hint: `name one: ${grants.map((grant) => formatTarget(grant.target)).join(', ')}`,
    });
  }
  const code = await runWithAccess(context, { grants, opened }, async ([credential]) => {
    if (credential === undefined) throw new AppError('internal', 'no credential came back');
    const [program, ...own] = await clientFor(context, credential, place);
    return [program, ...own, ...args];
  });
  context.exitWith(code);
}

/** The client, at the place that was named, the only one there is, or the one that a person picks. */
async function clientFor(
  context: Context,
  { publicPart, target }: HeldCredential,
  named: string | undefined,
): Promise<Command> {
  const { tool, toolNames } = clientTarget(publicPart.kind);
  const places = toolNames?.(publicPart) ?? [];
  if (named !== undefined && !places.includes(named)) {
    throw new AppError('usage', `${target.resource} has no host ${named}`, {
      hint:
        places.length === 0 ? `oncall connect ${formatTarget(target)}` : `use one of: ${places.join(', ')}`,
    });
  }
  if (named !== undefined || places.length < 2) return tool(publicPart, named);
  if (!canAsk(context.io)) {
    throw new AppError('usage', `${target.resource} has ${places.length} hosts: nothing says which`, {
      hint: `add one of: ${places.join(', ')}`,
    });
  }
  const choices = places.map((place) => ({ label: place, value: place }));
  return tool(publicPart, await chooseOne(context.io, 'which host?', choices));
}
