/** What was heard since somebody last looked, however much it was: whoever acts on events is slower than they may come. */
import type { EventView } from '../protocol/messages.ts';
import { type ListenInput, listen } from './events.ts';

export interface News {
  /** Whatever one knows may be out of date: `events` is then not all of it. */
  readonly everything: boolean;
  readonly events: readonly EventView[];
  /** When we last knew that nothing had gone unheard; undefined where that was before this look. */
  readonly heardAtMs: number | undefined;
  /** Set while nothing is heard for a minute or more. */
  readonly silentSinceMs: number | undefined;
}

export interface Hearing {
  /** What is new, as soon as something is, else after `ms`. Throws what {@link listen} throws. */
  take(ms: number): Promise<News>;
  /** Ends it, and resolves when it has ended. */
  close(): Promise<void>;
}

/** More than this is not told one by one. */
const MOST_EVENTS = 500;

export function startHearing(input: ListenInput): Hearing {
  const closing = new AbortController();
  const signal = AbortSignal.any([input.signal, closing.signal]);
  let everything = false;
  let events: EventView[] = [];
  let silentSinceMs: number | undefined;
  let heardAtMs: number | undefined;
  let isNew = false;
  let failure: unknown;
  let wake = () => {};

  async function hear(): Promise<void> {
    for await (const heard of listen({ ...input, signal })) {
      silentSinceMs = heard.kind === 'silent' ? heard.sinceMs : undefined;
      if (heard.kind !== 'silent') heardAtMs = input.now();
      if (heard.kind === 'event') events.push(heard.event);
      if (heard.kind === 'everything' || events.length > MOST_EVENTS) {
        everything = true;
        events = [];
      }
      isNew = true;
      wake();
    }
  }

  const ended = hear().catch((error: unknown) => {
    failure = error;
    wake();
  });

  return {
    async take(ms) {
      if (!isNew && failure === undefined && !signal.aborted) await untilWoken(ms);
      if (failure !== undefined) throw failure;
      const news: News = { everything, events, heardAtMs, silentSinceMs };
      [everything, events, heardAtMs, isNew] = [false, [], undefined, false];
      return news;
    },
    async close() {
      closing.abort();
      await ended;
    },
  };

  function untilWoken(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
      wake = done;
    });
  }
}
