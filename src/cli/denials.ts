/** What a no is worth to somebody at 02:14: the rule's own words, what would change it, and the next thing to type. */
import { explain } from '../client/calls.ts';
import { AppError } from '../protocol/errors.ts';
import type { Explanation, RequestView } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { Context } from './context.ts';
import { note } from './io.ts';
import { failureOf } from './request-flow.ts';

type Change = Explanation['changes'][number];

const EFFECTS = { grant: 'granted', ask: 'could be asked for', deny: 'denied' } as const;

/**
 * The error that an answer ends with, as {@link failureOf}. For a denial by policy the broker is asked what would change it: that is
 * noted on stderr, is in the error's details, and leads its hint. A broker that does not answer this changes nothing.
 */
export async function explainedFailureOf(
  context: Context,
  request: RequestView,
): Promise<AppError | undefined> {
  const failure = failureOf(request);
  if (request.state !== 'denied' || failure === undefined) return failure;
  const changes = await changesFor(context, request);
  if (context.format === 'table') {
    for (const { words, effect } of changes) await note(context.io, `${words}: ${EFFECTS[effect]}`);
  }
  const { code, message, details } = failure;
  const hint = `${nextStep(request, changes) ?? failure.hint}${orBreakGlass(request)}`;
  return new AppError(code, message, { hint, details: { ...details, changes } });
}

async function changesFor(context: Context, request: RequestView): Promise<Change[]> {
  const denied = request.targets.find(({ effect }) => effect === 'deny');
  // A person's no has no rule to look at.
  if (denied === undefined || request.answers.some(({ verdict }) => verdict === 'deny')) return [];
  const { incident, reason, durationSeconds } = request;
  try {
    const { changes } = await explain(await context.broker(), {
      target: denied.target,
      durationSeconds,
      ...(incident !== null && { incident }),
      ...(reason !== null && { hasReason: true }),
    });
    return changes;
  } catch (error) {
    context.signals.aborted.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return [];
  }
}

/** What to type, or whom to ask; undefined where nothing that this person does would help. */
function nextStep(request: RequestView, changes: readonly Change[]): string | undefined {
  const denier = request.answers.find(({ verdict }) => verdict === 'deny')?.approver;
  if (denier !== undefined) return `ask ${denier}`;
  return changes.map((change) => stepFor(request, change)).find((step) => step !== undefined);
}

function stepFor(request: RequestView, { change, words }: Change): string | undefined {
  const typed = commandOf(request);
  if (change === 'reason') return `${typed} --reason '…'`;
  if (change === 'incident.open') return `${typed} -i INCIDENT, which oncall incident list shows`;
  // Both words end in what would be typed: policy/explain.ts.
  const asked = /^if you asked for (\S+)$/.exec(words)?.[1];
  if (change === 'duration' && asked !== undefined) return `${typed} -d ${asked}`;
  if (change === 'role' && asked !== undefined) return commandOf(request, asked);
  return undefined;
}

function commandOf({ bundle, targets, incident, reason }: RequestView, role?: string): string {
  const names = role ?? bundle ?? targets.map(({ target }) => formatTarget(target)).join(' ');
  return [
    `oncall request ${names}`,
    ...(incident === null ? [] : [`-i ${incident}`]),
    ...(reason === null ? [] : [`-r '…'`]),
  ].join(' ');
}

function orBreakGlass({ bundle, targets, incident }: RequestView): string {
  const names = bundle ?? targets.map(({ target }) => formatTarget(target)).join(' ');
  const purpose = incident === null ? '' : ` -i ${incident}`;
  return `; where it cannot wait: oncall break-glass ${names}${purpose} --reason '…'`;
}
