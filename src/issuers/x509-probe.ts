/** Asks a service over mutual TLS what it thinks of a certificate: one GET of its address, on a connection of its own. */
import { request } from 'node:https';
import { isIP } from 'node:net';
import { escapeForTerminal } from '../protocol/names.ts';

const PROBE_MS = 10_000;
/** nginx answers 400 for a certificate that does not hold, or its own 495 and 496 where a proxy passes them on. */
const TLS_REFUSALS = new Set([400, 495, 496]);
/**
 * Alerts about the certificate that was shown or was not (RFC 8446 section 6.2): handshake_failure, which older servers send for
 * want of one, bad_, unsupported_, _revoked, _expired, _unknown, unknown_ca, access_denied, certificate_required.
 */
const CERTIFICATE_ALERTS = new Set([40, 42, 43, 44, 45, 46, 48, 49, 116]);
const ACCESS_REFUSALS = new Set([401, 403]);

export interface ProbeTarget {
  url: string;
  /** `host:port` of the one server to ask; undefined: where the address leads. */
  server: string | undefined;
  caPem: string | undefined;
  /** PEM of both; undefined: without a certificate. */
  login: { certificate: string; key: string } | undefined;
  signal: AbortSignal;
  /** A TLS session of an earlier question, to take up again where the service lets one. */
  session?: Buffer;
  /** Hears of those that could be. */
  onSession?: (session: Buffer) => void;
}

export interface ProbeAnswer {
  /**
   * `let in`: by TLS and by the service. `no access`: by TLS, but the service has refused. `refused`: the certificate, or the lack
   * of one. `unknown`: no answer to the question, whatever the reason.
   */
  answer: 'let in' | 'no access' | 'refused' | 'unknown';
  /** Safe for a terminal. */
  detail: string;
}

/** Never throws: what went wrong is the answer. */
export type X509Probe = (target: ProbeTarget) => Promise<ProbeAnswer>;

export const probeX509: X509Probe = (target) =>
  new Promise((resolve) => {
    const { login, caPem, session } = target;
    const { hostname: bracketed, pathname, port, host } = new URL(target.url);
    const hostname = bracketed.replace(/^\[(.*)\]$/, '$1');
    const place = /^\[?(.*?)\]?:(\d+)$/.exec(target.server ?? '');
    const asked = request({
      host: place?.[1] ?? hostname,
      port: place?.[2] ?? (port || 443),
      path: pathname,
      // An address is no server name (RFC 6066 section 3); the certificate is checked against what the catalogue says.
      ...(isIP(hostname) === 0 && { servername: hostname }),
      headers: { host, 'user-agent': 'oncall-broker' },
      ...(caPem !== undefined && { ca: caPem }),
      ...(login !== undefined && { cert: login.certificate, key: login.key }),
      // No session of an earlier question is taken up by chance: it would bring that one's answer.
      agent: false,
      ...(session !== undefined && { session }),
      signal: AbortSignal.any([target.signal, AbortSignal.timeout(PROBE_MS)]),
    });
    asked.once('socket', (socket) => {
      socket.on('session', (fresh: Buffer) => target.onSession?.(fresh));
    });
    asked.once('response', (response) => {
      response.destroy();
      const status = response.statusCode ?? 0;
      resolve({ answer: answerOf(status), detail: `answered ${status}` });
    });
    asked.once('error', (error) => {
      // An alert is the other side's last word; whatever else breaks a connection says nothing.
      const alert = Number(/SSL alert number (\d+)/.exec(error.message)?.[1]);
      const detail = escapeForTerminal(error.message).slice(0, 200);
      resolve({ answer: CERTIFICATE_ALERTS.has(alert) ? 'refused' : 'unknown', detail });
    });
    asked.end();
  });

function answerOf(status: number): ProbeAnswer['answer'] {
  if (TLS_REFUSALS.has(status)) return 'refused';
  if (ACCESS_REFUSALS.has(status)) return 'no access';
  return status >= 500 ? 'unknown' : 'let in';
}
