/** What `request` and `wait` share: from the broker's answer to the end of a command, and what each answer means for its exit code. */
import type { HeldCredential } from '../client/credentials.ts';
import { clientTarget } from '../client/targets/kinds.ts';
import { AppError } from '../protocol/errors.ts';
import type { RequestView } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { AnswerOptions } from './answer.ts';
import type { Context } from './context.ts';
import { type Line, writeHint, writeResult } from './io.ts';
import type { Output } from './outputs.ts';
import { breakGlassCommandFor } from './views/break-glass-words.ts';
import { requestLines, whyDenied } from './views/requests.ts';

export interface FinishOptions {
  /** In JSON: `oncall.<command>/v1`. */
  readonly command: 'request' | 'wait' | 'break-glass';
  readonly wait: boolean;
  /** Undefined: until the request itself expires. */
  readonly timeoutSeconds: number | undefined;
  /** For people; as any request unless told. */
  readonly lines?: (request: RequestView) => Line[];
}

/**
 * From the broker's first answer to the end of a command: waits where that is wanted, fetches the credentials of what was
 * granted, writes the result. Throws AppError `denied`, `pending`, `timeout`, `expired`, `ended` for other answers than a
 * grant, and what fetching credentials throws; a result has been written by then, except when waiting was given up.
 */
export async function finishRequest(
  context: Context,
  first: RequestView,
  options: FinishOptions,
): Promise<void> {
  const request = options.wait ? await answered(context, first, options) : await noted(context, first);
  const { credentials, failure: missing } = await fetchCredentials(context, request);
  await writeResult(context.io, context.format, {
    command: options.command,
    data: { request, credentials: credentials.map(publicCredential) },
    lines: () => options.lines?.(request) ?? requestLines(request, context.now()),
  });
  const failure = missing ?? (await finalFailure(context, request));
  if (failure !== undefined) throw failure;
  if (context.format === 'table') await writeUseHint(context, credentials);
}

/** A dry run has recorded nothing. It ends as the request would; that it would have to be approved is no failure. */
export async function showDryRun(context: Context, request: RequestView): Promise<void> {
  await writeResult(context.io, context.format, {
    command: 'request',
    data: { request, credentials: [] },
    lines: () => requestLines(request, context.now()),
  });
  const failure = request.state === 'denied' ? await finalFailure(context, request) : undefined;
  if (failure !== undefined) throw failure;
}

/** The request when nobody needs to be waited for any more; see answer.ts, which most requests never need. */
export async function answered(
  context: Context,
  first: RequestView,
  options: AnswerOptions,
): Promise<RequestView> {
  if (first.state !== 'pending') return noted(context, first);
  const { answerTo } = await import('./answer.ts');
  return answerTo(context, first, options);
}

/** Keeps the status file in step with what was just heard. */
export async function noted(context: Context, request: RequestView): Promise<RequestView> {
  const { noteRequest } = await import('../client/hold.ts');
  await noteRequest(await context.clientContext(), await context.config(), request);
  return request;
}

interface Fetched {
  readonly credentials: readonly HeldCredential[];
  readonly failure?: unknown;
}

async function fetchCredentials(context: Context, { state, grants }: RequestView): Promise<Fetched> {
  if (state !== 'granted') return { credentials: [] };
  const { ensureCredentials } = await import('../client/hold.ts');
  try {
    return { credentials: await ensureCredentials(await context.client(), grants) };
  } catch (failure) {
    if (!(failure instanceof AppError) || failure.hint !== undefined) return { credentials: [], failure };
    const { code, message, cause, correlationId, details } = failure;
    const hint = 'the grant stands, its credential is missing: oncall renew --no-extend tries again';
    return { credentials: [], failure: new AppError(code, message, { hint, cause, correlationId, details }) };
  }
}

/** What may be shown of a credential. */
export function publicCredential({
  grantId,
  target,
  handle,
  expiresAt,
}: HeldCredential): Output<'renew'>['credentials'][number] {
  return { grantId, target, handle, expiresAt };
}

async function writeUseHint(context: Context, [credential]: readonly HeldCredential[]): Promise<void> {
  if (credential === undefined) return;
  const { publicPart, target } = credential;
  const tool = clientTarget(publicPart.kind).tool(publicPart).join(' ');
  await writeHint(context.io, `oncall run ${formatTarget(target)} -- ${tool}`);
}

/** The same as {@link failureOf}, with what would change a denial. */
export async function finalFailure(context: Context, request: RequestView): Promise<AppError | undefined> {
  if (request.state !== 'denied') return failureOf(request);
  return (await import('./denials.ts')).explainedFailureOf(context, request);
}

/** The error that an answer other than `granted` ends with; undefined for a grant. */
export function failureOf(request: RequestView): AppError | undefined {
  const { id, state, targets } = request;
  const details = { requestId: id };
  if (state === 'granted') return undefined;
  if (state === 'pending') return stillPending(request, 'pending');
  if (state === 'cancelled')
    return new AppError('ended', `${id} was cancelled`, { hint: 'oncall request asks anew', details });
  if (state === 'expired') {
    const hint = 'ask again, and tell the approvers by other means';
    return new AppError('expired', `${id} expired before anyone answered`, { hint, details });
  }
  const { breakGlass = [] } = request;
  const explained = `oncall explain ${id || (targets[0]?.target.resource ?? '')} shows what would change that`;
  const hint =
    breakGlass.length === 0
      ? explained
      : `${explained}; what can not wait: ${breakGlassCommandFor(breakGlass)}`;
  return new AppError('denied', whyDenied(request), { hint, details });
}

/** Exit 8: nobody has answered yet. */
export function stillPending(request: RequestView, code: 'pending' | 'timeout'): AppError {
  return new AppError(code, `${request.id} still waits for ${approversOf(request)}`, {
    hint: whatNext(request),
    details: { requestId: request.id },
  });
}

export function whatNext({ id }: RequestView): string {
  return `oncall wait ${id}, or oncall cancel ${id}`;
}

export function approversOf({ targets, waiting = [] }: RequestView): string {
  const asked = new Set(waiting.flatMap((chain) => chain.asked.map(({ user }) => user)));
  if (asked.size > 0) return [...asked].join(', ');
  return [...new Set(targets.flatMap(({ approvers }) => approvers))].join(', ') || 'an approver';
}
