/**
 * One listener's stream of events (server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html). Each
 * `id` is the position to go on from; a heartbeat has one too, so that a listener whom little concerns does not fall behind.
 */
import type { ServerResponse } from 'node:http';
import type { EventView } from '../../protocol/messages.ts';
import type { EventHub } from '../event-hub.ts';
import { createMailbox } from './mailbox.ts';

export interface StreamLimits {
  /** Then it ends, and the client comes back with a fresh signature. */
  longestMs: number;
  /** A minute of silence means to a client that revocations may go unheard. */
  heartbeatMs: number;
  /** A reader that takes nothing for so long has gone. What waits for it meanwhile is bounded by what happens. */
  drainMs: number;
  /** Of one device, open at once. */
  most: number;
}

export const STREAM_LIMITS: StreamLimits = {
  longestMs: 15 * 60_000,
  heartbeatMs: 20_000,
  drainMs: 10_000,
  most: 5,
};

export interface Listener {
  user: string;
  deviceId: string;
  /** Where it goes on from; undefined: from now on. */
  after: number | undefined;
  /** Asked before it is told anything. */
  isKnown(): boolean;
  isActive(): Promise<boolean>;
}

/** Resolves when it is over: its time, its device, its reader, or the broker. Leaves the response ended. */
export async function streamEvents(
  response: ServerResponse,
  listener: Listener,
  deps: { events: EventHub; closed: AbortSignal; limits: StreamLimits },
): Promise<void> {
  const { events, closed, limits } = deps;
  const { user, deviceId } = listener;
  const over = new AbortController();
  const end = () => over.abort();
  const timer = setTimeout(end, limits.longestMs);
  response.once('close', end);
  closed.addEventListener('abort', end);
  const mailbox = createMailbox<EventView>();
  let heard = 0;
  // Listening first: what happens while the past is read must not fall between the two.
  const stop = events.listen((fresh) => {
    heard = (fresh.at(-1)?.position ?? 0) + 1;
    mailbox.put(fresh.filter((event) => isFor(event, user)));
  });
  try {
    // It may have gone, or the broker been stopped, before anybody listened for that.
    if (response.destroyed || closed.aborted) return;
    // Ended, it must not stay open for a next request: the broker would wait for it when it stops.
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'close',
      'x-accel-buffering': 'no',
    });
    const from = await greet(response, listener, events);
    while (!over.signal.aborted) {
      const fresh = await mailbox.take(limits.heartbeatMs, over.signal);
      if (over.signal.aborted || !listener.isKnown()) return;
      const due = fresh.filter(({ position }) => position >= from);
      const last = due.findIndex(
        ({ event, subject }) => event === 'device.revoked' && subject.device === deviceId,
      );
      const told = last < 0 ? due : due.slice(0, last + 1);
      if (told.length > 0)
        await write(response, told.map((one) => eventText(one)).join(''), limits, over.signal);
      else if (mailbox.isEmpty())
        await write(response, `id: ${Math.max(from, heard)}\n: still here\n\n`, limits, over.signal);
      if (last >= 0 || !(await listener.isActive())) return;
    }
  } finally {
    stop();
    clearTimeout(timer);
    closed.removeEventListener('abort', end);
    // Nobody waits for a reader that does not read.
    if (response.writableNeedDrain) response.destroy();
    else response.end();
  }
}

/** Tells what was missed, or that it was too much; answers the position to go on from. */
async function greet(response: ServerResponse, { user, after }: Listener, events: EventHub): Promise<number> {
  const head = await events.head();
  const missed = after === undefined ? [] : await events.since(after);
  const position = Math.max(head, (missed?.at(-1)?.position ?? -1) + 1);
  const greeting = { position, event: missed === undefined ? 'reset' : 'hello', subject: {} };
  // Until it has been told what it missed, it goes on from where it was.
  response.write(eventText(greeting, missed === undefined ? position : (after ?? position)));
  const own = (missed ?? []).filter((one) => isFor(one, user));
  response.write(own.map((one) => eventText(one)).join(''));
  return position;
}

/** One's own, what one is asked about, and incidents: those are everybody's. */
function isFor({ event, subject }: EventView, user: string): boolean {
  return event.startsWith('incident.') || Object.values(subject).includes(user);
}

function eventText(view: EventView, id = view.position + 1): string {
  return `id: ${id}\nevent: ${view.event}\ndata: ${JSON.stringify(view)}\n\n`;
}

/** Resolves when the reader has taken it, or when it is over. */
function write(
  response: ServerResponse,
  text: string,
  { drainMs }: StreamLimits,
  over: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    if (over.aborted || response.write(text)) return resolve();
    const done = () => {
      clearTimeout(timer);
      response.off('drain', done);
      over.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(() => {
      response.destroy();
      done();
    }, drainMs);
    response.once('drain', done);
    over.addEventListener('abort', done);
  });
}
