import { inviteDevice } from '../../client/calls.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { writeHint, writeResult } from '../io.ts';
import { relativeTime } from '../times.ts';

export const devicesAddCommand = defineCommand<object>({
  json: ['devices.add'],
  examples: [
    ['oncall devices add', 'an invitation to paste on your next laptop'],
    ['oncall devices add --json', 'the same for a script'],
  ],
  declare: () => {},
  read: () => ({}),
  run: runDevicesAdd,
});

export async function runDevicesAdd(context: Context): Promise<void> {
  const { url, expiresAt } = await inviteDevice(await context.broker());
  await writeResult(context.io, context.format, {
    command: 'devices.add',
    data: { url, expiresAt },
    lines: () => [`oncall enroll '${url}'`],
  });
  await writeHint(
    context.io,
    `type that on your other device; the code works once and expires ${relativeTime(Date.parse(expiresAt), context.now())}`,
  );
}
