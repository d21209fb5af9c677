/**
 * Signed exchanges with the broker. The order in which an answer is believed: it comes from the host that TLS proves → it is
 * an answer of a broker, not of something on the way → its proof fits the audit log as we know it → only then its result.
 */
import { randomBytes } from 'node:crypto';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { AuditProof, CheckpointReply, JournalReply } from '../protocol/messages.ts';
import { signRequest } from '../protocol/signature.ts';
import { parseInstant } from '../protocol/time.ts';
import { type Asked, isRecord, isSignedTime, readError, readReply } from './answer.ts';
import { type AuditMemory, createAuditMemory, type Seen } from './audit-memory.ts';
import { createJournalGate } from './break-glass/gate.ts';
import type { ClientConfig } from './config.ts';
import type { DeviceSigner } from './device-key.ts';
import { type Endpoints, openEndpoints } from './endpoints.ts';
import { createIdempotencyKey } from './idempotency.ts';
import { versionHint } from './other-version.ts';
import type { ClientPaths, Environment } from './paths.ts';
import { describeSkew, SKEW_MS } from './skew.ts';
import {
  AnswerLate,
  ConnectionLost,
  createTransport,
  type Transport,
  type TransportReply,
} from './transport.ts';

const TIMEOUT_MS = 30_000;
/** Where another broker could answer, the first one has so long. */
const PATIENCE_MS = 10_000;
const JOURNAL = '/v1/break-glass/journal';

export interface CallOptions {
  /** For the whole call; 30 s unless told. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface PostOptions extends CallOptions {
  /** Called while the broker is at it: what is done here costs no time. May be called twice, and must not fail. */
  readonly meanwhile?: () => void;
  /** Sent twice, done once. A new one for each call unless told. */
  readonly idempotencyKey?: string;
  /** For what records nothing (dry runs, explain): the reply has no proof and is returned as it is. */
  readonly recordsNothing?: boolean;
  /** What the signature is for: `oncall` unless told. */
  readonly tag?: string;
}

export interface BrokerClient {
  /**
   * `path` begins with a slash and is relative to the broker's base URL. Both throw AppError: what the broker reported (with
   * its hint and correlation id), or `broker_unreachable`, `tls_untrusted`, `log_inconsistent`, `audit_invalid`.
   */
  get<T>(path: string, options?: CallOptions): Promise<T>;
  post<T>(path: string, body: object, options?: PostOptions): Promise<T>;
  /** Like {@link get}, for an answer that has no end of its own: it is read as it comes, and closed by `signal` or by reading no further. */
  stream(path: string, options?: CallOptions): Promise<AsyncIterable<Uint8Array>>;
  /** Broker's clock minus ours, once it has been corrected in this run; else 0. */
  readonly skewMs: number;
  close(): void;
}

export interface BrokerInput {
  readonly config: Pick<
    ClientConfig,
    'broker' | 'identityKey' | 'identityCertificate' | 'logKey' | 'origin' | 'ca'
  >;
  /** May still be on its way out of the keystore. */
  readonly signer: DeviceSigner | Promise<DeviceSigner>;
  readonly paths: ClientPaths;
  readonly now: () => number;
  readonly env: Environment;
  readonly warn: (message: string) => void;
  /** Whose journal is told before anything is asked; undefined for what is no device yet. */
  readonly device?: string;
}

