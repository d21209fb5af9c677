/**
 * Whether a broker answers, at each of its addresses at once. What is found is evidence, not a gate: a broker that answers here and does
 * not decide has not decided.
 */
import { randomBytes } from 'node:crypto';
import type { OutageEvent } from '../../break-glass/journal-event.ts';
import { isAppError } from '../../protocol/errors.ts';
import type { Identity } from '../../protocol/messages.ts';
import { isSignedTime, readReply } from '../answer.ts';
import type { ClientConfig } from '../config.ts';
import type { ClientContext } from '../context.ts';
import { type Endpoints, openEndpoints } from '../endpoints.ts';
import { createTransport } from '../transport.ts';

export type Probe = OutageEvent['probes'][number];

/** Longer than a broker that is well takes over a slow link, and no longer than somebody waits who has to get in. */
export const PROBE_MS = 1_200;
/** The broker's own words may be long. */
const MOST_WORDS = 200;

type ProbeTrust = Pick<ClientConfig, 'broker' | 'ca' | 'identityCertificate' | 'identityKey'>;

/** Each answers within {@link PROBE_MS}; never throws. `isAlive`: one proved to be the broker. */
export async function probeAll(
  trust: ProbeTrust,
  context: Pick<ClientContext, 'env' | 'now' | 'paths'>,
): Promise<{ probes: Probe[]; isAlive: boolean }> {
  const endpoints = openEndpoints(trust, context.paths, context.now).inOrder();
  const found = await Promise.all(endpoints.map((endpoint) => probe(endpoint, trust, context)));
  return {
    probes: found.map(({ isAlive: _, ...one }) => one),
    isAlive: found.some(({ isAlive }) => isAlive),
  };
}

async function probe(
  endpoint: URL,
  trust: ProbeTrust,
  { env, now }: Pick<ClientContext, 'env' | 'now'>,
): Promise<Probe & { isAlive: boolean }> {
  const begunAt = performance.now();
  const ended = (outcome: string, isAlive = false) => ({
    endpoint: endpoint.href.slice(0, MOST_WORDS),
    tookMs: Math.round(performance.now() - begunAt),
    outcome: wordsOf(outcome),
    isAlive,
  });
  try {
    const url = new URL('v1/identity', trust.broker);
    const nonce = randomBytes(16).toString('base64url');
    const transport = createTransport(new URL(trust.broker), trust, env, now, onlyAt(endpoint));
    // Looking a name up and a handshake can take longer than the exchange may: nothing is waited for beyond this.
    const limit = AbortSignal.timeout(PROBE_MS);
    try {
      const reply = await transport.send({
        ...{ method: 'GET', url, headers: { accept: 'application/json', 'oncall-nonce': nonce } },
        ...{ body: undefined, timeoutMs: PROBE_MS, signal: limit, streams: false, onSent: undefined },
      });
      const { time } = readReply(reply) as Partial<Identity>;
      const isAlive = time !== undefined && isSignedTime(time, nonce, trust.identityKey);
      return isAlive ? ended('it answers', true) : ended('something answers that is not the broker');
    } finally {
      transport.close();
    }
  } catch (error) {
    if (isAppError(error, 'interrupted')) return ended(`no answer within ${PROBE_MS} ms`);
    return ended(isAppError(error) ? error.message : 'no answer that makes sense');
  }
}

/** One name, reached at one of its addresses. */
function onlyAt(endpoint: URL): Endpoints {
  return { inOrder: () => [endpoint], answered() {}, failed() {}, settle: async () => {} };
}

/** One line that the journal can hold. */
export function wordsOf(text: string): string {
  return (
    text
      .replace(/[\u0000-\u001f\u007f]/g, ' ')
      .slice(0, MOST_WORDS)
      .toWellFormed() || 'nothing'
  );
}
