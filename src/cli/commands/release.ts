import type { SlotUse } from '../../client/break-glass/slot-uses.ts';
import { releaseGrant } from '../../client/calls.ts';
import { releaseLocal } from '../../client/hold.ts';
import { readStatusFile } from '../../client/status-file.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { GrantView } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import { defineCommand, flagOption, readTarget } from '../command.ts';
import type { Context } from '../context.ts';
import { type FoundGrant, findGrants, standingGrants } from '../held-grants.ts';
import { type Line, writeResult } from '../io.ts';
import { canAsk, chooseSome } from '../prompt.ts';
import { openFor } from '../take-opened.ts';
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
  const given = await giveBackOpened(context, options);
  const left = { ...options, words: given.rest };
  // All that was named was opened by break-glass: the broker has no part in it.
  if (given.closed.length > 0 && !options.all && left.words.length === 0) return report(context, { given });
  const held = await heldGrants(context);
  // Nothing is known to be held here: what the broker would say is what matters.
  if (given.closed.length > 0 && held.grants.length === 0) {
    await report(context, { given });
    // What else there may be stands: all of it was asked for.
    if (options.all && held.failure !== undefined) throw afterWipe(held.failure);
    return;
  }
  if (held.failure !== undefined && held.grants.length === 0) throw held.failure;
  const chosen = await choose(context, left, held.grants);
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
  await report(context, { ended, chosen, gone, given });
  if (failure !== undefined) throw afterWipe(failure);
}

async function report(
  context: Context,
  { ended = [], chosen = [], gone = new Set(), given: { closed } }: Released,
): Promise<void> {
  await writeResult(context.io, context.format, {
    command: 'release',
    data: {
      grants: ended,
      wipedHere: chosen.map(({ id }) => id),
      breakGlass: closed.map(({ pack, slot, resource, role }) => ({
        pack,
        slot,
        target: { resource, role },
      })),
    },
    lines: () => [
      ...ended.flatMap((grant) => endedLines(grant, context.now())),
      ...chosen
        .filter(({ id }) => !isAmong(ended, id))
        .map((grant) => wipedLine(grant, gone.has(grant.id) ? 'had ended already' : 'wiped here only')),
      ...closed.map(closedLine),
    ],
  });
}

interface Released {
  readonly ended?: readonly GrantView[];
  readonly chosen?: readonly FoundGrant[];
  /** Of the chosen: those that had ended before. */
  readonly gone?: ReadonlySet<string>;
  readonly given: GivenBack;
}

interface GivenBack {
  readonly closed: readonly SlotUse[];
  /** The words that name none of it. */
  readonly rest: readonly string[];
}

/** What was opened by break-glass and is named, or all of it: wiped here, and written down. Its certificate is good until its end. */
async function giveBackOpened(context: Context, { words, all }: ReleaseOptions): Promise<GivenBack> {
  const status = readStatusFile((await context.clientContext()).paths);
  const isOpen = (word: string) =>
    !word.startsWith('gr_') && openFor(status, readTarget(word), context.now()).length > 0;
  const named = words.filter(isOpen);
  // Where nothing else is held, nothing else can be meant.
  const isAll = all || (words.length === 0 && status?.grants.length === 0);
  const open = isAll
    ? (status?.breakGlass.open ?? [])
    : named.flatMap((word) => openFor(status, readTarget(word), context.now()));
  if (open.length === 0) return { closed: [], rest: words };
  const { closeTarget } = await import('../../client/break-glass/close.ts');
  const closed: SlotUse[] = [];
  for (const { target } of open)
    closed.push(...(await closeTarget(await context.client(), target, 'released')));
  return { closed, rest: words.filter((word) => !named.includes(word)) };
}

function closedLine({ resource, role, pack, slot }: SlotUse): Line {
  return [
    { text: 'closed', style: 'green' },
    ` ${formatTarget({ resource, role })}, opened by break-glass  ${pack} slot ${slot}`,
  ];
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
