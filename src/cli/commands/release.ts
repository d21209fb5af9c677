import { releaseGrant } from '../../client/calls.ts';
import { releaseLocal } from '../../client/hold.ts';
import { readStatusFile } from '../../client/status-file.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { GrantView } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { type FoundGrant, findGrants, standingGrants } from '../held-grants.ts';
import { type Line, writeResult } from '../io.ts';
import { canAsk, chooseSome } from '../prompt.ts';
import { endedLines } from '../views/grants.ts';

export interface ReleaseOptions {
  readonly words: readonly string[];
  readonly all: boolean;
}

export const releaseCommand = defineCommand<ReleaseOptions>({
  json: ['release'],
  examples: [
    ['oncall release db-replica', 'give it back: ended at the target, and proven'],
    ['oncall release --all', 'give everything back'],
  ],
  declare: (command) =>
    void command.argument('[grants...]', 'targets, or ids of grants').option('--all', 'everything you hold'),
  completes: { grants: { names: ['held', 'grants'] } },
  read: (typed) => {
    const all = flagOption(typed, 'all');
    if (all && typed.args.length > 0) {
      throw new AppError('usage', '--all and names contradict each other', { hint: 'use one of them' });
    }
    return { words: typed.args, all };
  },
  run: runRelease,
});

/**
 * Ends the grants at the broker first, whose proof is what counts, then takes everything off this machine. Where the broker
 * can't be reached this machine is wiped all the same, and the command says that the access itself still stands.
 */
export async function runRelease(context: Context, options: ReleaseOptions): Promise<void> {
  const held = await heldGrants(context);
  // Nothing is known to be held here: what the broker would say is what matters.
  if (held.failure !== undefined && held.grants.length === 0) throw held.failure;
  const chosen = await choose(context, options, held.grants);
  const ended: GrantView[] = [];
  const gone = new Set<string>();
  let failure = held.failure;
  for (const { id } of chosen) {
    try {
      if (held.failure === undefined) ended.push(await releaseGrant(await context.broker(), id));
    } catch (error) {
      // Another command, or the window's end, was quicker: that is what was wanted.
      if (isAppError(error, 'ended')) gone.add(id);
      else failure ??= error;
    }
    await releaseLocal(await context.clientContext(), await context.config(), id);
  }
  await writeResult(context.io, context.format, {
    command: 'release',
    data: { grants: ended, wipedHere: chosen.map(({ id }) => id) },
    lines: () => [
      ...ended.flatMap((grant) => endedLines(grant, context.now())),
      ...chosen
        .filter(({ id }) => !isAmong(ended, id))
        .map((grant) => wipedLine(grant, gone.has(grant.id) ? 'had ended already' : 'wiped here only')),
    ],
  });
  if (failure !== undefined) throw afterWipe(failure);
}

/** From the broker; where it can't be reached, from the status file, with the failure. */
async function heldGrants(context: Context): Promise<{ grants: readonly FoundGrant[]; failure?: unknown }> {
  try {
    return { grants: await standingGrants(context) };
  } catch (failure) {
    if (!isAppError(failure) || failure.code === 'not_enrolled' || failure.code === 'interrupted')
      throw failure;
    const status = await readStatusFile((await context.clientContext()).paths);
    return { grants: status?.grants ?? [], failure };
  }
}

async function choose(
  context: Context,
  { words, all }: ReleaseOptions,
  grants: readonly FoundGrant[],
): Promise<readonly FoundGrant[]> {
  if (words.length > 0) return findGrants(words, grants);
  if (grants.length === 0)
    throw new AppError('not_found', 'you hold nothing to release', {
      hint: 'oncall grants shows what you hold at the broker',
    });
  if (all || grants.length === 1) return grants;
  if (!canAsk(context.io)) {
    throw new AppError('usage', `you hold ${grants.length} grants: nothing says which`, {
      hint: 'name targets, or add --all',
    });
  }
  const choices = grants.map(({ id, target }) => ({ label: `${formatTarget(target)}  ${id}`, value: id }));
  const ids = await chooseSome(context.io, 'what do you give back?', choices);
  return grants.filter(({ id }) => ids.includes(id));
}

function isAmong(grants: readonly GrantView[], id: string): boolean {
  return grants.some((grant) => grant.id === id);
}

function wipedLine({ id, target }: FoundGrant, words: string): Line {
  return [{ text: words, style: 'yellow' }, ` ${formatTarget(target)}  ${id}`];
}

function afterWipe(failure: unknown): unknown {
  if (!isAppError(failure) || failure.code === 'interrupted') return failure;
  const { code, message, cause, correlationId, details } = failure;
  return new AppError(code, message, {
    hint: 'this machine is wiped, the access itself stands until its end: oncall release again when the broker answers',
    cause,
    correlationId,
    details,
  });
}
