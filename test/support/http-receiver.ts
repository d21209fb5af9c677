// Real HTTP receivers on loopback, as strict as the vendors' documents: what is not of the documented form is answered with
// 400 and kept in `faults`. They know nothing of vitest, so the demo can run them too.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

export interface ReceivedPost {
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export interface Reply {
  status: number;
  body?: string;
  headers?: Readonly<Record<string, string>>;
  /** The body never ends. */
  endless?: boolean;
}

/** What the next posts meet instead of the receiver's own answer: a reply, silence, or a connection that breaks. */
export type Meets = Reply | 'silence' | 'break';

export interface HttpReceiver {
  url: string;
  /** What was taken for good. */
  accepted: ReceivedPost[];
  /** What came at all, in order. */
  posts: ReceivedPost[];
  /** What was wrong with those that were not of the documented form. */
  faults: string[];
  /** Queues what the next posts meet, one each. */
  meet(...next: Meets[]): void;
  close(): Promise<void>;
}

/** A violation of the documented form. */
export class Fault extends Error {}

export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Fault(what);
}

export interface ReceiverForm {
  path: string;
  /** Throws a Fault, or answers as the vendor does. */
  take(post: ReceivedPost): Reply;
  /** What the vendor answers to what is malformed. */
  refuse(fault: string): Reply;
}

export async function startHttpReceiver(form: ReceiverForm): Promise<HttpReceiver> {
  const posts: ReceivedPost[] = [];
  const accepted: ReceivedPost[] = [];
  const faults: string[] = [];
  const queue: Meets[] = [];
  const answer = (method: string | undefined, post: ReceivedPost): Reply => {
    try {
      demand(method === 'POST', `the method is ${method}`);
      demand(post.path === form.path, `the path is ${post.path}`);
      demand(/^application\/json(; ?charset=utf-8)?$/i.test(post.headers['content-type'] ?? ''), 'not JSON');
      const reply = form.take(post);
      accepted.push(post);
      return reply;
    } catch (error) {
      if (!(error instanceof Fault || error instanceof SyntaxError)) throw error;
      faults.push(error.message);
      return form.refuse(error.message);
    }
  };
  const server = createServer(async (request, response) => {
    const post = {
      path: request.url ?? '',
      headers: request.headers as Record<string, string>,
      body: await readBody(request),
    };
    posts.push(post);
    const meets = queue.shift();
    if (meets === 'silence') return;
    if (meets === 'break') request.socket.destroy();
    else send(response, meets ?? answer(request.method, post));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${form.path}`,
    accepted,
    posts,
    faults,
    meet: (...next) => queue.push(...next),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function* endlessly(): Generator<string> {
  for (;;) yield 'x'.repeat(1024);
}

function send(response: ServerResponse, { status, body = '', headers = {}, endless }: Reply): void {
  response.writeHead(status, headers);
  if (endless) pipeline(endlessly(), response, () => {});
  else response.end(body);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
