/**
 * One HTTP exchange with the broker: where to connect, whom to trust, how long, how much. Knows nothing of signatures.
 */
import { setMaxListeners } from 'node:events';
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { addAbortSignal, type Duplex } from 'node:stream';
import { AppError, isAppError } from '../protocol/errors.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { VERSION_HEADER } from '../protocol/version.ts';
import type { ClientConfig } from './config.ts';
import { CONNECT_TIMEOUT_MS, explainUnreachable, openSocket, openTls, unreachable } from './connect.ts';
import type { Endpoints } from './endpoints.ts';
import { isSystemError } from './files.ts';
import { firstOf } from './first-of.ts';
import type { Environment } from './paths.ts';
import { bareHost } from './proxy.ts';
import { explainTlsFailure, readTrust } from './tls.ts';

const MAX_REPLY_BYTES = 2 * 1024 * 1024;

export interface TransportRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** Until the whole answer is here, or the beginning of one that streams. */
  readonly timeoutMs: number;
  /** Ends a stream too, whose reader then gets an error. */
  readonly signal: AbortSignal | undefined;
  /** An answer of 200 is handed over as it comes; any other is read whole, as always. */
  readonly streams: boolean;
  /** Called when all of it has been sent. */
  readonly onSent: (() => void) | undefined;
}

export interface TransportReply {
  readonly status: number;
  readonly body: Buffer;
  /** What whoever answered says that it runs: proven by nothing, for words to people alone. */
  readonly version: string | undefined;
  /** What comes after the beginning of a stream, whose `body` is empty. Whoever stops reading closes the connection. */
  readonly chunks?: AsyncIterable<Uint8Array>;
  /** Which broker answered, where there are several. */
  readonly endpoint?: URL;
}

export interface Transport {
  /** Begins to connect, so that the way is open when there is something to send. Fails only then. */
  connectEarly(): void;
  /**
   * Throws AppError `broker_unreachable` (no connection, no answer in time), `tls_untrusted`, `too_large`, `interrupted`, and
   * {@link ConnectionLost} where the connection died before the whole answer was here: nobody knows what was done.
   */
  send(request: TransportRequest): Promise<TransportReply>;
  /** Whoever answers there is not the broker, or not well: it is asked last from now on, and what leads there is closed. */
  leave(endpoint: URL): void;
  /** Closes idle connections, and gives up those under way. */
  close(): void;
}

export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** Which endpoints there are, and who hears how each fares. */
export type Places = Pick<Endpoints, 'inOrder' | 'answered' | 'failed'>;

/** A connection was there and an answer was not: nobody knows what was done. */
export class AnswerLate extends AppError {
  constructor(url: URL, timeoutMs: number) {
    const { code, message, hint } = unreachable(
      url,
      `has not answered within ${Math.round(timeoutMs / 1000)} s`,
    );
    super(code, message, { hint });
  }
}

/**
 * Opens no connection yet. `endpoints`: where whoever answers to the name in `url` is reached, if not there. Throws AppError
 * `config_invalid` for a URL that is neither https nor http on loopback.
 */
export function createTransport(
  url: URL,
  trust: Pick<ClientConfig, 'ca' | 'identityCertificate'>,
  env: Environment,
  now: () => number,
  endpoints?: Places,
): Transport {
  if (url.protocol === 'http:') {
    requireLoopback(url);
    const open = (to: URL, signal: AbortSignal) => {
      requireLoopback(to);
      return openSocket({ url: to, env, signal });
    };
    return transportOf(httpRequest, HttpAgent, env, toFirst(url, endpoints, open), endpoints);
  }
  if (url.protocol !== 'https:') {
    throw new AppError('config_invalid', 'the broker has an https URL', {
      hint: 'oncall help files says where config.yaml is',
    });
  }
  const believed = readTrust(trust, env);
  const name = bareHost(url);
  const open = (to: URL, signal: AbortSignal) => openTls({ url: to, name, env, signal }, believed, now);
  return transportOf(httpsRequest, HttpsAgent, env, toFirst(url, endpoints, open), endpoints);
}

/** So long a broker that is well has at most to answer a connection, before the next one is tried beside it. */
const STAGGER_MS = 250;

/** A connection to the first of the endpoints that takes it. */
function toFirst(
  url: URL,
  endpoints: Places | undefined,
  open: (to: URL, signal: AbortSignal) => Promise<Socket>,
): Open {
  if (endpoints === undefined) return (signal) => open(url, signal);
  return (signal) => {
    const attempts = endpoints.inOrder().map((endpoint) => ({
      async start(until: AbortSignal) {
        const socket = await open(endpoint, until);
        endpointOf.set(socket, endpoint);
        return socket;
      },
      failed: () => endpoints.failed(endpoint),
    }));
    return firstOf(attempts, { staggerMs: STAGGER_MS, signal, discard: (late) => late.destroy() });
  };
}

/** Where each connection leads. */
const endpointOf = new WeakMap<Socket, URL>();

