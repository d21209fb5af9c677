/**
 * How notices leave by HTTP: one POST of JSON, to an https address (http on loopback), no redirect followed, the answer
 * cut short, all of it within ten seconds. The address can be the secret itself, as Slack's is: no error names it.
 */
import { Agent } from 'undici';
import { AppError } from '../protocol/errors.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { noticeFailed, withDeadline } from './failure.ts';

const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 16_384;

export interface Answer {
  status: number;
  /** The first 16 KiB. */
  text: string;
}

/** Posts to one address for one channel. */
export interface Poster {
  /** Throws AppError `notice_failed`, not permanent, where no answer came. */
  post(body: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer>;
  /** Cuts what is on its way. */
  close(): Promise<void>;
}

/** Throws AppError `config_invalid` for an address that notices may not go to. */
export function createPoster(channel: string, address: string): Poster {
  const url = parseAddress(channel, address);
  const agent = new Agent();
  const exchange = async (body: string, headers: Readonly<Record<string, string>>, signal: AbortSignal) => {
    const response = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'oncall', ...headers },
      body,
      signal,
    });
    return { status: response.statusCode, text: await readStart(response.body) };
  };
  return {
    async post(body, headers, signal) {
      try {
        return await withDeadline(DEADLINE_MS, signal, (either) => exchange(body, headers, either));
      } catch (cause) {
        throw noticeFailed(channel, 'no answer from the receiver', { permanent: false }, cause);
      }
    },
    close: () => agent.destroy(),
  };
}

/** Throws AppError `notice_failed` for a status that the channel does not take for success. */
export function refusedAnswer(channel: string, status: number): AppError {
  const permanent = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return noticeFailed(channel, `the receiver answered ${status}`, { permanent, status });
}

async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= MAX_ANSWER_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString('utf8');
}

function parseAddress(channel: string, address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const allowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
  if (url && allowed && url.username === '' && url.password === '') return url;
  // The address is not a cause: it may be a secret.
  throw new AppError('config_invalid', `channel ${channel}: the receiver has an https address`, {
    hint: 'oncall broker check',
  });
}
