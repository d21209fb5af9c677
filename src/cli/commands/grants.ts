import { listGrants } from '../../client/calls.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { grantTable } from '../views/grants.ts';

export interface GrantsOptions {
  readonly all: boolean;
}

export const grantsCommand = defineCommand<GrantsOptions>({
  json: ['grants'],
  examples: [
    ['oncall grants', 'what you hold at the broker, and for how long'],
    ['oncall grants --all --json', 'what everybody holds, for those who may'],
  ],
  declare: (command) => void command.option('--all', "everybody's, for those who may"),
  read: (typed) => ({ all: flagOption(typed, 'all') }),
  run: runGrants,
});

export async function runGrants(context: Context, { all }: GrantsOptions): Promise<void> {
  const { grants } = await listGrants(await context.broker(), { all });
  await writeResult(context.io, context.format, {
    command: 'grants',
    data: { grants },
    lines: () => (grants.length === 0 ? ['no grants'] : grantTable(grants, context.now(), { withUser: all })),
  });
}
