// A reader of the broker's event stream, by hand: what came, in the order in which it came.
import { type IncomingMessage, request } from 'node:http';
import type { EventView } from '../../src/protocol/messages.ts';
import type { Sent, TestDevice } from './device.ts';

export interface Heard extends EventView {
  /** The position to go on from. */
  id: number;
}

export interface EventListener {
  status: number;
  events: Heard[];
  /** Comments: heartbeats. */
  beats: number;
  lastId: number;
  readonly ended: boolean;
  /** Takes nothing more from the network. */
  pause(): void;
  hangUp(): void;
}

export async function listen(device: TestDevice, after?: number): Promise<EventListener> {
  const path = after === undefined ? '/v1/events' : `/v1/events?after=${after}`;
  return listenBy(await device.prepare('GET', path, undefined));
}

/** Resolves with the answer's head. */
export function listenBy({ url, headers }: Sent): Promise<EventListener> {
  return new Promise((resolve, reject) => {
    // As a client does that means to ask again.
    const sent = request(url, { headers: { ...headers, connection: 'keep-alive' }, agent: false });
    sent.once('error', reject).once('response', (response) => resolve(follow(response)));
    sent.end();
  });
}

function follow(response: IncomingMessage): EventListener {
  let rest = '';
  let ended = false;
  const listener: EventListener = {
    status: response.statusCode ?? 0,
    events: [],
    beats: 0,
    lastId: 0,
    get ended() {
      return ended;
    },
    pause: () => void response.pause(),
    hangUp: () => void response.destroy(),
  };
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      listener.lastId = Number(field('id'));
      const data = field('data');
      if (data === undefined) listener.beats += 1;
      else listener.events.push({ ...(JSON.parse(data) as EventView), id: listener.lastId });
    }
  });
  response.on('error', () => undefined);
  response.once('close', () => {
    ended = true;
  });
  return listener;
}
