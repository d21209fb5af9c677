import { approveRequest, getRequest, listApprovals } from '../../client/calls.ts';
import { defineCommand, durationOption, firstArgument } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { resolveId } from '../match-id.ts';
import { requestLines } from '../views/requests.ts';

export interface ApproveOptions {
  readonly id: string;
  readonly durationSeconds: number | undefined;
}

export const approveCommand = defineCommand<ApproveOptions>({
  json: ['approve'],
  examples: [
    ['oncall approve req_01kdz', 'say yes; the beginning of an id is enough'],
    ['oncall approve req_01kdz --for 30m', 'say yes to half an hour of it'],
  ],
  declare: (command) =>
    void command
      .argument('<request>', 'its id, or the beginning of it')
      .option('-d, --for <duration>', 'a shorter time than was asked for'),
  completes: { request: { names: ['approvals'] } },
  read: (typed) => ({ id: firstArgument(typed, 'request'), durationSeconds: durationOption(typed, 'for') }),
  run: runApprove,
});

/** The approval names the digest of the request that was just read: what is signed is what is shown. */
export async function runApprove(
  context: Context,
  { id: typed, durationSeconds }: ApproveOptions,
): Promise<void> {
  const broker = await context.broker();
  const id = await resolveId(typed, 'request', async () => (await listApprovals(broker)).requests);
  const { digest } = await getRequest(broker, id);
  const request = await approveRequest(broker, id, {
    digest,
    ...(durationSeconds !== undefined && { durationSeconds }),
  });
  await writeResult(context.io, context.format, {
    command: 'approve',
    data: { request },
    lines: () => requestLines(request, context.now()),
  });
}
