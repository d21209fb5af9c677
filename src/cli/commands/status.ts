import { refreshStatus } from '../../client/refresh.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { printStatus, writeStatus } from '../plain-status.ts';

export interface StatusOptions {
  readonly refresh: boolean;
  readonly watch: boolean;
}

export const statusCommand = defineCommand<StatusOptions>({
  declare: (command) =>
    void command
      .option('--refresh', 'ask the broker first')
      .option('--watch', 'show what changes, as the broker tells it'),
  read: (typed) => ({ refresh: flagOption(typed, 'refresh'), watch: flagOption(typed, 'watch') }),
  run: runStatus,
});

export async function runStatus(context: Context, { refresh, watch }: StatusOptions): Promise<void> {
  const { io, env, now, format } = context;
  if (watch) return (await import('../watch-status.ts')).watchStatus(context);
  const { paths } = await context.clientContext();
  if (refresh) {
    const status = await refreshStatus(await context.client());
    return writeStatus({ io, format, paths, now: now() }, status);
  }
  await printStatus({ io, env, now: now(), format, profile: paths.profile });
}
