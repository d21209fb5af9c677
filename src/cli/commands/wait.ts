import { getRequest, getStatus } from '../../client/calls.ts';
import { defineCommand, durationOption, firstArgument } from '../command.ts';
import type { Context } from '../context.ts';
import { resolveId } from '../match-id.ts';
import { finishRequest } from '../request-flow.ts';

export interface WaitOptions {
  readonly id: string;
  readonly timeoutSeconds: number | undefined;
}

export const waitCommand = defineCommand<WaitOptions>({
  json: ['wait'],
  examples: [
    ['oncall wait req_01kdz', 'go on waiting for an answer'],
    ['oncall wait req_01kdz --timeout 10m -o ndjson', 'an object for each change, ten minutes at most'],
  ],
  declare: (command) =>
    void command
      .argument('<request>', 'its id, or the beginning of it')
      .option('--timeout <duration>', 'how long at most, such as 10m (until the request expires)'),
  completes: { request: { names: ['requests'] } },
  read: (typed) => ({
    id: firstArgument(typed, 'request'),
    timeoutSeconds: durationOption(typed, 'timeout'),
  }),
  run: runWait,
});

export async function runWait(context: Context, { id: typed, timeoutSeconds }: WaitOptions): Promise<void> {
  const broker = await context.broker();
  const id = await resolveId(typed, 'request', async () => (await getStatus(broker)).pending);
  const request = await getRequest(broker, id);
  await finishRequest(context, request, { command: 'wait', wait: true, timeoutSeconds });
}
