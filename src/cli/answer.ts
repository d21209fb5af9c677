/** Waiting for people: on the broker's event stream, by long poll where an older broker has none. */
import { getRequest, waitForRequest } from '../client/calls.ts';
import { type Hearing, type News, startHearing } from '../client/hearing.ts';
import { isAppError } from '../protocol/errors.ts';
import type { RequestView } from '../protocol/messages.ts';
import type { Context } from './context.ts';
import { note, warn, writeJson } from './io.ts';
import { approversOf, noted, stillPending, whatNext } from './request-flow.ts';
import { withHint } from './signals.ts';
import { waitingWords } from './views/waiting.ts';
import { canSpin, withSpinner } from './waiting.ts';

/** The broker holds a long poll this long at most. */
const POLL_SECONDS = 25;
/** No event tells that a notice has arrived. */
const LOOK_MS = 5_000;

export interface AnswerOptions {
  /** With it, ndjson output has an object for each change while it is pending. */
  readonly command?: 'request' | 'wait' | 'break-glass';
  /** Undefined: until the request itself expires. */
  readonly timeoutSeconds: number | undefined;
}

/**
 * A pending request when nobody needs to be waited for any more. Throws AppError `timeout` (the request goes on without us), and
 * `interrupted` with what to type to go on waiting. A broker that is away is waited for, as long as the request could still be
 * answered: `broker_unreachable` after that.
 */
export async function answerTo(
  context: Context,
  first: RequestView,
  { command, timeoutSeconds }: AnswerOptions,
): Promise<RequestView> {
  await noted(context, first);
  const { io, now } = context;
  const deadline = timeoutSeconds === undefined ? Number.POSITIVE_INFINITY : now() + timeoutSeconds * 1000;
  const isDrawn = canSpin(io);
  let latest: RequestView | undefined;
  const tell = async (request: RequestView) => {
    if (request.state !== 'pending' || JSON.stringify(request) === JSON.stringify(latest)) return;
    const isFirst = latest === undefined;
    latest = request;
    if (context.format === 'ndjson' && command !== undefined) {
      writeJson(io.stdout, 'ndjson', { schema: `oncall.${command}/v1`, request, credentials: [] });
    }
    // Where a spinner turns, it says the rest.
    if (isFirst || !isDrawn) await noteWaiting(context, request);
  };
  await tell(first);
  try {
    const answer = untilAnswered(context, first, deadline, tell);
    return await noted(context, await withSpinner(io, () => spinnerWords(latest ?? first, now()), answer));
  } catch (error) {
    throw withHint(error, `the request goes on: ${whatNext(first)}`);
  }
}

type Tell = (request: RequestView) => Promise<void>;

async function untilAnswered(
  context: Context,
  first: RequestView,
  deadline: number,
  tell: Tell,
): Promise<RequestView> {
  const { now, signals } = context;
  const broker = await context.broker();
  const hearing = startHearing({ broker, now, signal: signals.aborted });
  let request = first;
  let lookedMs = now();
  let mustLook = false;
  let saidSilentMs: number | undefined;
  try {
    for (;;) {
      const leftMs = deadline - now();
      if (leftMs <= 0) throw stillPending(request, 'timeout');
      const news = await takeNews(hearing, Math.min(LOOK_MS, leftMs));
      signals.aborted.throwIfAborted();
      if (news === undefined) return await poll(context, request, deadline, tell);
      const isLate = now() - lookedMs >= LOOK_MS && (isOnItsWay(request) || news.silentSinceMs !== undefined);
      if (!mustLook && !isLate && !concerns(news, first.id)) continue;
      lookedMs = now();
      const seen = await getRequest(broker, first.id).catch((error: unknown) => {
        if (!isAppError(error, 'broker_unreachable') || now() > Date.parse(request.expiresAt)) throw error;
        return undefined;
      });
      mustLook = seen === undefined;
      if (seen === undefined) {
        if (news.silentSinceMs !== undefined && news.silentSinceMs !== saidSilentMs)
          await warn(context.io, 'the broker has not been heard for a minute: the wait goes on');
        saidSilentMs = news.silentSinceMs;
        continue;
      }
      request = seen;
      if (request.state !== 'pending') return request;
      await tell(request);
    }
  } finally {
    await hearing.close();
  }
}

/** Undefined where the broker has no event stream. */
async function takeNews(hearing: Hearing, ms: number): Promise<News | undefined> {
  try {
    return await hearing.take(ms);
  } catch (error) {
    if (isAppError(error, 'not_found')) return undefined;
    throw error;
  }
}

function concerns({ everything, events }: News, id: string): boolean {
  return everything || events.some(({ subject }) => Object.values(subject).includes(id));
}

function isOnItsWay({ waiting = [] }: RequestView): boolean {
  return waiting.some(({ asked }) => asked.some(({ reach }) => reach === 'sending'));
}

async function poll(
  context: Context,
  first: RequestView,
  deadline: number,
  tell: Tell,
): Promise<RequestView> {
  const broker = await context.broker();
  for (let request = first; ; ) {
    const leftSeconds = (deadline - context.now()) / 1000;
    if (leftSeconds <= 0) throw stillPending(request, 'timeout');
    request = await waitForRequest(broker, first.id, Math.ceil(Math.min(POLL_SECONDS, leftSeconds)));
    if (request.state !== 'pending') return request;
    await tell(request);
  }
}

async function noteWaiting({ io, now }: Context, request: RequestView): Promise<void> {
  await note(io, `${request.id} waits for ${approversOf(request)}`);
  for (const waiting of request.waiting ?? []) await note(io, `on ${waitingWords(waiting, now())}`);
}

function spinnerWords({ waiting = [] }: RequestView, now: number): string {
  return waiting.length === 0
    ? 'waiting for an approval'
    : `waiting on ${waiting.map((one) => waitingWords(one, now)).join(' · ')}`;
}