/** Begins to connect, so that the way is open when there is something to say. Throws AppError `config_invalid` and `unsafe_file` for what it is to trust. */
export function createBroker(input: BrokerInput): BrokerClient {
  const { config, paths, now, env } = input;
  const endpoints = openEndpoints(config, paths, now);
  const transport = createTransport(new URL(config.broker), config, env, now, endpoints);
  const memory: AuditMemory = createAuditMemory({
    paths,
    trust: config,
    now,
    fetchCheckpoint: (size) => ask('GET', `/v1/audit/checkpoint?from=${size}`) as Promise<CheckpointReply>,
  });
  const gate = createJournalGate({
    ...{ paths, now, warn: input.warn, device: input.device },
    get: () => ask('GET', JOURNAL) as Promise<JournalReply>,
    post: (lines) => change(JOURNAL, { lines }, {}, {}) as Promise<JournalReply>,
  });
  transport.connectEarly();
  const exchange = new SignedExchange(input, transport, endpoints);
  async function ask(method: 'GET', path: string, options: CallOptions & { headers?: Headers } = {}) {
    const { headers = {}, ...rest } = options;
    const { reply, asked } = await exchange.send({ method, path, headers, tag: 'oncall', ...rest });
    return readReply(reply, asked);
  }

  async function change(path: string, body: object, options: PostOptions, more: Headers) {
    const {
      idempotencyKey = createIdempotencyKey(),
      recordsNothing = false,
      tag = 'oncall',
      meanwhile,
      ...rest
    } = options;
    const since = recordsNothing ? { note: undefined, size: 0 } : await memory.seen();
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': idempotencyKey,
      'oncall-seen-size': String(since.size),
      ...more,
    };
    const bytes = Buffer.from(JSON.stringify(body));
    const onSent = () => {
      if (!recordsNothing) memory.prepare();
      meanwhile?.();
    };
    const message = { method: 'POST' as const, path, headers, body: bytes, tag, onSent, ...rest };
    const { reply, asked } = await exchange.send(message);
    if (readError(reply)?.error.code === 'log_behind' && since.note !== undefined) await showSeen(since.note);
    const read = readReply(reply, asked);
    return recordsNothing ? read : believe(read, since, memory, reply.version);
  }

  /** The proof that the broker's log was longer once: what it takes to keep it from issuing to others as well. */
  async function showSeen(note: string): Promise<void> {
    const options = { recordsNothing: true, timeoutMs: PATIENCE_MS };
    await change('/v1/audit/seen', { checkpoint: note }, options, {}).catch(() => {});
  }

  return {
    get: <T>(path: string, options: CallOptions = {}) =>
      gate.pass((headers) => ask('GET', path, { ...options, headers })) as Promise<T>,
    post<T>(path: string, body: object, options: PostOptions = {}) {
      // Sent again or not, it is one call.
      const keyed = { ...options, idempotencyKey: options.idempotencyKey ?? createIdempotencyKey() };
      return gate.pass((headers) => change(path, body, keyed, headers)) as Promise<T>;
    },
    stream: (path, options = {}) =>
      gate.pass(async (more) => {
        const headers = { accept: 'text/event-stream', ...more };
        const { reply, asked } = await exchange.send({
          ...{ method: 'GET' as const, path, headers, tag: 'oncall', streams: true },
          ...options,
        });
        if (reply.chunks !== undefined) return reply.chunks;
        readReply(reply, asked);
        throw new AppError('broker_unreachable', 'the broker answered, but with no stream', {
          hint: 'a proxy on the way may hold it back; oncall status --refresh asks without a stream',
        });
      }),
    get skewMs() {
      return exchange.skewMs;
    },
    close: () => transport.close(),
  };
}

type Headers = Readonly<Record<string, string>>;

async function believe(
  reply: unknown,
  since: Seen,
  memory: AuditMemory,
  version: string | undefined,
): Promise<unknown> {
  if (!isRecord(reply) || !('result' in reply) || !isAuditProof(reply.audit)) {
    throw new AppError('audit_invalid', 'the broker sent no proof that this is in its audit log', {
      hint: versionHint(version),
    });
  }
  await memory.remember(reply.audit, since);
  return reply.result;
}

/** What an exchange needs to know: of a device, or of a host. */
export interface ExchangeInput extends Pick<BrokerInput, 'signer' | 'now' | 'warn'> {
  readonly config: Pick<ClientConfig, 'broker' | 'identityKey'>;
}

interface Message {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly tag: string;
  readonly streams?: boolean;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly onSent?: () => void;
}

/** An answer, and the request that it answers. */
interface Answered {
  readonly reply: TransportReply;
  readonly asked: Asked;
}

/** Signs, sends, and does the two things that are tried twice: a corrected clock and a connection that died. */
export class SignedExchange {
  skewMs = 0;
  readonly #input: ExchangeInput;
  readonly #transport: Transport;
  readonly #endpoints: Endpoints;

  constructor(input: ExchangeInput, transport: Transport, endpoints: Endpoints) {
    this.#input = input;
    this.#transport = transport;
    this.#endpoints = endpoints;
  }

