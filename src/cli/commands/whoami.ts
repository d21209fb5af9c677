import { getMe } from '../../client/calls.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { type Line, type Piece, writeResult } from '../io.ts';
import { propertyLines } from '../table.ts';
import { bothTimes, localWords } from '../times.ts';

export const whoamiCommand = defineCommand<object>({
  json: ['whoami'],
  examples: [
    ['oncall whoami', 'your name, device and shifts'],
    ['oncall whoami --profile staging', 'who you are to another installation'],
  ],
  declare: () => {},
  read: () => ({}),
  run: runWhoami,
});

export async function runWhoami(context: Context): Promise<void> {
  const config = await context.config();
  const me = await getMe(await context.broker());
  const now = context.now();
  await writeResult(context.io, context.format, {
    command: 'whoami',
    data: { ...me, broker: config.broker, profile: (await context.clientContext()).paths.profile },
    lines: () => [
      ...propertyLines([
        ['user', { text: me.user, style: 'bold' } satisfies Piece],
        ['name', me.name],
        ['groups', me.groups.join(' ') || '-'],
        ['manager', me.manager ?? '-'],
        ['device', `${me.device.name}  ${me.device.id}  (${me.device.keystore})`],
        ['broker', config.broker],
      ]),
      ...me.shifts.map(({ schedule, level, endsAt }): Line => {
        const end = endsAt === null ? '' : ` until ${bothTimes(endsAt, now)}`;
        return [{ text: 'on call', style: 'green' }, ` for ${schedule}, level ${level}${end}`];
      }),
      ...(me.shifts.length === 0 ? ['not on call'] : []),
      ...me.notices.map(
        ({ at, text }): Line => [
          { text: 'notice', style: 'yellow' },
          ` ${localWords(text, now)} (${bothTimes(at, now)})`,
        ],
      ),
    ],
  });
}
