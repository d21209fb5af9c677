/**
 * `oncall break-glass` when the broker does not decide: it is asked and looked for at the same time, and asked again until the pack opens,
 * for a decision of the broker's always counts. What the device opens by itself it says loudly.
 */
import type { Opened } from '../client/break-glass/open.ts';
import type { Probe } from '../client/break-glass/probe.ts';
import type { Client } from '../client/client.ts';
import { type Outcome, outcomeOf, outcomeWithin } from '../client/outcome.ts';
import { clientTarget } from '../client/targets/kinds.ts';
import { AppError } from '../protocol/errors.ts';
import { formatTarget, type TargetRef } from '../protocol/names.ts';
import type { TypedTarget } from './command.ts';
import type { Context } from './context.ts';
import { formatTyped } from './held-grants.ts';
import { type Line, note, warn, writeHint, writeResult } from './io.ts';
import { canAsk, chooseOne, chooseSome } from './prompt.ts';
import { publicCredential } from './request-flow.ts';
import { bothTimes } from './times.ts';
import { pause } from './waiting.ts';

/** A broker that is there gets this long to decide; and how soon it is asked again. */
const [DECISION_MS, AGAIN_MS] = [5_000, 250];
/** Nobody who has got in waits for a webhook; it is told again later. */
const TELL_MS = 1_500;

export interface GlassAsk {
  /** None: a person picks. */
  readonly targets: readonly TypedTarget[];
  readonly reason: string;
  readonly incident: string | undefined;
  readonly drill: boolean;
}

export type GlassOutcome<T> =
  | { readonly kind: 'decided'; readonly value: T }
  | { readonly kind: 'opened'; readonly opened: readonly Opened[]; readonly probes: readonly Probe[] };

/**
 * The broker's decision, else what this device opened. `ask` may be called again and again: it is one request (one idempotency key).
 * Throws the broker's refusal, and AppError `not_found`, `expired`, `conflict`, `clock_skew`, `usage`, `ambiguous`, `disk_full`,
 * `unsafe_file`, `corrupt_file` where nothing could be opened.
 */
