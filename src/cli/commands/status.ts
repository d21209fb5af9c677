import { refreshStatus } from '../../client/hold.ts';
import type { StatusFile } from '../../client/status-file.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { warn } from '../io.ts';
import { printStatus, writeStatus } from '../plain-status.ts';
import { neverSpin, pause } from '../waiting.ts';

export interface StatusOptions {
  readonly refresh: boolean;
  readonly watch: boolean;
}

const WATCH_MS = 2_000;
/** CSI: cursor home, erase below. Written by us, so it need not pass the escaping of io.ts. */
const REDRAW = '\u001b[H\u001b[J';

export const statusCommand = defineCommand<StatusOptions>({
  declare: (command) =>
    void command
      .option('--refresh', 'ask the broker first')
      .option('--watch', 'ask the broker every 2 seconds and show what changes'),
  read: (typed) => ({ refresh: flagOption(typed, 'refresh'), watch: flagOption(typed, 'watch') }),
  run: runStatus,
});

export async function runStatus(context: Context, { refresh, watch }: StatusOptions): Promise<void> {
  const { io, env, now, format } = context;
  if (watch) return watchStatus(context);
  if (refresh) return writeStatus(io, format, await refreshStatus(await context.client()), now());
  const { paths } = await context.clientContext();
  await printStatus({ io, env, now: now(), format, profile: paths.profile });
}

/** Until it is interrupted. A terminal is redrawn; elsewhere each change is written once. */
async function watchStatus(context: Context): Promise<never> {
  const { io, format, now, signals } = context;
  if (format === 'json') {
    throw new AppError('usage', '--watch writes more than one object', { hint: 'use -o ndjson' });
  }
  const client = await context.client();
  const redraws = format === 'table' && io.stdout.isTerminal;
  neverSpin(io);
  for (let shown = ''; ; await pause(signals.aborted, WATCH_MS)) {
    const status = await refreshStatus(client).catch((error: unknown) => tolerate(context, error));
    const content = status === undefined ? shown : contentOf(status);
    if (status === undefined || (!redraws && content === shown)) continue;
    if (redraws) io.stdout.write(REDRAW);
    await writeStatus(io, format, status, now());
    shown = content;
  }
}

/** A broker that restarts must not end the watch; being told that we are not welcome must. */
async function tolerate(context: Context, error: unknown): Promise<undefined> {
  if (!isAppError(error) || !['broker_unreachable', 'busy', 'rate_limited'].includes(error.code)) throw error;
  await warn(context.io, error.message);
}

/** What a change is: everything but when it was heard. */
function contentOf({ brokerContactAt: _, ...status }: StatusFile): string {
  return JSON.stringify(status);
}
