import { cancelRequest, getStatus } from '../../client/calls.ts';
import { defineCommand, firstArgument } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { resolveId } from '../match-id.ts';
import { requestLines } from '../views/requests.ts';

export interface CancelOptions {
  readonly id: string;
}

export const cancelCommand = defineCommand<CancelOptions>({
  json: ['cancel'],
  examples: [
    ['oncall cancel req_01kdz', 'withdraw a request that still waits'],
    ['oncall cancel req_01kdz --json', 'the same for a script'],
  ],
  declare: (command) => void command.argument('<request>', 'its id, or the beginning of it'),
  completes: { request: { names: ['requests'] } },
  read: (typed) => ({ id: firstArgument(typed, 'request') }),
  run: runCancel,
});

export async function runCancel(context: Context, { id: typed }: CancelOptions): Promise<void> {
  const broker = await context.broker();
  const id = await resolveId(typed, 'request', async () => (await getStatus(broker)).pending);
  const request = await cancelRequest(broker, id);
  await writeResult(context.io, context.format, {
    command: 'cancel',
    data: { request },
    lines: () => requestLines(request, context.now()),
  });
}