function requireLoopback(url: URL): void {
  if (isLoopback(url.hostname)) return;
  throw new AppError('config_invalid', 'plain http is for loopback only', {
    hint: 'use the https URL of the broker',
  });
}

type Open = (signal: AbortSignal) => Promise<Socket>;

function transportOf(
  request: typeof httpsRequest,
  Agent: typeof HttpAgent,
  env: Environment,
  open: Open,
  endpoints: Places | undefined,
): Transport {
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  let early: Promise<Socket> | undefined;
  const begin = () => {
    early = open(closing.signal);
    // Whoever takes it hears of it.
    early.catch(() => {});
  };
  const take = async () => {
    // Cleared before anything is waited for: two requests at once must not get one socket.
    const begun = early;
    early = undefined;
    const socket = await begun;
    return socket === undefined || socket.destroyed ? open(closing.signal) : socket;
  };
  const agent = agentOf(Agent, take);
  const leave = (endpoint: URL) => {
    endpoints?.failed(endpoint);
    for (const socket of Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []))
      if (endpointOf.get(socket)?.href === endpoint.href) socket.destroy();
  };
  return {
    leave,
    connectEarly: begin,
    async send(message) {
      let endpoint: URL | undefined;
      const onSocket = (socket: Socket) => {
        endpoint = endpointOf.get(socket);
      };
      try {
        const reply = await exchange(request, agent, message, onSocket);
        if (endpoint === undefined) return reply;
        endpoints?.answered(endpoint);
        return { ...reply, endpoint };
      } catch (error) {
        if (endpoint !== undefined && !isAppError(error, 'interrupted')) leave(endpoint);
        throw await explain(error, message, env);
      }
    },
    close() {
      closing.abort();
      agent.destroy();
      early?.then(
        (socket) => socket.destroy(),
        () => {},
      );
    },
  };
}

/** An agent over connections that are ready when it gets them: only then does it write. */
function agentOf(Agent: typeof HttpAgent, open: () => Promise<Socket>): HttpAgent {
  return new (class extends Agent {
    override createConnection(
      _options: object,
      callback?: (error: Error | null, stream: Duplex) => void,
    ): Duplex | null | undefined {
      open().then(
        (socket) => callback?.(null, socket),
        // Node's type asks for a stream beside the error and does not look at it.
        (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
      );
      return undefined;
    }
  })({ keepAlive: true });
}

function exchange(
  open: typeof httpsRequest,
  agent: HttpAgent,
  { method, url, headers, body, timeoutMs, signal, streams, onSent }: TransportRequest,
  onSocket: (socket: Socket) => void,
): Promise<TransportReply> {
  return new Promise((resolve, reject) => {
    const request: ClientRequest = open(url, {
      method,
      agent,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': String(body.length) }) },
    });
    const giveUp = (reason: Error) => {
      request.destroy();
      finish(() => reject(reason));
    };
    const connecting = setTimeout(() => giveUp(unreachable(url, 'does not answer')), CONNECT_TIMEOUT_MS);
    const overall = setTimeout(() => giveUp(new AnswerLate(url, timeoutMs)), timeoutMs);
    const onAbort = () => giveUp(new AppError('interrupted', 'interrupted'));
    const finish = (settle: () => void) => {
      clearTimeout(connecting);
      clearTimeout(overall);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    if (signal?.aborted) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    request.on('socket', (socket) => {
      clearTimeout(connecting);
      onSocket(socket);
    });
    if (onSent !== undefined) request.on('finish', onSent);
    request.on('error', (error) => finish(() => reject(error)));
    request.on('response', (response) => {
      const version = response.headers[VERSION_HEADER]?.toString();
      if (streams && response.statusCode === 200) {
        return finish(() =>
          resolve({ status: 200, body: Buffer.alloc(0), version, chunks: untilEnd(response, signal) }),
        );
      }
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_REPLY_BYTES)
          giveUp(
            new AppError('too_large', 'the answer of the broker is larger than 2 MiB', {
              hint: 'ask for less of it: oncall audit list -n 20',
            }),
          );
        else chunks.push(chunk);
      });
      response.on('error', (error) => finish(() => reject(error)));
      response.on('end', () => {
        finish(() => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks), version }));
      });
    });
    request.end(body);
  });
}

function untilEnd(response: IncomingMessage, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  // Whoever reads hears of it; while nobody does, it is nobody's.
  response.on('error', () => {});
  return signal === undefined ? response : addAbortSignal(signal, response);
}

async function explain(error: unknown, { url }: TransportRequest, env: Environment): Promise<unknown> {
  if (!(error instanceof Error) || isAppError(error)) return error;
  const tlsFailure = await explainTlsFailure(error, url, env);
  if (tlsFailure !== undefined) return tlsFailure;
  if (isSystemError(error, 'ECONNRESET', 'EPIPE', 'ECONNABORTED')) {
    return new ConnectionLost('the connection ended before the answer', { cause: error });
  }
  return explainUnreachable(error, url);
}