  async send(message: Message): Promise<Answered> {
    try {
      const answered = await this.#sendInTime(message);
      const { reply } = answered;
      await this.#settle(reply.status < 500 || readError(reply) !== undefined);
      return answered;
    } catch (error) {
      if (isAppError(error, 'broker_unreachable') || isAppError(error, 'tls_untrusted'))
        await this.#settle(false);
      throw error;
    }
  }

  /** What the next command would like to know is not worth failing for. */
  async #settle(isReached: boolean): Promise<void> {
    await this.#endpoints.settle(isReached).catch(() => {});
  }

  async #sendInTime(message: Message): Promise<Answered> {
    const skewMs = this.skewMs;
    const first = await this.#sendOnce(message);
    const isCorrected = first.reply.status === 401 && (this.skewMs !== skewMs || this.#correctClock(first));
    return isCorrected ? this.#sendOnce(message) : first;
  }

  /**
   * A connection that dies before the answer is tried once more: under the same idempotency key, with a new nonce. So is, at
   * another broker, what the first one does not answer, or what something else answers in its place.
   */
  async #sendOnce(message: Message): Promise<Answered> {
    const hasOthers = this.#endpoints.inOrder().length > 1;
    const isChange = message.method === 'POST';
    const { timeoutMs = TIMEOUT_MS } = message;
    const patienceMs = hasOthers && isChange ? Math.min(PATIENCE_MS, timeoutMs) : timeoutMs;
    try {
      const answered = await this.#deliver({ ...message, timeoutMs: patienceMs }, createNonce());
      const { endpoint, status } = answered.reply;
      const isElsewhere = status >= 500 && readError(answered.reply) === undefined;
      if (!hasOthers || !isElsewhere || endpoint === undefined) return answered;
      this.#transport.leave(endpoint);
    } catch (error) {
      if (!(error instanceof ConnectionLost || (hasOthers && error instanceof AnswerLate))) throw error;
    }
    try {
      return await this.#deliver(message, createNonce());
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      throw new AppError(
        'broker_unreachable',
        'the connection to the broker ended before it answered, twice',
        {
          hint: 'oncall status --refresh shows what was done',
          cause: error,
        },
      );
    }
  }

  async #deliver(message: Message, nonce: string): Promise<Answered> {
    const { config, now } = this.#input;
    const signer = await this.#input.signer;
    const url = new URL(config.broker.replace(/\/*$/, () => message.path));
    const { method, body, tag, timeoutMs = TIMEOUT_MS, signal, streams = false, onSent } = message;
    const headers = { accept: 'application/json', ...message.headers };
    const signed = await signRequest({
      method,
      url,
      headers,
      body,
      keyId: signer.keyId,
      alg: signer.alg,
      createdSeconds: Math.floor((now() + this.skewMs) / 1000),
      nonce,
      tag,
      sign: signer.sign,
    });
    const sent = { method, url, headers: { ...headers, ...signed }, body };
    const reply = await this.#transport.send({ ...sent, timeoutMs, signal, streams, onSent });
    return { reply, asked: { nonce, keyId: signer.keyId, identityKey: config.identityKey } };
  }

  /** Whether our clock was found to be wrong, as far as we know it: in a long run it may be set, or drift, more than once. */
  #correctClock({ reply, asked }: Answered): boolean {
    const { now, warn } = this.#input;
    const time = readError(reply)?.time;
    if (time === undefined || !isSignedTime(time, asked.nonce, asked.identityKey)) return false;
    const skewMs = parseInstant(time.now) - now();
    if (!(Math.abs(skewMs - this.skewMs) > SKEW_MS)) return false;
    this.skewMs = skewMs;
    const words = describeSkew(skewMs);
    if (words !== undefined) warn(words);
    return true;
  }
}

function isAuditProof(value: unknown): value is AuditProof {
  return (
    isRecord(value) &&
    typeof value.checkpoint === 'string' &&
    Array.isArray(value.consistency) &&
    value.consistency.every((hash) => typeof hash === 'string')
  );
}

function createNonce(): string {
  return randomBytes(16).toString('base64url');
}
