/**
 * HTTPS_PROXY and NO_PROXY, which node:https on Node 20 ignores: a CONNECT tunnel, TLS to the broker inside it. The proxy
 * sees the broker's name and nothing else, and its certificate never stands in for the broker's.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { Environment } from './paths.ts';

/**
 * The proxy for an https URL, undefined for none. As curl reads the variables: lower case first, no scheme means http.
 * Throws AppError `config_invalid` for what is no http(s) proxy. Plain http (loopback only) never goes through a proxy.
 */
export function chooseProxy(env: Environment, url: URL): URL | undefined {
  const value = env.https_proxy || env.HTTPS_PROXY;
  if (!value || url.protocol !== 'https:' || isExempt(env.no_proxy || env.NO_PROXY || '', url))
    return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy;
  throw new AppError('config_invalid', 'HTTPS_PROXY is not the URL of an http or https proxy', {
    hint: 'such as HTTPS_PROXY=http://proxy.example.com:3128',
  });
}

/** `*`, `host`, `.suffix`, each with or without `:port`; a plain name covers its subdomains too. */
function isExempt(list: string, url: URL): boolean {
  const host = bareHost(url);
  const port = url.port || '443';
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [, name = '', onlyPort] = /^(\[[^\]]*\]|[^:]+|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? [];
      if (onlyPort !== undefined && onlyPort !== port) return false;
      const wanted = name.replace(/^\*?\./, '').replace(/^\[|\]$/g, '');
      return wanted !== '' && (host === wanted || host.endsWith(`.${wanted}`));
    });
}

/** A socket to `target` through the proxy. Throws AppError `broker_unreachable` that says what the proxy said. */
export function openTunnel(
  proxy: URL,
  target: { host: string; port: number },
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Socket> {
  const authority = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`;
  const request = proxy.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const connect = request({
      host: bareHost(proxy),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...authorization(proxy) },
      agent: false,
      timeout: timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    connect.on('connect', ({ statusCode = 0 }, socket: Socket, head) => {
      // The limit was for the proxy's answer; a long wait for the broker's is not the proxy's fault.
      socket.setTimeout(0);
      if (statusCode === 200 && head.length === 0) return resolve(socket);
      socket.destroy();
      reject(refusal(proxy, statusCode));
    });
    // A proxy that answers CONNECT with a page of its own.
    connect.on('response', (response) => {
      response.destroy();
      reject(refusal(proxy, response.statusCode ?? 0));
    });
    connect.on('timeout', () => connect.destroy(new Error('timeout')));
    connect.on('error', (cause) => {
      if (isAppError(cause)) return reject(cause);
      reject(
        new AppError('broker_unreachable', `the proxy ${proxy.host} cannot be reached`, {
          hint: 'check HTTPS_PROXY, or name the broker in NO_PROXY',
          cause,
        }),
      );
    });
    connect.end();
  });
}

/** The name of a URL's host without the brackets of IPv6. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

function refusal(proxy: URL, status: number): AppError {
  if (status === 407) {
    return new AppError('broker_unreachable', `the proxy ${proxy.host} wants a user name and a password`, {
      hint: 'put them into HTTPS_PROXY: http://user:password@proxy:3128',
    });
  }
  return new AppError(
    'broker_unreachable',
    `the proxy ${proxy.host} refused the way to the broker (${status})`,
    {
      hint: 'ask for the broker to be allowed, or name it in NO_PROXY',
    },
  );
}
