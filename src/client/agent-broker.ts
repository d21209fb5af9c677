/** The broker as the agent reaches it: no keystore, no TLS of our own. Where the agent fails, the same call goes straight. */
import { AppError } from '../protocol/errors.ts';
import type { AgentLine } from './agent-line.ts';
import type { CallRequest } from './agent-wire.ts';
import type { BrokerClient, CallOptions, PostOptions } from './broker.ts';
import { describeSkew } from './skew.ts';

/** The agent's own time for a call, and a little: it is the one to say that the broker does not answer. */
const [DEFAULT_MS, MARGIN_MS] = [30_000, 5_000];

export function createAgentBroker(
  line: AgentLine,
  direct: () => Promise<BrokerClient>,
  warn: (message: string) => void,
): BrokerClient {
  let skewMs = 0;
  let opened: Promise<BrokerClient> | undefined;
  const straight = () => {
    opened ??= direct();
    return opened;
  };

  async function ask(
    request: CallRequest,
    { timeoutMs = DEFAULT_MS, signal }: CallOptions,
    onSent?: () => void,
  ): Promise<{ value: unknown } | undefined> {
    const answered = await line.ask(
      { ...request, timeoutMs },
      { timeoutMs: timeoutMs + MARGIN_MS, signal, onSent },
    );
    if (answered === undefined) return undefined;
    if (answered.skewMs !== skewMs) {
      skewMs = answered.skewMs;
      const words = describeSkew(skewMs);
      if (words !== undefined) warn(words);
    }
    return answered;
  }

  return {
    async get<T>(path: string, options: CallOptions = {}) {
      const answered = await ask({ op: 'call', method: 'GET', path }, options);
      return answered === undefined ? (await straight()).get<T>(path, options) : (answered.value as T);
    },
    async post<T>(path: string, body: object, options: PostOptions = {}) {
      if (options.tag !== undefined) throw new AppError('internal', 'the agent signs with no other tag');
      // Chosen here: if the agent dies in the middle, the second way must be the same call to the broker.
      const { createIdempotencyKey } = await import('./idempotency.ts');
      const { idempotencyKey = createIdempotencyKey(), recordsNothing = false, meanwhile } = options;
      const request: CallRequest = {
        ...{ op: 'call', method: 'POST', path, body },
        ...{ idempotencyKey, recordsNothing },
      };
      const answered = await ask(request, options, meanwhile);
      if (answered !== undefined) return answered.value as T;
      return (await straight()).post<T>(path, body, { ...options, idempotencyKey });
    },
    async stream(path, options = {}) {
      return (await line.stream(path, options.signal)) ?? (await straight()).stream(path, options);
    },
    get skewMs() {
      return skewMs;
    },
    close: () =>
      void opened?.then(
        (broker) => broker.close(),
        () => {},
      ),
  };
}
