import { listDevices } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import { isName } from '../../protocol/names.ts';
import { defineCommand, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';

export interface DevicesListOptions {
  readonly user: string | undefined;
}

export const devicesListCommand = defineCommand<DevicesListOptions>({
  json: ['devices.list'],
  examples: [
    ['oncall devices list', 'your devices, and when each was seen'],
    ['oncall devices list --user ben', "somebody else's, for those who may"],
  ],
  declare: (command) => void command.option('--user <user>', "another person's devices, for those who may"),
  read: (typed) => {
    const user = textOption(typed, 'user');
    if (user !== undefined && !isName(user)) throw new AppError('usage', `not a user: ${user}`);
    return { user };
  },
  run: runDevicesList,
});

export async function runDevicesList(context: Context, { user }: DevicesListOptions): Promise<void> {
  const { devices } = await listDevices(await context.broker(), user);
  const now = context.now();
  await writeResult(context.io, context.format, {
    command: 'devices.list',
    data: { devices },
    lines: () =>
      tableLines(devices, [
        { header: 'DEVICE', cell: ({ id }) => id },
        {
          header: 'NAME',
          cell: ({ name, current }) => ({ text: current ? `${name} (this one)` : name, style: 'bold' }),
        },
        {
          header: 'STATE',
          cell: ({ state }) => ({ text: state, style: state === 'active' ? 'green' : 'dim' }),
        },
        { header: 'KEYSTORE', cell: ({ keystore }) => keystore },
        { header: 'ADDED', cell: ({ createdAt }) => bothTimes(createdAt, now) },
        {
          header: 'SEEN',
          cell: ({ lastSeenAt }) => (lastSeenAt === null ? 'never' : bothTimes(lastSeenAt, now)),
        },
      ]),
  });
}
