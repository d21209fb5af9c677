/** `oncall` and nothing else: the way in for whoever is not enrolled yet, the help page for everybody else. */
import { existsSync } from 'node:fs';
import { notEnrolled } from '../../client/client.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { rootHelp } from '../help.ts';
import { type Line, writeLines, writeText } from '../io.ts';
import { canAsk } from '../prompt.ts';
import { askInvitation, ENROLL_DEFAULTS, runEnroll } from './enroll.ts';

export const startCommand = defineCommand<null>({
  json: [],
  examples: [
    ['oncall', 'the way in, or the first page of help'],
    ['oncall --profile staging', 'the same for another installation'],
  ],
  declare: () => {},
  read: () => null,
  run: runStart,
});

/** Asks for an invitation where somebody can answer; elsewhere throws AppError `not_enrolled`, which tells a script. */
async function runStart(context: Context): Promise<void> {
  const { io, format } = context;
  const { paths } = await context.clientContext();
  if (existsSync(paths.configFile)) return await writeText(io.stdout, rootHelp());
  if (format === 'table') await writeLines(io.stdout, FIRST_MINUTE);
  if (format !== 'table' || !canAsk(io)) throw notEnrolled(paths);
  const invitation = await askInvitation(io, 'your invitation (Enter alone leaves it for now)', {
    orNone: true,
  });
  if (invitation !== undefined) await runEnroll(context, { ...ENROLL_DEFAULTS, invitation });
}

const FIRST_MINUTE: readonly Line[] = [
  [
    { text: 'oncall', style: 'bold' },
    ' gives you the access that an incident needs, for as long as it lasts.',
  ],
  'This machine is not enrolled yet: whoever runs your broker can invite you.',
  '  oncall enroll "<invitation>"          registers this machine, once',
  '  oncall request db-replica -i P1-123   asks for access; oncall status shows it',
  '  oncall run db-replica -- psql         works with it; it ends by itself',
  '  oncall help                           all else; oncall doctor says what is wrong',
];
