import { ensureCredential } from '../../client/hold.ts';
import { ofOneKind } from '../../client/session-files.ts';
import { clientTarget } from '../../client/targets/kinds.ts';
import { formatDuration } from '../../protocol/durations.ts';
import { AppError } from '../../protocol/errors.ts';
import type { GrantView } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import { formatInstant, parseInstant } from '../../protocol/time.ts';
import { defineCommand, firstArgument, flagOption, readTarget, type TypedTarget } from '../command.ts';
import type { Context } from '../context.ts';
import { findGrant, formatTyped, notHeld, standingGrants } from '../held-grants.ts';
import { note, writeResult } from '../io.ts';
import { openLink } from '../open-link.ts';
import { bothTimes } from '../times.ts';

export interface ConsoleOptions {
  readonly target: TypedTarget;
  readonly print: boolean;
}

export const consoleCommand = defineCommand<ConsoleOptions>({
  json: ['console'],
  examples: [
    ['oncall console aws-prod', "the cloud's own console, in a browser"],
    ['oncall console aws-prod --print', 'the link alone; whoever has it is you'],
  ],
  declare: (command) =>
    void command
      .argument('<target>', 'a resource, or resource:role')
      .option('--print', 'print the link; whoever has it is you'),
  completes: { target: { names: ['held', 'resources', 'roles'] } },
  read: (typed) => ({
    target: readTarget(firstArgument(typed, 'target')),
    print: flagOption(typed, 'print'),
  }),
  run: runConsole,
});

/**
 * Opens the target's own web console, or prints the link where nothing can be opened. A console session ends when the credential
 * does that it was opened with, so it gets a fresh one; one that could outlive the window is not opened.
 */
export async function runConsole(context: Context, { target: typed, print }: ConsoleOptions): Promise<void> {
  const grant = findGrant(typed, await standingGrants(context));
  if (grant === undefined) throw notHeld(formatTyped(typed));
  const target = clientTarget(grant.kind);
  if (target.console === undefined) {
    throw new AppError('usage', `${typed.resource} has no console: it is ${grant.kind}`, {
      hint: `oncall run ${formatTyped(typed)} -- …`,
    });
  }
  const client = await context.client();
  const held = ofOneKind(await ensureCredential(client, grant, { renewAfter: 0 }));
  const endsAtMs = parseInstant(target.console.endsAt(held.publicPart));
  // The window of what was only ready has begun by this.
  const isBegun = grant.state === 'ready';
  refuseToOutlive((isBegun && findGrant(typed, await standingGrants(context))) || grant, endsAtMs);
  const { ca } = client.config;
  const link = await target.console.open(held, {
    // The broker's own key says nothing about who signs people in elsewhere.
    trust: { ca: ca === 'pinned' ? 'system' : ca },
    env: context.env,
    now: context.now,
    signal: context.signals.aborted,
  });
  const endsAt = formatInstant(endsAtMs);
  const words = `console of ${formatTarget(grant.target)} until ${bothTimes(endsAt, context.now())}`;
  const canOpen = !print && context.format === 'table' && context.io.stdout.isTerminal;
  if (canOpen && (await openLink(link, context.env, context.signals.aborted))) return note(context.io, words);
  await note(context.io, `${words}; whoever has the link is you`);
  await writeResult(context.io, context.format, {
    command: 'console',
    data: { target: grant.target, url: link, endsAt },
    lines: () => [link],
  });
}

function refuseToOutlive(grant: GrantView, consoleEndsAtMs: number): void {
  const windowEndsAtMs = Math.min(
    ...[grant.endsAt, grant.graceEndsAt].flatMap((at) => (at === null ? [] : [parseInstant(at)])),
  );
  if (consoleEndsAtMs <= windowEndsAtMs) return;
  const longer = formatDuration((consoleEndsAtMs - windowEndsAtMs) / 1000);
  throw new AppError('denied', `a console session could outlive the window by ${longer}`, {
    hint: `oncall renew ${formatTarget(grant.target)}   # a longer window, where policy gives one`,
  });
}
