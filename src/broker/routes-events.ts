/**
 * The broker's event stream (server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html). Signed like
 * every request, with the position to go on from in its signed query; authenticated again every 15 minutes, because the
 * stream then ends and the client comes back; closed when its device is revoked.
 */
import type { ServerResponse } from 'node:http';
import { Type } from '@sinclair/typebox';
import { AppError } from '../protocol/errors.ts';
import type { EventView } from '../protocol/messages.ts';
import { createMailbox } from './mailbox.ts';
import type { RouteContext } from './route-context.ts';

const LONGEST_MS = 15 * 60_000;
/** A minute of silence means to a client that revocations may go unheard. */
const HEARTBEAT_MS = 20_000;
/** A reader that takes nothing for so long has gone. What waits for it meanwhile is bounded by what happens. */
const DRAIN_MS = 10_000;
const MOST_STREAMS = 5;

export function registerEventRoutes(context: RouteContext): void {
  const { app, store, rules, events, changes, admitted } = context;
  /** Open ones, by device. */
  const streams = new Map<string, number>();

  const Query = Type.Object(
    { after: Type.Optional(Type.String({ pattern: '^\\d{1,15}$' })) },
    { additionalProperties: false },
  );
  app.route({
    method: 'GET',
    url: '/v1/events',
    config: { signed: true },
    attachValidation: true,
    schema: { querystring: Query },
    handler: async (request, reply) => {
      const { device, person } = await admitted(request);
      const open = streams.get(device.id) ?? 0;
      if (open >= MOST_STREAMS) {
        throw new AppError('rate_limited', `${MOST_STREAMS} streams of this device are open already`);
      }
      streams.set(device.id, open + 1);
      const { after } = request.query as { after?: string };
      reply.hijack();
      try {
        await stream(reply.raw, person.id, device.id, after === undefined ? undefined : Number(after));
      } finally {
        const left = (streams.get(device.id) ?? 1) - 1;
        if (left > 0) streams.set(device.id, left);
        else streams.delete(device.id);
        reply.raw.end();
      }
    },
  });

  async function stream(
    response: ServerResponse,
    user: string,
    deviceId: string,
    after: number | undefined,
  ): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const ending = AbortSignal.any([gone.signal, changes.closed, AbortSignal.timeout(LONGEST_MS)]);
    const mailbox = createMailbox<EventView>();
    // Listening first: what happens while the past is read must not fall between the two.
    const stop = events.listen((fresh) => mailbox.put(fresh.filter((event) => isFor(event, user))));
    try {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      let position = await greet(response, user, after);
      while (!ending.aborted) {
        const fresh = await mailbox.take(HEARTBEAT_MS, ending);
        const due = fresh.filter((event) => event.position >= position);
        position = (due.at(-1)?.position ?? position - 1) + 1;
        const text = fresh.length > 0 ? due.map((event) => eventText(event)).join('') : ': still here\n\n';
        if (!ending.aborted) await write(response, text, gone.signal);
        const isOver = due.some(
          ({ event, subject }) => event === 'device.revoked' && subject.device === deviceId,
        );
        // Silence may also be that of a log that cannot be read.
        if (isOver || !rules().catalogue.people.has(user) || !(await isActive(deviceId))) return;
      }
    } finally {
      stop();
    }
  }

  /** Tells what was missed, or that it was too much; answers the position to go on from. */
  async function greet(response: ServerResponse, user: string, after: number | undefined): Promise<number> {
    const head = await events.head();
    const missed = after === undefined ? [] : await events.since(after);
    const position = missed?.at(-1) ? (missed.at(-1)?.position ?? 0) + 1 : head;
    const event = missed === undefined ? 'reset' : 'hello';
    response.write(eventText({ position, event, subject: {} }, after ?? position));
    const own = (missed ?? []).filter((one) => isFor(one, user));
    response.write(own.map((one) => eventText(one)).join(''));
    return position;
  }

  async function isActive(deviceId: string): Promise<boolean> {
    return (await store.read((tx) => tx.device(deviceId)))?.state === 'active';
  }
}

/** One's own, what one is asked about, and incidents: those are everybody's. */
function isFor({ event, subject }: EventView, user: string): boolean {
  return event.startsWith('incident.') || Object.values(subject).includes(user);
}

/** `id` is where a client goes on from. */
function eventText(view: EventView, id = view.position + 1): string {
  return `id: ${id}\nevent: ${view.event}\ndata: ${JSON.stringify(view)}\n\n`;
}

function write(response: ServerResponse, text: string, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted || response.write(text)) return resolve();
    const done = () => {
      clearTimeout(timer);
      response.off('drain', done);
      gone.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(() => response.destroy(), DRAIN_MS);
    response.once('drain', done);
    gone.addEventListener('abort', done);
  });
}
