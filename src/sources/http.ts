/**
 * One HTTP client for every vendor: GET only, a pool for each origin, timeouts, bounded answers, retries.
 *
 * What it promises: nothing of a request (address, headers) and nothing of an answer's text is in an error; redirects are
 * not followed, so that a token is never sent anywhere but to the address it was meant for; an aborted signal ends it at
 * once. undici's RetryHandler is not used: it sleeps on when its signal is aborted, adds no jitter, and mends an answer
 * that broke off by a Range request, where we want one answer or none.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, errors, request } from 'undici';
import type { AppError } from '../protocol/errors.ts';
import type { Validators } from './shift.ts';
import { sourceFailed } from './source-failure.ts';

/** A schedule of a thousand people for a year is a tenth of this. */
const MAX_BODY_BYTES = 5_000_000;
const MAX_VALIDATOR_LENGTH = 256;

export interface HttpTiming {
  /** For one attempt, from connecting to the last byte. */
  attemptMs: number;
  attempts: number;
  /** Before the second attempt; doubled for each further one, and halved or less by chance. */
  backoffMs: number;
  /** A longer `Retry-After` is not waited for: the caller polls again anyway. */
  maxWaitMs: number;
}

const TIMING: HttpTiming = { attemptMs: 15_000, attempts: 3, backoffMs: 500, maxWaitMs: 30_000 };

export interface Question {
  /** Secret where the source's address is one (a calendar). */
  url: URL;
  headers: Readonly<Record<string, string>>;
  signal: AbortSignal;
  /** Out of an earlier answer: asks for nothing where nothing changed. */
  validators?: Validators;
}

export type Answer =
  | { kind: 'body'; body: Uint8Array; validators: Validators }
  | { kind: 'unchanged' }
  | { kind: 'absent' };

export interface SourceHttp {
  /** Rejects with AppError `source_failed` for everything but 200, 304 (where validators were sent) and 404. */
  get(question: Question): Promise<Answer>;
  close(): Promise<void>;
}

/** `name` is the source's, for messages. */
export function createSourceHttp(name: string, timing: HttpTiming = TIMING): SourceHttp {
  const agent = new Agent({
    connections: 4,
    connect: { timeout: timing.attemptMs },
    headersTimeout: timing.attemptMs,
    bodyTimeout: timing.attemptMs,
    maxResponseSize: MAX_BODY_BYTES,
  });
  return {
    async get(question) {
      for (let attempt = 1; ; attempt++) {
        const outcome = await attemptGet(name, agent, question, timing.attemptMs);
        if (outcome.kind !== 'failed') return outcome;
        const wait = Math.max(
          outcome.waitMs,
          timing.backoffMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2),
        );
        if (!outcome.passing || attempt >= timing.attempts || wait > timing.maxWaitMs) throw outcome.error;
        // The signal ends the wait, not the reason why we waited.
        await delay(wait, undefined, { signal: question.signal }).catch(() => Promise.reject(outcome.error));
      }
    },
    // Not close(): that waits for answers that hang.
    close: () => agent.destroy(),
  };
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Failed; `passing` where trying again may help, not before `waitMs`. */
interface Failed {
  kind: 'failed';
  error: AppError;
  passing: boolean;
  waitMs: number;
}

async function attemptGet(
  name: string,
  agent: Agent,
  { url, headers, signal, validators = {} }: Question,
  timeoutMs: number,
): Promise<Answer | Failed> {
  const asked = conditions(validators);
  try {
    signal.throwIfAborted();
    const answer = await request(url, {
      dispatcher: agent,
      headers: { 'user-agent': 'oncall', 'accept-encoding': 'identity', ...headers, ...asked },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (answer.statusCode === 200)
      return { kind: 'body', body: await answer.body.bytes(), validators: validatorsOf(answer.headers) };
    await answer.body.dump();
    if (answer.statusCode === 304 && Object.keys(asked).length > 0) return { kind: 'unchanged' };
    if (answer.statusCode === 404) return { kind: 'absent' };
    return refused(name, answer.statusCode, answer.headers);
  } catch (cause) {
    return broken(name, cause, signal.aborted);
  }
}

function refused(name: string, status: number, headers: Headers): Failed {
  const waitMs = retryAfterMs(headers);
  const failed = (what: string, hint?: string): Failed => ({
    kind: 'failed',
    error: sourceFailed(name, what, {
      hint,
      status,
      retryAfterSeconds: waitMs > 0 ? Math.ceil(waitMs / 1000) : undefined,
    }),
    passing: status === 429 || status >= 500,
    waitMs,
  });
  if (status === 401 || status === 403)
    return failed(
      `refused our credentials (${status})`,
      `renew the secret that the catalogue has for ${name}`,
    );
  if (status >= 300 && status < 400)
    return failed(`answered with a redirect (${status})`, `give ${name} the address that it redirects to`);
  return failed(`answered ${status}`);
}

function broken(name: string, cause: unknown, aborted: boolean): Failed {
  const tooLarge = cause instanceof errors.ResponseExceededMaxSizeError;
  const late = aborted || (cause instanceof Error && /Timeout|Abort/.test(cause.name));
  const what = tooLarge ? 'answered with too much' : late ? 'did not answer in time' : 'could not be reached';
  return {
    kind: 'failed',
    error: sourceFailed(name, what, { cause }),
    passing: !tooLarge && !aborted,
    waitMs: 0,
  };
}

/** Seconds, or a date (RFC 9110 section 10.2.3), which is held against the answer's own date: its clock, not ours. */
function retryAfterMs(headers: Headers): number {
  const { 'retry-after': after, date } = headers;
  if (typeof after !== 'string') return 0;
  if (/^\d{1,9}$/.test(after)) return Number(after) * 1000;
  const ms = Date.parse(after) - (typeof date === 'string' ? Date.parse(date) : Number.NaN);
  return Number.isNaN(ms) ? 0 : Math.max(0, ms);
}

function conditions({ etag, lastModified }: Validators): Record<string, string> {
  return {
    ...(etag !== undefined && { 'if-none-match': etag }),
    ...(lastModified !== undefined && { 'if-modified-since': lastModified }),
  };
}

function validatorsOf({ etag, 'last-modified': lastModified }: Headers): Validators {
  return Object.fromEntries(
    Object.entries({ etag, lastModified }).filter(
      (entry): entry is [string, string] =>
        typeof entry[1] === 'string' && entry[1].length <= MAX_VALIDATOR_LENGTH,
    ),
  );
}
