/**
 * A vendor's API on loopback: a real HTTP server that answers by its documentation and checks what it is asked, and that can
 * be told to fail in each way that vendors do. Of no test runner: the benchmark uses them too. Who starts one closes it.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
}

export interface FakeAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** An object is sent as JSON. */
  body?: unknown;
}

export interface FaultOptions {
  /** So many requests; every one until `recover()` where it isn't given. */
  times?: number;
  /** Seconds or an HTTP date, as the header has it. */
  retryAfter?: string;
}

export interface FakeVendor {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly requests: SeenRequest[];
  /** What no client should have asked, or sent with it. Assert that it is empty. */
  readonly complaints: string[];
  fail(status: number, options?: FaultOptions): void;
  /** Takes the request and never answers. */
  hang(options?: FaultOptions): void;
  /** Promises more than it sends, and hangs up. */
  truncate(options?: FaultOptions): void;
  /** Sends this whatever was asked. */
  answerWith(answer: FakeAnswer, options?: FaultOptions): void;
  recover(): void;
  close(): Promise<void>;
}

/** Thrown by a fake for a request that is not as documented: answered with the status, and kept as a complaint. */
export class Complaint extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Fault = (response: ServerResponse) => void;

export async function startFakeVendor(answer: (request: SeenRequest) => FakeAnswer): Promise<FakeVendor> {
  const requests: SeenRequest[] = [];
  const complaints: string[] = [];
  let fault: { act: Fault; left: number } | undefined;
  const setFault = (act: Fault, { times = Number.POSITIVE_INFINITY }: FaultOptions = {}) => {
    fault = { act, left: times };
  };

  const server = createServer((message, response) => {
    const url = new URL(message.url ?? '/', 'http://fake');
    const { method = '', headers } = message;
    const request = { method, path: url.pathname, query: url.searchParams, headers };
    requests.push(request);
    message.resume();
    if (fault && fault.left-- > 0) return fault.act(response);
    try {
      expectGet(request);
      send(response, answer(request));
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      complaints.push(`${method} ${url.pathname}: ${error.message}`);
      send(response, { status: error.status, body: { error: error.message } });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    complaints,
    fail: (status, options = {}) =>
      setFault((response) => {
        const { retryAfter } = options;
        const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
        send(response, { status, headers, body: { error: 'the fake was told to fail' } });
      }, options),
    hang: (options) => setFault(() => {}, options),
    truncate: (options) =>
      setFault((response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        response.write('{"half":', () => response.destroy());
      }, options),
    answerWith: (raw, options) => setFault((response) => send(response, raw), options),
    recover: () => {
      fault = undefined;
    },
    close,
  };
}

function send(response: ServerResponse, { status = 200, headers = {}, body }: FakeAnswer): void {
  const plain = typeof body === 'string' || Buffer.isBuffer(body);
  const bytes = plain ? body : body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, { ...(plain ? {} : { 'content-type': 'application/json' }), ...headers });
  response.end(bytes);
}

function expectGet({ method, headers }: SeenRequest): void {
  if (method !== 'GET') throw new Complaint(405, 'only GET');
  if (!headers['user-agent']) throw new Complaint(400, 'no user agent');
}

/** 401 where the header is another, as vendors do. Not a complaint: a test may send a wrong token on purpose. */
export function isAuthorized({ headers }: SeenRequest, authorization: string): boolean {
  return headers.authorization === authorization;
}

/** Complains about query parameters that are not documented, and about those given twice that can be given once. */
export function expectQuery(
  query: URLSearchParams,
  once: readonly string[],
  many: readonly string[] = [],
): void {
  for (const key of new Set(query.keys())) {
    if (!once.includes(key) && !many.includes(key)) throw new Complaint(400, `unknown parameter ${key}`);
    if (once.includes(key) && query.getAll(key).length > 1) throw new Complaint(400, `${key} given twice`);
  }
}

/** A whole number parameter within its documented bounds. */
export function intOf(query: URLSearchParams, key: string, fallback: number, max: number): number {
  const value = Number(query.get(key) ?? fallback);
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new Complaint(400, `${key} is out of bounds`);
  return value;
}

export function instantOf(query: URLSearchParams, key: string): number {
  const ms = Date.parse(query.get(key) ?? '');
  if (Number.isNaN(ms)) throw new Complaint(400, `${key} is no instant`);
  return ms;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
