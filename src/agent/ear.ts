/** The broker's events, for as long as the agent lives: each piece of news is handed on; a stream that is refused is tried again. */
import type { Hearing, News } from '../client/hearing.ts';
import { pause } from './pause.ts';

const LOOK_MS = 15_000;
/** A broker without a stream, or one that does not know this device any more, is asked this often. */
const REFUSED_MS = 60_000;

export interface Ear {
  /** Listens anew, over a new connection: the one from before a sleep is dead and does not know it. */
  again(): void;
  /** Resolves when the signal has fired and nothing is heard any more. */
  readonly ended: Promise<void>;
}

export interface EarInput {
  readonly hear: (signal: AbortSignal) => Hearing;
  readonly take: (news: News) => Promise<void>;
  readonly refused: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export function openEar({ hear, take, refused, signal }: EarInput): Ear {
  let turn = new AbortController();

  async function listenOnce(until: AbortSignal): Promise<void> {
    const hearing = hear(until);
    try {
      while (!until.aborted) {
        const news = await hearing.take(LOOK_MS);
        if (!until.aborted) await take(news);
      }
    } catch (error) {
      if (until.aborted) return;
      refused(error);
      await pause(REFUSED_MS, until);
    } finally {
      await hearing.close();
    }
  }

  async function listenAlways(): Promise<void> {
    while (!signal.aborted) {
      turn = new AbortController();
      const closing = turn;
      const end = () => closing.abort();
      signal.addEventListener('abort', end);
      await listenOnce(closing.signal);
      signal.removeEventListener('abort', end);
    }
  }

  return { again: () => turn.abort(), ended: listenAlways() };
}
