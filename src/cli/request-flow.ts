/** What `request`, `wait` and `run` share: waiting for people, and what each answer means for the exit code. */
import { waitForRequest } from '../client/calls.ts';
import type { HeldCredential } from '../client/credentials.ts';
import { AppError } from '../protocol/errors.ts';
import type { RequestView } from '../protocol/messages.ts';
import type { Context } from './context.ts';
import { note, writeHint, writeJson, writeResult } from './io.ts';
import { withHint } from './signals.ts';
import { requestLines, whyDenied } from './views/requests.ts';
import { withSpinner } from './waiting.ts';

/** The broker holds a long poll this long at most. */
const POLL_SECONDS = 25;

export interface FinishOptions {
  /** In JSON: `oncall.<command>/v1`. */
  readonly command: string;
  readonly wait: boolean;
  /** Undefined: until the request itself expires. */
  readonly timeoutSeconds: number | undefined;
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
  const request = options.wait ? await answerTo(context, first, options) : await noted(context, first);
  const { credentials, failure = failureOf(request) } = await fetchCredentials(context, request);
  await writeResult(context.io, context.format, {
    command: options.command,
    data: { request, credentials: credentials.map(publicCredential) },
    lines: () => requestLines(request, context.now()),
  });
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
  const failure = request.state === 'denied' ? failureOf(request) : undefined;
  if (failure !== undefined) throw failure;
}

/**
 * The request when nobody needs to be waited for any more. Throws AppError `timeout` (the request goes on without us), and
 * `interrupted` with what to type to go on waiting. With a command, ndjson output tells that waiting has begun.
 */
export async function answerTo(
  context: Context,
  first: RequestView,
  { command, timeoutSeconds }: { readonly command?: string; readonly timeoutSeconds: number | undefined },
): Promise<RequestView> {
  await noted(context, first);
  if (first.state !== 'pending') return first;
  if (context.format === 'ndjson' && command !== undefined) {
    writeJson(context.io.stdout, 'ndjson', {
      schema: `oncall.${command}/v1`,
      request: first,
      credentials: [],
    });
  }
  await note(context.io, `${first.id} waits for ${approversOf(first)}`);
  const deadline = timeoutSeconds === undefined ? undefined : context.now() + timeoutSeconds * 1000;
  try {
    const polled = poll(context, first, deadline);
    return await noted(context, await withSpinner(context.io, 'waiting for an approval', polled));
  } catch (error) {
    throw withHint(error, `the request goes on: ${whatNext(first)}`);
  }
}

async function poll(
  context: Context,
  first: RequestView,
  deadline = Number.POSITIVE_INFINITY,
): Promise<RequestView> {
  const broker = await context.broker();
  for (let request = first; ; ) {
    const leftSeconds = (deadline - context.now()) / 1000;
    if (leftSeconds <= 0) throw stillPending(request, 'timeout');
    request = await waitForRequest(broker, first.id, Math.ceil(Math.min(POLL_SECONDS, leftSeconds)));
    if (request.state !== 'pending') return request;
  }
}

/** Keeps the status file in step with what was just heard. */
async function noted(context: Context, request: RequestView): Promise<RequestView> {
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
export function publicCredential({ grantId, target, handle, expiresAt }: HeldCredential): object {
  return { grantId, target, handle, expiresAt };
}

async function writeUseHint(context: Context, [credential]: readonly HeldCredential[]): Promise<void> {
  if (credential === undefined) return;
  const { publicPart, target } = credential;
  const tool = publicPart.kind === 'postgres' ? 'psql' : `ssh ${publicPart.hosts[0]?.name ?? 'HOST'}`;
  await writeHint(context.io, `oncall run ${target.resource} -- ${tool}`);
}

/** The error that an answer other than `granted` ends with; undefined for a grant. */
export function failureOf(request: RequestView): AppError | undefined {
  const { id, state, targets } = request;
  const details = { requestId: id };
  if (state === 'granted') return undefined;
  if (state === 'pending') return stillPending(request, 'pending');
  if (state === 'cancelled') return new AppError('ended', `${id} was cancelled`, { details });
  if (state === 'expired') {
    const hint = 'ask again, and tell the approvers by other means';
    return new AppError('expired', `${id} expired before anyone answered`, { hint, details });
  }
  const hint = `oncall explain ${id || (targets[0]?.target.resource ?? '')} shows what would change that`;
  return new AppError('denied', whyDenied(request), { hint, details });
}

/** Exit 8: nobody has answered yet. */
function stillPending(request: RequestView, code: 'pending' | 'timeout'): AppError {
  return new AppError(code, `${request.id} still waits for ${approversOf(request)}`, {
    hint: whatNext(request),
    details: { requestId: request.id },
  });
}

function whatNext({ id }: RequestView): string {
  return `oncall wait ${id}, or oncall cancel ${id}`;
}

function approversOf({ targets }: RequestView): string {
  return [...new Set(targets.flatMap(({ approvers }) => approvers))].join(', ') || 'an approver';
}
