import { listDevices, revokeDevice } from '../../client/calls.ts';
import { defineCommand, firstArgument } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { resolveId } from '../match-id.ts';

export interface DevicesRevokeOptions {
  readonly id: string;
}

export const devicesRevokeCommand = defineCommand<DevicesRevokeOptions>({
  json: ['devices.revoke'],
  examples: [
    ['oncall devices revoke dev_01kdz', 'a lost laptop: ends all that it holds'],
    ['oncall devices revoke dev_01kdz --json', 'the same for a script'],
  ],
  declare: (command) => void command.argument('<device>', 'its id, or the beginning of it'),
  read: (typed) => ({ id: firstArgument(typed, 'device') }),
  run: runDevicesRevoke,
});

export async function runDevicesRevoke(context: Context, { id: typed }: DevicesRevokeOptions): Promise<void> {
  const broker = await context.broker();
  const id = await resolveId(typed, 'device', async () => (await listDevices(broker)).devices);
  const device = await revokeDevice(broker, id);
  if (device.current) await forgetThisDevice(context);
  await writeResult(context.io, context.format, {
    command: 'devices.revoke',
    data: { device },
    lines: () => [
      [{ text: 'revoked', style: 'green' }, ` ${device.name}  ${device.id}`],
      ...(device.current
        ? ['this was the device you sit at: its keys and credentials are gone from here']
        : []),
    ],
  });
}

async function forgetThisDevice(context: Context): Promise<void> {
  const { forgetDevice } = await import('../../client/forget.ts');
  const { requireConfig } = await import('../../client/client.ts');
  const client = await context.clientContext();
  await forgetDevice(client, await requireConfig(client));
}
