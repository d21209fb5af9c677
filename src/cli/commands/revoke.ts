import { dryRunRevoke, listGrants, revokeGrants } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import type { GrantView, Revoke } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import { defineCommand, flagOption, INCIDENTS, incidentOption, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { note, writeLines, writeResult } from '../io.ts';
import { matchId } from '../match-id.ts';
import { canAsk, confirm } from '../prompt.ts';
import { askReason } from '../reason.ts';
import { endedLines, grantTable } from '../views/grants.ts';

export interface RevokeOptions {
  readonly grants: readonly string[];
  readonly user: string | undefined;
  readonly resource: string | undefined;
  readonly incident: string | undefined;
  readonly reason: string | undefined;
  readonly yes: boolean;
}

export const revokeCommand = defineCommand<RevokeOptions>({
  json: ['revoke'],
  examples: [
    ["oncall revoke --user ben -r 'lost laptop'", 'shows whom it hits, and asks'],
    ["oncall revoke --incident P1-123 -r 'over' -y", 'all that was opened for an incident, unasked'],
  ],
  declare: (command) =>
    void command
      .argument('[grants...]', 'their ids, or the beginnings of them')
      .option('--user <user>', 'all that this person holds')
      .option('--resource <resource>', 'all grants on this resource')
      .option('--incident <id>', 'all grants for this incident')
      .option('-r, --reason <words>', 'why; it goes into the audit log')
      .option('-y, --yes', 'do not ask'),
  completes: {
    grants: { names: ['grants'] },
    '--resource': { names: ['resources'] },
    '--incident': INCIDENTS,
  },
  read: (typed) => {
    const options = {
      grants: typed.args,
      user: textOption(typed, 'user'),
      resource: textOption(typed, 'resource'),
      incident: incidentOption(typed),
      reason: textOption(typed, 'reason'),
      yes: flagOption(typed, 'yes'),
    };
    const { grants, user, resource, incident } = options;
    if (grants.length === 0 && user === undefined && resource === undefined && incident === undefined) {
      throw new AppError('usage', 'nothing says what to revoke', {
        hint: 'name grants, or add --user, --resource or --incident',
      });
    }
    return options;
  },
  run: runRevoke,
});

/** Shows whom it hits and asks, then revokes exactly the grants that were shown: none that came up in between. */
export async function runRevoke(context: Context, options: RevokeOptions): Promise<void> {
  const { io, format } = context;
  const reason = options.reason ?? (await askReason(io, 'why? it goes into the audit log'));
  if (!options.yes && !canAsk(io)) {
    throw new AppError('usage', '--yes is missing: nobody can be asked here', { hint: 'add -y' });
  }
  const broker = await context.broker();
  const { grants: hit } = await dryRunRevoke(broker, await selection(context, options, reason));
  if (hit.length === 0)
    throw new AppError('not_found', 'no active grant matches', {
      hint: 'oncall grants --all shows what everybody holds',
    });
  if (!options.yes) {
    await writeLines(io.stderr, grantTable(hit, context.now(), { withUser: true }));
    if (!(await confirm(io, `end ${hit.length === 1 ? 'this grant' : `these ${hit.length} grants`} now?`))) {
      throw new AppError('interrupted', 'not revoked', { hint: 'nothing was changed' });
    }
  }
  const { grants } = await revokeGrants(broker, { grants: hit.map(({ id }) => id), reason });
  await writeResult(io, format, {
    command: 'revoke',
    data: { grants },
    lines: () => grants.flatMap((grant) => endedLines(grant, context.now())),
  });
  const unproven = grants.filter(isUnproven);
  if (unproven.length > 0 && format === 'table') {
    const targets = unproven.map(({ target }) => formatTarget(target));
    await note(
      io,
      `no proof yet for ${targets.join(', ')}: the broker keeps trying, oncall grants --all shows it`,
    );
  }
}

async function selection(context: Context, options: RevokeOptions, reason: string): Promise<Revoke> {
  const { user, resource, incident } = options;
  return {
    reason,
    ...(options.grants.length > 0 && { grants: await fullIds(context, options.grants) }),
    ...(user !== undefined && { user }),
    ...(resource !== undefined && { resource }),
    ...(incident !== undefined && { incident }),
  };
}

async function fullIds(context: Context, typed: readonly string[]): Promise<string[]> {
  const { isId } = await import('../../protocol/ids.ts');
  if (typed.every(isId)) return [...typed];
  const { grants } = await listGrants(await context.broker(), { all: true });
  const ids = grants.filter(({ state }) => state !== 'ended').map(({ id }) => id);
  return typed.map((prefix) => matchId(prefix, ids, 'grant'));
}

function isUnproven({ credentials }: GrantView): boolean {
  return credentials.some(({ state }) => state !== 'ended');
}
