import { listApprovals } from '../../client/calls.ts';
import { noteNames } from '../../client/completion-names.ts';
import { approvalNames } from '../../client/listed-names.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { writeHint, writeResult } from '../io.ts';
import { requestTable } from '../views/requests.ts';

export const approvalsCommand = defineCommand<object>({
  json: ['approvals'],
  examples: [
    ['oncall approvals', 'what waits for your yes or no'],
    ['oncall approvals --json', 'the same for a script'],
  ],
  declare: () => {},
  read: () => ({}),
  run: runApprovals,
});

export async function runApprovals(context: Context): Promise<void> {
  const { requests } = await listApprovals(await context.broker());
  await noteNames((await context.clientContext()).paths, approvalNames(requests));
  await writeResult(context.io, context.format, {
    command: 'approvals',
    data: { requests },
    lines: () => (requests.length === 0 ? ['nothing waits for you'] : requestTable(requests, context.now())),
  });
  const [first] = requests;
  if (context.format === 'table' && first !== undefined) {
    await writeHint(context.io, `oncall approve ${first.id}, or oncall deny ${first.id} --reason '…'`);
  }
}
