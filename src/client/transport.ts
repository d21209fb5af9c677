/**
 * One HTTP exchange with the broker: where to connect, whom to trust, how long, how much. Knows nothing of signatures.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { ClientConfig } from './config.ts';
import { isSystemError } from './files.ts';
import type { Environment } from './paths.ts';
import { bareHost, chooseProxy, createTunnelAgent } from './proxy.ts';
import { CONNECT_TIMEOUT_MS, explainTlsFailure, trustedCas } from './tls.ts';

const MAX_REPLY_BYTES = 2 * 1024 * 1024;
/** Node's 250 ms give up on slow links before they have answered. */
const FAMILY_TIMEOUT_MS = 2_500;

export interface TransportRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface TransportReply {
  readonly status: number;
  readonly body: Buffer;
}

export interface Transport {
  /**
   * Throws AppError `broker_unreachable` (no connection, no answer in time), `tls_untrusted`, `too_large`, `interrupted`, and
   * {@link ConnectionLost} where the connection died before the whole answer was here: nobody knows what was done.
   */
  send(request: TransportRequest): Promise<TransportReply>;
  /** Closes idle connections. */
  close(): void;
}

export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** Throws AppError `config_invalid` for a URL that is neither https nor http on loopback. */
export async function createTransport(
  url: URL,
  trust: Pick<ClientConfig, 'ca' | 'identityCertificate'>,
  env: Environment,
): Promise<Transport> {
  const options = { keepAlive: true, autoSelectFamilyAttemptTimeout: FAMILY_TIMEOUT_MS };
  if (url.protocol === 'http:') {
    requireLoopback(url);
    return transportOf(httpRequest, new HttpAgent(options), 'connect', env);
  }
  if (url.protocol !== 'https:') throw new AppError('config_invalid', 'the broker has an https URL');
  const ca = await trustedCas(trust, env);
  const secure = { ...options, minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca }) };
  const proxy = chooseProxy(env, url);
  const agent =
    proxy === undefined ? new HttpsAgent(secure) : createTunnelAgent(proxy, secure, CONNECT_TIMEOUT_MS);
  return transportOf(httpsRequest, agent, 'secureConnect', env);
}

function requireLoopback(url: URL): void {
  const host = bareHost(url);
  if (host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)) return;
  throw new AppError('config_invalid', 'plain http is for loopback only', {
    hint: 'use the https URL of the broker',
  });
}

function transportOf(
  open: typeof httpsRequest,
  agent: HttpAgent,
  ready: 'connect' | 'secureConnect',
  env: Environment,
): Transport {
  return {
    async send(request) {
      try {
        return await exchange(open, agent, ready, request);
      } catch (error) {
        throw await explain(error, request, env);
      }
    },
    close: () => agent.destroy(),
  };
}

function exchange(
  open: typeof httpsRequest,
  agent: HttpAgent,
  ready: 'connect' | 'secureConnect',
  { method, url, headers, body, timeoutMs, signal }: TransportRequest,
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
    const overall = setTimeout(
      () => giveUp(unreachable(url, `has not answered within ${Math.round(timeoutMs / 1000)} s`)),
      timeoutMs,
    );
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
      if (request.reusedSocket) clearTimeout(connecting);
      else socket.once(ready, () => clearTimeout(connecting));
    });
    request.on('error', (error) => finish(() => reject(error)));
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_REPLY_BYTES)
          giveUp(new AppError('too_large', 'the answer of the broker is larger than 2 MiB'));
        else chunks.push(chunk);
      });
      response.on('error', (error) => finish(() => reject(error)));
      response.on('end', () => {
        finish(() => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      });
    });
    request.end(body);
  });
}

async function explain(error: unknown, { url }: TransportRequest, env: Environment): Promise<unknown> {
  if (!(error instanceof Error) || isAppError(error)) return error;
  const tlsFailure = await explainTlsFailure(error, url, env);
  if (tlsFailure !== undefined) return tlsFailure;
  if (isSystemError(error, 'ECONNRESET', 'EPIPE', 'ECONNABORTED')) {
    return new ConnectionLost('the connection ended before the answer', { cause: error });
  }
  if (isSystemError(error, 'ENOTFOUND', 'EAI_AGAIN'))
    return unreachable(url, 'is not a known name here', error);
  if (isSystemError(error, 'ECONNREFUSED')) return unreachable(url, 'refuses connections', error);
  return unreachable(url, 'cannot be reached', error);
}

function unreachable(url: URL, what: string, cause?: unknown): AppError {
  return new AppError('broker_unreachable', `the broker ${url.host} ${what}`, {
    hint: 'check the network and the VPN; oncall status shows what you still hold',
    cause,
  });
}
