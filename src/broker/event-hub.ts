/**
 * What happened, told to those who listen: every entry of the audit log is an event, its number the position. Read once for
 * all listeners of this broker, whichever broker wrote it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { EventView } from '../protocol/messages.ts';
import type { AuditRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import type { Changes } from './changes.ts';

export interface EventHub {
  /** Entries from now on, in order; perhaps after some of the last second. Returns how to stop. */
  listen(listener: (events: readonly EventView[]) => void): () => void;
  /** Those from `position` on; undefined where they are too many to be told one by one. */
  since(position: number): Promise<readonly EventView[] | undefined>;
  /** The position that the next entry will have. */
  head(): Promise<number>;
  /** Before anybody listens. */
  start(): Promise<void>;
  /** Resolves when nothing is under way any more, once `changes` are closed. */
  stop(): Promise<void>;
}

const PAGE = 200;
/** More than this somebody who comes back is not told: asking for everything is cheaper. */
const MOST_MISSED = 2000;
const IDLE_MS = 1000;

export function createEventHub(store: Store, changes: Changes, onError: (error: unknown) => void): EventHub {
  const listeners = new Set<(events: readonly EventView[]) => void>();
  let running: Promise<void> | undefined;
  let next = 0;
  /** Set while nobody listens. */
  let wake: (() => void) | undefined;

  const head = () => store.read((tx) => tx.auditSize());
  const page = (from: number) => store.read((tx) => tx.auditEntries(from, PAGE));

  async function run(): Promise<void> {
    while (!changes.closed.aborted) {
      await (listeners.size === 0 ? stayNear() : tellMore()).catch(async (error: unknown) => {
        onError(error);
        await delay(IDLE_MS, undefined, { ref: false });
      });
    }
  }

  /** Nobody listens: no change is looked at. Once a second the position moves, so that who comes is not told of long ago. */
  async function stayNear(): Promise<void> {
    await somebodyComes(IDLE_MS);
    const size = await head();
    if (listeners.size === 0) next = size;
  }

  function somebodyComes(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        changes.closed.removeEventListener('abort', done);
        wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      changes.closed.addEventListener('abort', done);
      wake = done;
    });
  }

  async function tellMore(): Promise<void> {
    const fresh = await changes.wait(lookForMore, IDLE_MS);
    if (!fresh) return;
    next += fresh.length;
    const events = fresh.map(eventOf);
    for (const listener of listeners) listener(events);
  }

  async function lookForMore(): Promise<readonly AuditRow[] | undefined> {
    const size = await head();
    if (size <= next) return undefined;
    const rows = await page(next);
    return rows.length > 0 ? rows : undefined;
  }

  return {
    listen(listener) {
      listeners.add(listener);
      wake?.();
      return () => void listeners.delete(listener);
    },
    async since(position) {
      const size = await head();
      if (size - position > MOST_MISSED || position > size) return undefined;
      const events: EventView[] = [];
      for (let from = position; from < size; ) {
        const rows = await page(from);
        if (rows.length === 0) break;
        events.push(...rows.map(eventOf));
        from += rows.length;
      }
      return events;
    },
    head,
    async start() {
      next = await head();
      running = run();
    },
    async stop() {
      await running;
    },
  };
}

function eventOf({ index, event, entry }: AuditRow): EventView {
  const { subject } = JSON.parse(entry) as { subject: Record<string, string> };
  return { position: index, event, subject };
}
