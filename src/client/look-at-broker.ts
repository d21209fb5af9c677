/** The way to a broker, looked at without saying anything: who vouches for what is at its end, and for how long. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ClientConfig } from './config.ts';
import { explainUnreachable, openSocket, openTls } from './connect.ts';
import type { Environment } from './paths.ts';
import { bareHost, chooseProxy } from './proxy.ts';
import { explainTlsFailure, readTrust } from './tls.ts';

export interface BrokerWay {
  readonly endpoint: URL;
  readonly host: string;
  /** The proxy that it leads through. */
  readonly proxy: string | undefined;
  /** Undefined for plain HTTP, which is for loopback. */
  readonly certificate: { readonly validTo: number } | undefined;
}

/**
 * Connects to one of the addresses of the broker, sees that whoever answers is trusted, and hangs up. Throws AppError `broker_unreachable`, `tls_untrusted`, and
 * `config_invalid` and `unsafe_file` for what is to be trusted.
 */
export async function lookAtBroker(
  { broker, ...trust }: Pick<ClientConfig, 'broker' | 'ca' | 'identityCertificate'>,
  url: URL,
  env: Environment,
  now: () => number,
): Promise<BrokerWay> {
  const name = bareHost(new URL(broker));
  const proxy = chooseProxy(env, url)?.host;
  const isPlain = url.protocol === 'http:';
  const believed = isPlain ? undefined : readTrust(trust, env);
  const socket = await (believed === undefined
    ? openSocket({ url, env })
    : openTls({ url, name, env }, believed, now)
  ).catch(async (error: unknown) => {
    const known = error instanceof Error && (await explainTlsFailure(error, url, env));
    throw known || explainUnreachable(error, url);
  });
  try {
    return { endpoint: url, host: url.host, proxy, certificate: certificateOf(socket) };
  } finally {
    socket.destroy();
  }
}

function certificateOf(socket: Socket): BrokerWay['certificate'] {
  if (!(socket instanceof TLSSocket)) return undefined;
  const validTo = Date.parse(socket.getPeerX509Certificate()?.validTo ?? '');
  return { validTo };
}
