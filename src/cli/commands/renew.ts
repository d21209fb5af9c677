import { extendGrant } from '../../client/calls.ts';
import { ensureCredentials, noteGrant } from '../../client/hold.ts';
import { AppError } from '../../protocol/errors.ts';
import type { GrantView } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { findGrants, standingGrants } from '../held-grants.ts';
import { type Line, writeResult } from '../io.ts';
import { publicCredential } from '../request-flow.ts';
import { bothTimes } from '../times.ts';

export interface RenewOptions {
  /** None: everything that is held. */
  readonly targets: readonly string[];
  readonly extend: boolean;
}

export const renewCommand = defineCommand<RenewOptions>({
  json: ['renew'],
  examples: [
    ['oncall renew db-replica', 'a fresh credential and a longer window'],
    ['oncall renew --no-extend', 'fresh credentials for all that you hold; the windows stay'],
  ],
  declare: (command) =>
    void command
      .argument('[targets...]', 'what to renew (everything you hold)')
      .option('--no-extend', 'only a fresh credential: the session window stays'),
  completes: { targets: { names: ['held'] } },
  read: (typed) => ({ targets: typed.args, extend: typed.options.extend !== false }),
  run: runRenew,
});

/**
 * Extends each window by its default, then fetches fresh credentials. A window that can't be extended still gets its fresh
 * credential; the refusal is what the command ends with.
 */
export async function runRenew(context: Context, { targets, extend }: RenewOptions): Promise<void> {
  const client = await context.client();
  const standing = await standingGrants(context);
  // What is ready is used when somebody says so: nobody renews what they have not begun.
  const grants =
    targets.length === 0 ? standing.filter(({ state }) => state === 'active') : findGrants(targets, standing);
  if (grants.length === 0)
    throw new AppError('not_found', 'you hold nothing to renew', { hint: 'oncall request TARGET' });
  const extended = extend ? await extendAll(context, grants) : { grants, failure: undefined };
  const credentials = await ensureCredentials(client, extended.grants, { renewAfter: 0 });
  await writeResult(context.io, context.format, {
    command: 'renew',
    data: { grants: extended.grants, credentials: credentials.map(publicCredential) },
    lines: () => extended.grants.map((grant): Line => renewedLine(grant, context.now())),
  });
  if (extended.failure !== undefined) throw extended.failure;
}

async function extendAll(
  context: Context,
  grants: readonly GrantView[],
): Promise<{ grants: GrantView[]; failure: unknown }> {
  const { context: clientContext, config, broker } = await context.client();
  const after: GrantView[] = [];
  let failure: unknown;
  for (const grant of grants) {
    try {
      // Its window has not begun.
      if (grant.state === 'ready') {
        after.push(grant);
        continue;
      }
      const extended = await extendGrant(broker, grant.id, {});
      await noteGrant(clientContext, config, extended);
      after.push(extended);
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'interrupted') throw error;
      failure ??= error;
      after.push(grant);
    }
  }
  return { grants: after, failure };
}

function renewedLine(grant: GrantView, now: number): Line {
  const left = grant.extensionsLeft;
  return [
    { text: 'renewed', style: 'green' },
    ' ',
    { text: formatTarget(grant.target), style: 'bold' },
    ` until ${bothTimes(grant.endsAt, now)}, ${left} ${left === 1 ? 'extension' : 'extensions'} left  ${grant.id}`,
  ];
}
