/** Ways to the broker: straight or through a proxy, and TLS over them that is verified before anybody may write to it. */
import type { X509Certificate } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as startTls, type TLSSocket } from 'node:tls';
import { AppError, isAppError } from '../protocol/errors.ts';
import { isSystemError } from './files.ts';
import type { Environment } from './paths.ts';
import { verifyPinned } from './pinned.ts';
import { bareHost, chooseProxy, openTunnel } from './proxy.ts';

export const CONNECT_TIMEOUT_MS = 5_000;
/** Node's 250 ms give up on slow links before they have answered. */
const FAMILY_TIMEOUT_MS = 2_500;

/** Whom to believe: the pinned identity certificate (PEM) alone, or these roots; undefined means Node's own. */
export type Trust = { readonly pinned: string } | { readonly roots: readonly string[] | undefined };

export interface Way {
  /** Where to. */
  readonly url: URL;
  /** Who must be there, where that is not the host of `url`. */
  readonly name?: string | undefined;
  readonly env: Environment;
  /** Ends an attempt under way. */
  readonly signal?: AbortSignal | undefined;
  /** Is shown the peer's certificate, which the socket gives but once. Attacker-controlled until the connection is here. */
  readonly onCertificate?: ((leaf: X509Certificate | undefined) => void) | undefined;
}

/**
 * A TCP connection to the URL's host, through the proxy that the environment names. Throws AppError `broker_unreachable`, and
 * what the operating system says ({@link explainUnreachable}).
 */
export function openSocket({ url, env, signal }: Way): Promise<Socket> {
  const target = { host: bareHost(url), port: Number(url.port || (url.protocol === 'http:' ? 80 : 443)) };
  const proxy = chooseProxy(env, url);
  if (proxy !== undefined) return openTunnel(proxy, target, CONNECT_TIMEOUT_MS, signal);
  const socket = connectTcp({ ...target, autoSelectFamilyAttemptTimeout: FAMILY_TIMEOUT_MS });
  return settled(socket, 'connect', { url, signal });
}

/** A verified connection over which nothing has been said yet. Throws what {@link openSocket} throws, and what OpenSSL says of certificates. */
export async function openTls(way: Way, trust: Trust, now: () => number): Promise<TLSSocket> {
  const host = way.name ?? bareHost(way.url);
  const own = 'pinned' in trust;
  const secure = startTls({
    socket: await openSocket(way),
    host,
    ...(isIP(host) ? {} : { servername: host }),
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
    // An empty list keeps Node from loading its roots; with it, OpenSSL's own verdict means nothing.
    ...(own ? { ca: [] } : trust.roots === undefined ? {} : { ca: [...trust.roots] }),
    rejectUnauthorized: !own,
  });
  await settled(secure, 'secureConnect', way);
  const leaf = own || way.onCertificate ? leafOf(secure) : undefined;
  way.onCertificate?.(leaf);
  if (!own) return secure;
  try {
    verifyPinned(leaf, trust.pinned, host, now());
    return secure;
  } catch (error) {
    secure.destroy();
    throw error;
  }
}

/** What the peer has shown in this handshake, and in no earlier one. */
function leafOf(secure: TLSSocket): X509Certificate | undefined {
  return secure.isSessionReused() ? undefined : secure.getPeerX509Certificate();
}

/** The socket, as soon as `event` has come. From then on a failure of it, while nobody uses it, is nobody's. */
function settled<S extends Socket>(socket: S, event: string, { url, signal }: Omit<Way, 'env'>): Promise<S> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    const fail = (error: Error) => {
      socket.destroy();
      finish(() => reject(error));
    };
    const onAbort = () => fail(new AppError('interrupted', 'interrupted'));
    const timer = setTimeout(() => fail(unreachable(url, 'does not answer')), CONNECT_TIMEOUT_MS);
    socket.on('error', fail);
    socket.once('close', () => fail(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
    socket.once(event, () => finish(() => resolve(socket)));
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort);
  });
}

/** The AppError for a connection that did not come about. */
export function explainUnreachable(error: unknown, url: URL): AppError {
  if (isAppError(error)) return error;
  if (isSystemError(error, 'ENOTFOUND', 'EAI_AGAIN'))
    return unreachable(url, 'is not a known name here', error);
  if (isSystemError(error, 'ECONNREFUSED')) return unreachable(url, 'refuses connections', error);
  return unreachable(url, 'cannot be reached', error);
}

export function unreachable(url: URL, what: string, cause?: unknown): AppError {
  return new AppError('broker_unreachable', `the broker ${url.host} ${what}`, {
    hint: 'check the network and the VPN; oncall status shows what you still hold',
    cause,
  });
}
