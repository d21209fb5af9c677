import { listBreakGlassStates } from '../../client/calls.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { breakGlassTable } from '../views/break-glass.ts';

export const breakGlassListCommand = defineCommand<object>({
  json: ['break-glass.list'],
  examples: [
    ['oncall break-glass list', 'what was opened past the usual way, and what has to be cleaned up'],
    ['oncall break-glass list --json', 'the same for a script'],
  ],
  declare: () => {},
  read: () => ({}),
  run: runBreakGlassList,
});

export async function runBreakGlassList(context: Context): Promise<void> {
  const { resources } = await listBreakGlassStates(await context.broker());
  await writeResult(context.io, context.format, {
    command: 'break-glass.list',
    data: { resources },
    lines: () =>
      resources.length === 0 ? ['no resource has break-glass'] : breakGlassTable(resources, context.now()),
  });
}
