/**
 * The broker's event stream, for as long as somebody listens: cut, it is taken up again where it stopped, under a fresh signature.
 * Only what the parser accepts counts as having heard something: a proxy that dribbles bytes must not reassure anybody.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isAppError } from '../protocol/errors.ts';
import type { EventView } from '../protocol/messages.ts';
import type { BrokerClient } from './broker.ts';
import { createEventParser, StreamBroken, type Told, type ToldEvent } from './event-parser.ts';

/** After this long without a word a revocation may have gone unheard: three heartbeats. */
export const SILENT_MS = 60_000;
/** How often the clock is looked at: timers stand still while a laptop sleeps. */
const TICK_MS = 5_000;
const [FIRST_RETRY_MS, LONGEST_RETRY_MS] = [1_000, 30_000];
/** Codes that may be otherwise the next time. */
const PASSING: readonly string[] = ['broker_unreachable', 'rate_limited', 'busy', 'internal'];

export type Heard =
  /** Whatever one knows may be out of date: the stream began, or too much was missed to be told. */
  | { readonly kind: 'everything' }
  | { readonly kind: 'event'; readonly event: EventView }
  /** Nothing new, and that is certain: the broker is still there. */
  | { readonly kind: 'alive' }
  /** A minute without a word, since `sinceMs`. Said once; `alive`, `event` or `everything` ends it. */
  | { readonly kind: 'silent'; readonly sinceMs: number };

export interface ListenInput {
  readonly broker: Pick<BrokerClient, 'stream'>;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Between 0 and 1: the jitter. */
  readonly random?: () => number;
  /** Resolves after `ms`, or rejects when the signal fires. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Ends when `signal` fires. Throws AppError `not_found` (a broker that has no stream), `unauthenticated` (the device is revoked),
 * and whatever else will not be otherwise the next time.
 */
export async function* listen(input: ListenInput): AsyncGenerator<Heard, void> {
  const { now, signal, random = Math.random } = input;
  const ear: Ear = { heardAtMs: now(), isSilent: false, position: undefined };
  for (let failures = 0; !signal.aborted; ) {
    const beganMs = now();
    try {
      yield* hearOnce(input, ear);
    } catch (error) {
      if (signal.aborted) return;
      if (!isPassing(error)) throw error;
    }
    if (signal.aborted) return;
    failures = now() - beganMs >= SILENT_MS ? 0 : failures + 1;
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, failures - 1));
    yield* untilDone(input, ear, pause(input, longest * (0.5 + random() / 2), signal));
  }
}

interface Ear {
  heardAtMs: number;
  isSilent: boolean;
  /** From where to go on. */
  position: number | undefined;
}

/** One connection, from its opening to its end. */
async function* hearOnce(input: ListenInput, ear: Ear): AsyncGenerator<Heard, void> {
  const { broker, now, signal } = input;
  const ending = new AbortController();
  const path = ear.position === undefined ? '/v1/events' : `/v1/events?after=${ear.position}`;
  try {
    const opening = broker.stream(path, { signal: AbortSignal.any([signal, ending.signal]) });
    const chunks = (yield* untilDone(input, ear, opening))[Symbol.asyncIterator]();
    const parser = createEventParser();
    const openedMs = now();
    for (let isGreeted = false; ; ) {
      const next = yield* untilDone(input, ear, chunks.next(), openedMs);
      if (next.done) return;
      for (const told of parser.push(next.value)) {
        if (!isGreeted && !isGreeting(told)) throw new StreamBroken('a stream without a greeting');
        isGreeted = true;
        ear.heardAtMs = now();
        ear.isSilent = false;
        yield* heardOf(told, ear);
      }
    }
  } finally {
    ending.abort();
  }
}

function isGreeting(told: Told): boolean {
  return told.kind === 'event' && (told.view.event === 'hello' || told.view.event === 'reset');
}

function* heardOf(told: Told, ear: Ear): Generator<Heard, void> {
  if (told.kind === 'comment') return yield { kind: 'alive' };
  if (told.kind === 'position') {
    ear.position = Math.max(ear.position ?? 0, told.next);
    return;
  }
  if (told.view.event === 'hello') return yield greeted(told, ear);
  if (told.view.event === 'reset') {
    // Even backwards: a broker that was restored from a backup counts from where that stood.
    ear.position = told.view.position;
    return yield { kind: 'everything' };
  }
  // Heard before: a stream that is told twice tells nothing new.
  if (told.next <= (ear.position ?? 0)) return;
  ear.position = told.next;
  yield { kind: 'event', event: told.view };
}

/** A first greeting says from where on we hear; a later one, that what was missed is told next. */
function greeted({ next }: ToldEvent, ear: Ear): Heard {
  if (ear.position !== undefined) return { kind: 'alive' };
  ear.position = next;
  return { kind: 'everything' };
}

/**
 * What `work` gives; meanwhile tells of silence when it is time. With `sinceMs`, a minute without a word after that ends the
 * wait with {@link StreamBroken}.
 */
async function* untilDone<T>(
  input: ListenInput,
  ear: Ear,
  work: Promise<T>,
  sinceMs?: number,
): AsyncGenerator<Heard, T> {
  const { now, signal } = input;
  let isDone = false;
  const done = () => {
    isDone = true;
  };
  work.then(done, done);
  const ticking = new AbortController();
  try {
    for (;;) {
      const tick = pause(input, TICK_MS, AbortSignal.any([signal, ticking.signal]));
      await Promise.race([work, tick]);
      // It ends with the signal too.
      if (signal.aborted) return await work;
      // A clock that is set back must not make silence last longer.
      ear.heardAtMs = Math.min(ear.heardAtMs, now());
      if (!ear.isSilent && now() - ear.heardAtMs >= SILENT_MS) {
        ear.isSilent = true;
        yield { kind: 'silent', sinceMs: ear.heardAtMs };
      }
      if (sinceMs !== undefined && now() - Math.max(sinceMs, ear.heardAtMs) >= SILENT_MS) {
        throw new StreamBroken('a minute of silence');
      }
      if (isDone) return await work;
    }
  } finally {
    ticking.abort();
  }
}

async function pause({ wait = quietly }: ListenInput, ms: number, signal: AbortSignal): Promise<void> {
  // Whoever ends the wait looks at the signal.
  await wait(ms, signal).catch(() => {});
}

function quietly(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal });
}

/** Connections that break say so in many ways; all have a code of node's or the system's. */
function isPassing(error: unknown): boolean {
  if (isAppError(error)) return PASSING.includes(error.code);
  return error instanceof StreamBroken || (error instanceof Error && 'code' in error);
}
