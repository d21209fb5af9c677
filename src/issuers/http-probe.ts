/** Asks a tool what it thinks of a token: one GET of its address, on a connection of its own. */
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { escapeForTerminal } from '../protocol/names.ts';

const PROBE_MS = 10_000;

export interface HttpProbeTarget {
  url: string;
  caPem: string | undefined;
  token: string | undefined;
  signal: AbortSignal;
}

export interface HttpProbeAnswer {
  /** `unknown`: no answer to the question, whatever the reason; a redirection is none, it may lead to a login page. */
  answer: 'let in' | 'refused' | 'unknown';
  /** Safe for a terminal. */
  detail: string;
}

/** Never throws: what went wrong is the answer. */
export type HttpProbe = (target: HttpProbeTarget) => Promise<HttpProbeAnswer>;

export const probeHttp: HttpProbe = ({ url, caPem, token, signal }) =>
  new Promise((resolve) => {
    const options = {
      headers: {
        'user-agent': 'oncall-broker',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(caPem !== undefined && { ca: caPem }),
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]),
    } as const;
    const asked = url.startsWith('https:') ? requestTls(url, options) : requestPlain(url, options);
    asked.once('response', (response) => {
      response.destroy();
      const status = response.statusCode ?? 0;
      resolve({ answer: answerOf(status), detail: `answered ${status}` });
    });
    asked.once('error', (error) => {
      resolve({ answer: 'unknown', detail: escapeForTerminal(error.message).slice(0, 200) });
    });
    asked.end();
  });

function answerOf(status: number): HttpProbeAnswer['answer'] {
  if (status === 401 || status === 403) return 'refused';
  return (status >= 200 && status < 300) || status === 404 || status === 405 ? 'let in' : 'unknown';
}
