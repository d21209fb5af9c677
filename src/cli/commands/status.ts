import { refreshStatus } from '../../client/refresh.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, durationOption, flagOption, readTarget, textOption } from '../command.ts';
import type { StatusCheck } from '../common-options.ts';
import type { Context } from '../context.ts';
import { printCheck, printStatus, writeStatus } from '../plain-status.ts';

export interface StatusOptions {
  readonly refresh: boolean;
  readonly watch: boolean;
  readonly check: StatusCheck | undefined;
}

export const statusCommand = defineCommand<StatusOptions>({
  json: ['status', 'status.check'],
  examples: [
    ['oncall status', 'what you hold, from a local file'],
    ['oncall status --watch', 'redrawn as the broker tells what changes'],
    [
      'oncall status --check db-replica --expires-in 10m || oncall renew db-replica',
      'in a runbook: exit 0 while it is good for so long, else 6',
    ],
  ],
  declare: (command) =>
    void command
      .option('--refresh', 'ask the broker first')
      .option('--watch', 'show what changes, as the broker tells it')
      .option('--check <target>', 'say nothing: exit 0 while it is held, 6 where it is not; asks nobody')
      .option('--expires-in <duration>', 'with --check: and for so long still, such as 10m'),
  read: (typed) => {
    const [refresh, watch] = [flagOption(typed, 'refresh'), flagOption(typed, 'watch')];
    const [text, neededSeconds] = [textOption(typed, 'check'), durationOption(typed, 'expiresIn')];
    if (text !== undefined && (refresh || watch)) {
      throw new AppError('usage', '--check asks nobody', { hint: 'oncall status --refresh, then --check' });
    }
    if (text === undefined && neededSeconds !== undefined) {
      throw new AppError('usage', '--expires-in of what?', { hint: 'add --check with a target' });
    }
    const check =
      text === undefined ? undefined : { target: readTarget(text), neededSeconds: neededSeconds ?? 0 };
    return { refresh, watch, check };
  },
  run: runStatus,
});

export async function runStatus(context: Context, { refresh, watch, check }: StatusOptions): Promise<void> {
  const { io, env, now, format } = context;
  if (watch) return (await import('../watch-status.ts')).watchStatus(context);
  const { paths } = await context.clientContext();
  if (refresh) {
    const status = await refreshStatus(await context.client());
    return writeStatus({ io, format, paths, now: now() }, status);
  }
  const input = { io, env, now: now(), format, profile: paths.profile };
  if (check === undefined) return printStatus(input);
  const failure = await printCheck(input, check);
  if (failure !== undefined) throw failure;
}
