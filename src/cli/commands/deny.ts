import { denyRequest, getRequest, listApprovals } from '../../client/calls.ts';
import { defineCommand, firstArgument, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { resolveId } from '../match-id.ts';
import { askReason } from '../reason.ts';
import { requestLines } from '../views/requests.ts';

export interface DenyOptions {
  readonly id: string;
  readonly reason: string | undefined;
}

export const denyCommand = defineCommand<DenyOptions>({
  json: ['deny'],
  examples: [
    ["oncall deny req_01kdz --reason 'use the replica'", 'say no; the requester reads why'],
    ["oncall deny req_01kdz -r 'wait for the deploy' --json", 'the same for a script'],
  ],
  declare: (command) =>
    void command
      .argument('<request>', 'its id, or the beginning of it')
      .option('-r, --reason <words>', 'why; the requester reads it'),
  completes: { request: { names: ['approvals'] } },
  read: (typed) => ({ id: firstArgument(typed, 'request'), reason: textOption(typed, 'reason') }),
  run: runDeny,
});

export async function runDeny(
  context: Context,
  { id: typed, reason: typedReason }: DenyOptions,
): Promise<void> {
  const reason = typedReason ?? (await askReason(context.io, 'why not? the requester reads it'));
  const broker = await context.broker();
  const id = await resolveId(typed, 'request', async () => (await listApprovals(broker)).requests);
  const { digest } = await getRequest(broker, id);
  const request = await denyRequest(broker, id, { digest, reason });
  await writeResult(context.io, context.format, {
    command: 'deny',
    data: { request },
    lines: () => requestLines(request, context.now()),
  });
}
