import { basename } from 'node:path';
import { AppError, isAppError } from '../../protocol/errors.ts';
import {
  defineCommand,
  durationOption,
  INCIDENTS,
  readTarget,
  TARGETS,
  type TypedTarget,
} from '../command.ts';
import type { Context } from '../context.ts';
import { StatusError } from '../failure.ts';
import { obtainGrants } from '../obtain-grants.ts';
import { runWithAccess } from '../run-with-access.ts';
import { takeOpened } from '../take-opened.ts';
import { type AskOptions, readAsk } from './request.ts';

export interface RunOptions extends AskOptions {
  readonly targets: readonly TypedTarget[];
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Ask for what is not held yet. */
  readonly request: boolean;
  readonly timeoutSeconds: number | undefined;
}

export const runCommand = defineCommand<RunOptions>({
  json: [],
  examples: [
    [
      "oncall run db-replica -i P1-123 -- psql -c 'select 1'",
      'with PGHOST, PGUSER, PGPASSFILE … set for the child',
    ],
    ['oncall run db-replica:write db-host -- ./fix-index.sh', 'two targets with one decision'],
  ],
  declare: (command) =>
    void command
      .usage('<target...> [options] -- <command> [arguments...]')
      // A forgotten -- must be what is complained about, not the command's own options.
      .allowUnknownOption()
      .argument('<targets...>', 'resources, resource:role, or bundles')
      .option('-i, --incident <id>', 'the incident it is for (ONCALL_INCIDENT, or the only one that fits)')
      .option('-r, --reason <words>', 'why')
      .option('-d, --for <duration>', 'how long, such as 45m')
      .option('--timeout <duration>', 'wait this long at most for an approval')
      .option('--no-request', 'use what is held, ask for nothing'),
  completes: { targets: TARGETS, '--incident': INCIDENTS, '--': { program: true } },
  read: (typed) => {
    const [program, ...args] = typed.rest ?? [];
    if (program === undefined) {
      throw new AppError('usage', 'no command to run is given', {
        hint: `put it behind --, such as: oncall run ${typed.args[0]} -- psql`,
      });
    }
    return {
      targets: typed.args.map(readTarget),
      ...readAsk(typed),
      command: [program, ...args],
      request: typed.options.request !== false,
      timeoutSeconds: durationOption(typed, 'timeout'),
    };
  },
  run: runRun,
});

/**
 * Runs a program with access to its targets: files and names in the environment, no secret in it or in the arguments. The
 * program's own exit code is ours; where it never ran, 125 (oncall failed), 126 (could not start) or 127 (not found).
 */
export async function runRun(context: Context, options: RunOptions): Promise<void> {
  const code = await prepareAndRun(context, options).catch((error: unknown) => {
    throw isAppError(error) && error.code !== 'interrupted' && !(error instanceof StatusError)
      ? new StatusError(125, error)
      : error;
  });
  context.exitWith(code);
}

async function prepareAndRun(context: Context, options: RunOptions): Promise<number> {
  // Before a question is asked that only a device of ours may ask.
  await context.client();
  const [program] = options.command;
  const { opened, rest } = await takeOpened(context, options.targets, basename(program));
  const grants = rest.length === 0 ? [] : await obtainGrants(context, { ...options, targets: rest });
  return runWithAccess(context, { grants, opened }, async () => options.command);
}
