/**
 * A drill: the way of break-glass without a broker, from the probes to a login with the ordinary tool, at a target behind which nothing
 * of value is. The broker is not asked to decide, even where it is there; it gets the journal afterwards, as after any other use.
 */
import { listBreakGlass } from '../../client/break-glass-calls.ts';
import { outcomeWithin } from '../../client/outcome.ts';
import { AppError } from '../../protocol/errors.ts';
import { formatTarget, type TargetRef } from '../../protocol/names.ts';
import { targetsOf } from '../break-glass-offline.ts';
import { defineCommand, readTarget, type TypedTarget } from '../command.ts';
import type { Context } from '../context.ts';
import { note, writeResult } from '../io.ts';
import { canAsk, chooseOne } from '../prompt.ts';

export interface DrillOptions {
  /** None: the canary that there is. */
  readonly target: TypedTarget | undefined;
}

/** For the broker to say which targets are for drills: a moment, since it may not be there. */
const SURE_MS = 5_000;
const REASON = 'a drill of break-glass';

export const drillCommand = defineCommand<DrillOptions>({
  json: ['drill'],
  examples: [
    ['oncall drill', 'break-glass at the canary, timed, as if there were no broker'],
    ['oncall drill canary-host --json', 'at one of several, for cron'],
  ],
  completes: { resource: { names: ['resources', 'roles'] } },
  declare: (command) => void command.argument('[resource]', 'a canary of the catalogue'),
  read: (typed) => ({ target: typed.args[0] === undefined ? undefined : readTarget(typed.args[0]) }),
  run: runDrill,
});

export async function runDrill(context: Context, { target: typed }: DrillOptions): Promise<void> {
  const client = await context.client();
  const target = await canaryOf(context, typed);
  const startedAt = performance.now();
  const [{ probeAll }, { openPack }, { closeTarget }, drill] = await Promise.all([
    import('../../client/break-glass/probe.ts'),
    import('../../client/break-glass/open.ts'),
    import('../../client/break-glass/close.ts'),
    import('../../client/break-glass/drill.ts'),
  ]);
  const { probes } = await probeAll(client.config, client.context);
  const wanted = { reason: REASON, incident: null, drill: true, tool: 'oncall drill' };
  const opened = await openPack(client, { ...wanted, target, probes });
  const command = drill.drillCommand(opened.credential);
  if (command === undefined) {
    throw new AppError('usage', `no drill knows how to log in to ${formatTarget(target)}`, {
      hint: 'make a canary of type ssh, postgres, kubernetes or x509',
    });
  }
  const login = await drill.logIn(client, opened.credential, command, context.signals.aborted);
  const tookMs = Math.round(performance.now() - startedAt);
  await drill.noteLogin(client, opened, login, tookMs);
  await closeTarget(client, target, 'released');
  const isRecorded = await handIn(context);
  const { passed, tool, because } = login;
  await writeResult(context.io, context.format, {
    command: 'drill',
    data: { target, passed, tookMs, tool, because: passed ? null : because, probes, recorded: isRecorded },
    lines: () => [
      [
        { text: passed ? 'passed' : 'failed', style: passed ? 'green' : 'red' },
        ` ${formatTarget(target)}: from the command to a login by ${tool} in ${(tookMs / 1000).toFixed(1)} s`,
      ],
      ...(passed ? [] : [`  ${because}`]),
      isRecorded ? 'recorded at the broker' : 'the broker records it as soon as it is there',
    ],
  });
  if (!passed) context.exitWith(1);
}

/** What a drill may open. While the broker is away nobody says what is a canary; what is none is reviewed as a use. */
async function canaryOf(context: Context, typed: TypedTarget | undefined): Promise<TargetRef> {
  const broker = await context.broker();
  const outcome = await outcomeWithin(listBreakGlass(broker, { timeoutMs: SURE_MS }), SURE_MS);
  if (outcome.kind === 'refused') throw outcome.error;
  if (outcome.kind === 'decided') {
    const canaries = outcome.value.options.filter(({ canary }) => canary).map(({ resource }) => resource);
    const { refreshPacks } = await import('../../client/break-glass/fetch.ts');
    await refreshPacks(await context.client());
    return only(context, [typed ?? { resource: await chosen(context, canaries) }], canaries);
  }
  await note(context.io, `the broker is not there (${outcome.because}): the drill goes on`);
  if (typed === undefined) {
    throw new AppError('usage', 'name the canary: the broker cannot say which there are', {
      hint: 'oncall drill RESOURCE; oncall status shows what there are packs for',
    });
  }
  return only(context, [typed], undefined);
}

async function only(
  context: Context,
  typed: readonly TypedTarget[],
  canaries: readonly string[] | undefined,
): Promise<TargetRef> {
  const [wanted] = typed;
  if (wanted !== undefined && canaries?.includes(wanted.resource) === false) {
    throw new AppError('denied', `${wanted.resource} is no canary: a drill opens nothing of value`, {
      hint: canaries.length > 0 ? `oncall drill ${canaries[0]}` : 'mark a resource with canary: true',
    });
  }
  const [target] = await targetsOf(context, typed);
  if (target === undefined) throw new AppError('internal', 'a target has no pack');
  return target;
}

async function chosen(context: Context, canaries: readonly string[]): Promise<string> {
  const [first, ...others] = canaries;
  if (first === undefined) {
    throw new AppError('not_found', 'the catalogue has no canary that you may break the glass of', {
      hint: 'mark a resource with canary: true and breakGlass: {}',
    });
  }
  if (others.length === 0) return first;
  if (!canAsk(context.io)) {
    throw new AppError('usage', 'there are several canaries', { hint: `name one: ${canaries.join(', ')}` });
  }
  return chooseOne(
    context.io,
    'which canary?',
    canaries.map((name) => ({ label: name, value: name })),
  );
}

/** Whether the broker has the journal now. */
async function handIn(context: Context): Promise<boolean> {
  const { refreshStatus } = await import('../../client/refresh.ts');
  const outcome = await outcomeWithin(refreshStatus(await context.client(), { names: false }), SURE_MS);
  return outcome.kind === 'decided';
}
