import { rotateBreakGlass } from '../../client/break-glass-calls.ts';
import { AppError } from '../../protocol/errors.ts';
import { isPartName } from '../../protocol/names.ts';
import { defineCommand, firstArgument } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { breakGlassTable } from '../views/break-glass.ts';

export interface BreakGlassRotateOptions {
  readonly resource: string;
}

export const breakGlassRotateCommand = defineCommand<BreakGlassRotateOptions>({
  json: ['break-glass.rotate'],
  examples: [
    ['oncall break-glass rotate db-replica', 'it has been cleaned up: every pack from before is taken back'],
    ['oncall break-glass rotate db-replica --json', 'the same in a runbook'],
  ],
  declare: (command) => void command.argument('<resource>', 'a resource that has been cleaned up'),
  read: (typed) => {
    const resource = firstArgument(typed, 'resource');
    if (!isPartName(resource))
      throw new AppError('usage', `not a resource: ${resource}`, { hint: 'oncall break-glass list' });
    return { resource };
  },
  completes: { resource: { names: ['resources'] } },
  run: runBreakGlassRotate,
});

export async function runBreakGlassRotate(
  context: Context,
  { resource }: BreakGlassRotateOptions,
): Promise<void> {
  const state = await rotateBreakGlass(await context.broker(), resource);
  await writeResult(context.io, context.format, {
    command: 'break-glass.rotate',
    data: { ...state },
    lines: () => breakGlassTable([state], context.now()),
  });
}
