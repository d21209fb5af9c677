/**
 * Connections to Redis targets: one for each call, which costs a round trip and leaves nothing to break while idle. An abort
 * drops the connection.
 */
import { checkServerIdentity } from 'node:tls';
import type { RedisSettings } from '../catalogue/targets/redis.ts';
import type { Resource, SecretRef } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';

const CONNECT_MS = 5_000;

export interface RedisAccess {
  resolveSecret: (ref: SecretRef) => Promise<string>;
  /** PEM text of a CA file named in the catalogue. */
  readCa: (file: string) => Promise<string>;
}

export type Reply = string | number | null | ReplyError | readonly Reply[];

export interface RedisSession {
  /** The target's clock, milliseconds since 1970, as read at the start of the session. */
  targetNowMs: number;
  /** One command's reply. Throws {@link ReplyError}. */
  command(...words: string[]): Promise<Reply>;
  /**
   * All of the commands at one moment of the server, or none: undefined where a watched key has changed or expired before it.
   * A command's own error is thrown after all of them have run; only those in `allowed` are given back as undefined replies.
   */
  transaction(
    commands: readonly (readonly string[])[],
    allowed?: (error: ReplyError) => boolean,
  ): Promise<readonly (Reply | undefined)[] | undefined>;
}

/** What Redis answered in place of a reply. `code` is its first word: `NOPERM`, `WRONGPASS`, `ERR`. */
export class ReplyError extends Error {
  readonly code: string;

  constructor(message: string) {
    super(message);
    this.name = 'ReplyError';
    this.code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
  }
}

export interface RedisTargets {
  /** Runs `work` on a connection of its own. Throws AppError `target_unreachable` or `target_refused`; what Redis said is only in `cause`. */
  use<T>(resource: Resource, signal: AbortSignal, work: (session: RedisSession) => Promise<T>): Promise<T>;
}

export function createRedisTargets(access: RedisAccess): RedisTargets {
  return {
    async use(resource, signal, work) {
      const settings = redisSettings(resource);
      try {
        signal.throwIfAborted();
        return await withConnection(access, settings, signal, async (send) => {
          const [seconds, micros] = (await send(['TIME'])) as [string, string];
          const targetNowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
          return work({
            targetNowMs,
            command: (...words) => send(words),
            transaction: (commands, allowed) => transact(send, commands, allowed ?? (() => false)),
          });
        });
      } catch (error) {
        throw toAppError(error, resource.id, signal);
      }
    },
  };
}

export function redisSettings(resource: Resource): RedisSettings {
  if (resource.target.kind !== 'redis') throw new AppError('internal', 'not a redis resource');
  return resource.target;
}

/** Redis's own word for what went wrong, where it answered. */
export function replyCode(error: unknown): string | undefined {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof ReplyError ? cause.code : undefined;
}

/** One command's reply, or a rejection with {@link ReplyError}. */
type Send = (words: readonly string[]) => Promise<Reply>;

async function withConnection<T>(
  access: RedisAccess,
  settings: RedisSettings,
  signal: AbortSignal,
  work: (send: Send) => Promise<T>,
): Promise<T> {
  const { createClient, ErrorReply } = await import('@redis/client');
  const { user, password } = settings.broker;
  const client = createClient({
    RESP: 2,
    username: user,
    ...(password && { password: await access.resolveSecret(password) }),
    // It would tell the server its name and version, which takes one more right.
    disableClientInfo: true,
    socket: {
      ...(await socketOptions(settings, access.readCa)),
      connectTimeout: CONNECT_MS,
      reconnectStrategy: false,
    },
  });
  const asReplyError = (error: unknown) =>
    error instanceof ErrorReply ? new ReplyError(error.message) : error;
  const send: Send = async (words) => {
    try {
      return plainReply(await client.sendCommand([...words]), asReplyError);
    } catch (error) {
      throw asReplyError(error);
    }
  };
  // What breaks is seen by the command that waits.
  client.on('error', () => undefined);
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const worked = client.connect().then(
    () => work(send),
    (error: unknown) => Promise.reject(asReplyError(error)),
  );
  try {
    return await Promise.race([worked, aborted]);
  } finally {
    worked.catch(() => undefined);
    aborted.catch(() => undefined);
    if (client.isOpen) client.destroy();
  }
}

/** Errors within a transaction's replies come as values. */
function plainReply(reply: unknown, asReplyError: (error: unknown) => unknown): Reply {
  if (Array.isArray(reply)) return reply.map((item) => asReplyError(item) as Reply);
  return reply as Reply;
}

async function socketOptions(
  { host, port, tls, caFile }: RedisSettings,
  readCa: RedisAccess['readCa'],
): Promise<object> {
  if (!tls) return { host, port };
  return {
    host,
    port,
    tls: true,
    ...(caFile !== undefined && { ca: await readCa(caFile) }),
    // TLS is told no name where the host is an address, and would then check against `localhost`.
    checkServerIdentity: (_name: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(host, certificate),
  };
}

async function transact(
  send: Send,
  commands: readonly (readonly string[])[],
  allowed: (error: ReplyError) => boolean,
): Promise<readonly (Reply | undefined)[] | undefined> {
  const sent = [['MULTI'], ...commands, ['EXEC']].map(send);
  // A command that could not even be queued says why; EXEC then says only that it gave up.
  const refused = (await Promise.allSettled(sent)).find((result) => result.status === 'rejected');
  if (refused) throw refused.reason;
  const replies = (await sent.at(-1)) as readonly Reply[] | null;
  return replies?.map((reply) => {
    if (!(reply instanceof ReplyError)) return reply;
    if (allowed(reply)) return undefined;
    throw reply;
  });
}

/** What may be gone at the next try: loading, memory, disk, a script that runs, a failover. */
const PASSING = [
  'LOADING',
  'OOM',
  'MISCONF',
  'BUSY',
  'TRYAGAIN',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'NOREPLICAS',
  'EXECABORT',
];

function toAppError(error: unknown, resource: string, signal: AbortSignal): AppError {
  if (error instanceof AppError) return error;
  if (signal.aborted) {
    return new AppError('target_unreachable', `${resource} did not answer in time`, { cause: error });
  }
  const code = replyCode(error);
  if (code !== undefined && !PASSING.includes(code)) {
    return new AppError('target_refused', `${resource} refused (${code})`, {
      hint: `on the broker's host: oncall broker target ${resource} --check`,
      cause: error,
    });
  }
  const message = code === undefined ? 'cannot be reached' : `is not ready (${code})`;
  return new AppError('target_unreachable', `${resource} ${message}`, { cause: error });
}
