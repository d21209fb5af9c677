import { askBreakGlass } from '../../client/calls.ts';
import { createIdempotencyKey } from '../../client/idempotency.ts';
import { AppError } from '../../protocol/errors.ts';
import { decideOrOpen, showOpened } from '../break-glass-offline.ts';
import { defineCommand, readTarget, type TypedTarget } from '../command.ts';
import type { Context } from '../context.ts';
import { askReason } from '../reason.ts';
import { finishRequest } from '../request-flow.ts';
import { type AskOptions, askFor, readAsk } from './request.ts';

export interface BreakGlassOptions extends AskOptions {
  readonly targets: readonly TypedTarget[];
}

const SHORTEST_REASON = 10;

export const breakGlassCommand = defineCommand<BreakGlassOptions>({
  declare: (command) =>
    void command
      .argument('[targets...]', 'resources, or resource:role')
      .option('-r, --reason <words>', 'why, in ten characters or more')
      .option('-i, --incident <id>', 'the incident it is for (ONCALL_INCIDENT)')
      .option('-d, --for <duration>', 'how long, such as 45m'),
  read: (typed) => ({ targets: typed.args.map(readTarget), ...readAsk(typed) }),
  run: runBreakGlass,
});

/** The broker's decision, or, where it makes none, what this device opens by itself. */
export async function runBreakGlass(context: Context, options: BreakGlassOptions): Promise<void> {
  const reason = options.reason ?? (await askReason(context.io, 'why do you break the glass?'));
  if (reason.trim().length < SHORTEST_REASON) {
    throw new AppError('usage', 'the reason is shorter than 10 characters', {
      hint: "say what happens and why the usual way does not do: --reason '…'",
    });
  }
  const ask = askFor(context, options.targets, { ...options, reason });
  const broker = await context.broker();
  const idempotencyKey = createIdempotencyKey();
  const outcome = await decideOrOpen(
    context,
    { targets: options.targets, reason, incident: ask.incident, drill: false },
    (signal) => askBreakGlass(broker, { ...ask, reason }, { signal, idempotencyKey }),
  );
  if (outcome.kind === 'opened') return showOpened(context, outcome.opened, outcome.probes);
  await finishRequest(context, outcome.value, {
    command: 'break-glass',
    wait: true,
    timeoutSeconds: undefined,
  });
}