export async function decideOrOpen<T>(
  context: Context,
  wanted: GlassAsk,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<GlassOutcome<T>> {
  const client = await context.client();
  const giveUp = new AbortController();
  const signal = AbortSignal.any([giveUp.signal, context.signals.aborted]);
  try {
    const call = ask(signal);
    const { outcome, probes } = await lookFor(client, call);
    if (outcome.kind !== 'undecided') return decided(outcome);
    await warn(context.io, `the broker does not decide: ${outcome.because}`);
    const targets = await targetsOf(context, wanted.targets);
    await note(context.io, 'opening by break-glass; the broker is asked again until it is open');
    const asking = askAgain(call, ask, signal);
    return await openUnlessDecided(context, client, { ...wanted, targets, probes }, asking);
  } finally {
    giveUp.abort();
  }
}

function decided<T>(outcome: Exclude<Outcome<T>, { kind: 'undecided' }>): GlassOutcome<T> {
  if (outcome.kind === 'refused') throw outcome.error;
  return { kind: 'decided', value: outcome.value };
}

/** Asked, and every address looked at, at the same time. One that is there and slow gets longer. */
async function lookFor<T>(
  { context, config }: Client,
  call: Promise<T>,
): Promise<{ outcome: Outcome<T>; probes: Probe[] }> {
  const { PROBE_MS, probeAll, wordsOf } = await import('../client/break-glass/probe.ts');
  const begunAt = performance.now();
  const probing = probeAll(config, context);
  let outcome = await outcomeWithin(call, PROBE_MS);
  const { probes, isAlive } = outcome.kind === 'undecided' ? await probing : { probes: [], isAlive: false };
  const leftMs = DECISION_MS - (performance.now() - begunAt);
  if (outcome.kind === 'undecided' && isAlive) {
    // The call that timed out goes on: one that has ended says at once how.
    outcome = await outcomeWithin(call, leftMs);
  }
  if (outcome.kind !== 'undecided') return { outcome, probes };
  const tookMs = Math.round(performance.now() - begunAt);
  const asked = { endpoint: config.broker, tookMs, outcome: wordsOf(`asked: ${outcome.because}`) };
  return { outcome, probes: [...probes, asked] };
}

/** Until it is decided, or given up. Undefined while it is not. */
function askAgain<T>(
  first: Promise<T>,
  ask: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): { readonly decision: () => Exclude<Outcome<T>, { kind: 'undecided' }> | undefined } {
  let decision: Exclude<Outcome<T>, { kind: 'undecided' }> | undefined;
  const listen = async (call: Promise<T>) => {
    const outcome = await outcomeOf(call);
    if (outcome.kind !== 'undecided') decision ??= outcome;
  };
  const asking = async () => {
    for (; !signal.aborted && decision === undefined; await pause(signal, AGAIN_MS))
      await listen(ask(signal));
  };
  // What fails here is no decision either.
  for (const work of [listen(first), asking()]) work.catch(() => {});
  return { decision: () => decision };
}

interface Opening extends Omit<GlassAsk, 'targets'> {
  readonly targets: readonly TargetRef[];
  readonly probes: readonly Probe[];
}

async function openUnlessDecided<T>(
  context: Context,
  client: Client,
  { targets, probes, incident, ...wanted }: Opening,
  { decision }: ReturnType<typeof askAgain<T>>,
): Promise<GlassOutcome<T>> {
  const { openPack } = await import('../client/break-glass/open.ts');
  const opened: Opened[] = [];
  let failure: unknown;
  for (const target of targets) {
    if (decision() !== undefined) break;
    try {
      const tool = 'oncall break-glass';
      opened.push(await openPack(client, { ...wanted, target, incident: incident ?? null, probes, tool }));
    } catch (error) {
      failure ??= error;
    }
  }
  const late = decision();
  if (late !== undefined) {
    const { closeTarget } = await import('../client/break-glass/close.ts');
    for (const { credential, wasOpen } of opened)
      if (!wasOpen) await closeTarget(client, credential.target, 'failed');
    await note(context.io, 'the broker has decided meanwhile: that counts');
    return decided(late);
  }
  if (opened.length === 0 && failure !== undefined) throw failure;
  if (failure instanceof Error) await warn(context.io, `not all of it is open: ${failure.message}`);
  const { startAgent } = await import('../client/agent-start.ts');
  await startAgent(client);
  return { kind: 'opened', opened, probes };
}

/** What this device has packs for, as far as it is named: a resource stands for the role that it has a pack of. */
export async function targetsOf(context: Context, typed: readonly TypedTarget[]): Promise<TargetRef[]> {
  const { listPacks } = await import('../client/break-glass/packs.ts');
  const { paths } = await context.clientContext();
  const { packs, refused } = listPacks(paths, await context.config());
  const names = [...new Set(packs.map(({ pack }) => formatTarget(pack)))].sort();
  if (typed.length > 0)
    return Promise.all(typed.map((one) => targetOf(context, one, names, refused[0]?.error)));
  if (names.length === 0) throw noPack('anything', names, refused[0]?.error);
  if (!canAsk(context.io)) {
    throw new AppError('usage', 'no target is named', { hint: `name one of: ${names.join(', ')}` });
  }
  const choices = names.map((name) => ({ label: name, value: name }));
  return (await chooseSome(context.io, 'what do you open?', choices)).map(refOf);
}

async function targetOf(
  context: Context,
  typed: TypedTarget,
  names: readonly string[],
  refused: AppError | undefined,
): Promise<TargetRef> {
  const name = formatTyped(typed);
  if (typed.role !== undefined) {
    if (!names.includes(name)) throw noPack(name, names, refused);
    return { resource: typed.resource, role: typed.role };
  }
  const fitting = names.filter((one) => refOf(one).resource === typed.resource);
  const [only, ...others] = fitting;
  if (only === undefined) throw noPack(name, names, refused);
  if (others.length === 0) return refOf(only);
  if (!canAsk(context.io)) {
    throw new AppError('ambiguous', `there are packs for several roles on ${name}`, {
      hint: `name one: ${fitting.join(', ')}`,
    });
  }
  return refOf(
    await chooseOne(
      context.io,
      `which role on ${name}?`,
      fitting.map((one) => ({ label: one, value: one })),
    ),
  );
}

function refOf(name: string): TargetRef {
  const [resource = '', role = ''] = name.split(':');
  return { resource, role };
}

function noPack(name: string, names: readonly string[], refused: AppError | undefined): AppError {
  if (names.length === 0 && refused !== undefined) return refused;
  return new AppError('not_found', `there is no break-glass pack for ${name} on this device`, {
    hint:
      names.length === 0
        ? 'packs are fetched for those on shift, while the broker is there: ask a colleague on shift'
        : `there are packs for: ${names.join(', ')}`,
  });
}

/** Writes what was opened, loudly, and tells the webhook. */
export async function showOpened(
  context: Context,
  opened: readonly Opened[],
  probes: readonly Probe[],
): Promise<void> {
  const { io, format, now } = context;
  const client = await context.client();
  const { tellOpenings } = await import('../client/break-glass/tell.ts');
  const telling = tellOpenings(client, AbortSignal.timeout(TELL_MS)).catch(() => undefined);
  await writeResult(io, format, {
    command: 'break-glass',
    data: {
      decidedBy: 'device',
      request: null,
      credentials: opened.map(({ credential }) => publicCredential(credential)),
      opened: opened.map(({ credential, use, webhook, wasOpen }) => ({
        ...{ pack: use.pack, slot: use.slot, target: credential.target, kind: credential.publicPart.kind },
        ...{ reason: use.reason, incident: use.incident, drill: use.drill, entry: use.entry },
        ...{ openedAt: use.openedAt, expiresAt: credential.expiresAt, webhook: webhook !== null, wasOpen },
      })),
      probes,
    },
    lines: () => opened.flatMap((one) => openedLines(one, now())),
  });
  const told = await telling;
  if (told !== undefined && told.waiting > 0)
    await warn(io, `${told.because ?? 'the webhook'}: it is told later`);
  const [first] = opened;
  if (first === undefined || format !== 'table') return;
  const { target, publicPart } = first.credential;
  const tool = clientTarget(publicPart.kind).tool(publicPart).join(' ');
  await writeHint(
    io,
    `oncall run ${formatTarget(target)} -- ${tool}; oncall release ${formatTarget(target)} when you are done`,
  );
}

function openedLines({ credential, use, webhook }: Opened, now: number): Line[] {
  const drill = use.drill ? 'DRILL: ' : '';
  return [
    [
      { text: `${drill}BREAK-GLASS`, style: 'red' },
      ' ',
      { text: formatTarget(credential.target), style: 'bold' },
      ` until ${bothTimes(credential.expiresAt, now)}  ${use.pack} slot ${use.slot}`,
    ],
    `  ${use.reason}`,
    `  written down as entry ${use.entry} of this device's journal, which goes to the broker as soon as it is back`,
    webhook === null
      ? '  everybody who is to know hears of it then'
      : '  the break-glass webhook is told now, everybody else then',
  ];
}
