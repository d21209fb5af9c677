/**
 * The way to the agent of this device. It is only a faster one: whatever is odd about it (nobody answers in time, somebody
 * else's device, another version, half an answer) makes the command go its own way, and nothing is said about it.
 */
import { connect, type Socket } from 'node:net';
import { AppError } from '../protocol/errors.ts';
import type { GrantView } from '../protocol/messages.ts';
import { findSocket } from './agent-socket.ts';
import {
  type AgentReply,
  type AgentRequest,
  fromWire,
  type Greeting,
  MAX_REPLY_BYTES,
  readAgentReply,
  readGreeting,
  readLine,
  writeLine,
} from './agent-wire.ts';
import type { ClientConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import type { HeldCredential } from './credentials.ts';
import { requireGrantId } from './credentials.ts';

/** A live agent answers within a millisecond; one that is stopped must not hold up a command. */
const GREETING_MS = 500;
const GREETING_BYTES = 16 * 1024;
const ANSWER_MS = 60_000;
/** The agent does not wait for long for what one wants: an older connection may be closed already. */
const SPARE_MS = 2_000;

export interface AskOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when it has been sent. */
  readonly onSent?: (() => void) | undefined;
}

export interface AgentLine {
  readonly greeting: Greeting;
  /** It was there, and is not any more. */
  readonly isGone: boolean;
  /**
   * Undefined where the agent has gone or made no sense: nobody knows then whether it was done. Throws what the agent reports, and
   * AppError `interrupted`.
   */
  ask(request: AgentRequest, options?: AskOptions): Promise<{ value: unknown; skewMs: number } | undefined>;
  /** The same for an answer without an end. */
  stream(path: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Credentials for these grants, in the same order. */
  ensure(
    grants: readonly GrantView[],
    options: { readonly renewAfter?: number } & AskOptions,
  ): Promise<HeldCredential[] | undefined>;
}

/** Whoever answers at this device's socket, whatever it is of. Undefined where nobody does. */
export async function callAgent(context: ClientContext): Promise<AgentLine | undefined> {
  const first = await dial(context);
  if (first === undefined) return undefined;
  const spare: { socket: Socket | undefined } = { socket: first.socket };
  const spareUntil = performance.now() + SPARE_MS;
  let isGone = false;

  async function open(): Promise<Socket | undefined> {
    const { socket } = spare;
    spare.socket = undefined;
    if (socket !== undefined && !socket.destroyed && performance.now() < spareUntil) return socket;
    socket?.destroy();
    if (isGone) return undefined;
    const again = await dial(context);
    if (again === undefined || !isSame(again.greeting, first?.greeting)) isGone = true;
    if (isGone) again?.socket.destroy();
    return isGone ? undefined : again?.socket;
  }

  async function exchange(
    request: AgentRequest,
    { timeoutMs = ANSWER_MS, signal, onSent }: AskOptions,
  ): Promise<{ reply: AgentReply; socket: Socket } | undefined> {
    const socket = await open();
    if (socket === undefined) return undefined;
    if (signal?.aborted) throw interrupted(socket);
    const abort = () => void socket.destroy();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      writeLine(socket, request);
      onSent?.();
      const line = await readLine(socket, { maxBytes: MAX_REPLY_BYTES, timeoutMs });
      if (signal?.aborted) throw interrupted(socket);
      const reply = line === undefined ? undefined : readAgentReply(parse(line));
      if (reply !== undefined) return { reply, socket };
      socket.destroy();
      isGone = true;
      return undefined;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  const line: AgentLine = {
    greeting: first.greeting,
    get isGone() {
      return isGone;
    },
    async ask(request, options = {}) {
      const answered = await exchange(request, options);
      answered?.socket.destroy();
      if (answered === undefined) return undefined;
      const { reply } = answered;
      if (!reply.ok) throw fromWire(reply.error);
      return { value: reply.value, skewMs: reply.skewMs };
    },
    async stream(path, signal) {
      const answered = await exchange({ op: 'stream', path }, { signal });
      if (answered === undefined) return undefined;
      const { reply, socket } = answered;
      if (reply.ok) return untilEnd(socket, signal);
      socket.destroy();
      throw fromWire(reply.error);
    },
    async ensure(grants, { renewAfter, ...options }) {
      const request = { op: 'ensure' as const, grants, ...(renewAfter === undefined ? {} : { renewAfter }) };
      const answered = await line.ask(request, options);
      if (answered === undefined || !Array.isArray(answered.value)) return undefined;
      const credentials = answered.value as HeldCredential[];
      // It names files of ours.
      for (const { grantId } of credentials) requireGrantId(grantId);
      return credentials;
    },
  };
  return line;
}

export interface FoundAgent {
  /** Set where the agent is ours and can sign. */
  readonly line: AgentLine | undefined;
  /** One that was not ours has been asked to make room. */
  readonly wasReplaced: boolean;
}

const NONE: FoundAgent = { line: undefined, wasReplaced: false };

/** The agent that a command may use. One of another version, or of what this device was before, is asked to end. */
export async function findAgent(context: ClientContext, config: ClientConfig): Promise<FoundAgent> {
  if (context.agent === undefined || config.agent === 'off') return NONE;
  const line = await callAgent(context).catch(() => undefined);
  if (line === undefined) return NONE;
  if (isOurs(line.greeting, context, config))
    return line.greeting.holdsKey ? { line, wasReplaced: false } : NONE;
  await line.ask({ op: 'stop' }, { timeoutMs: GREETING_MS }).catch(() => {});
  return { line: undefined, wasReplaced: true };
}

export function isOurs(greeting: Greeting, { agent, paths }: ClientContext, config: ClientConfig): boolean {
  return (
    greeting.version === agent?.version &&
    greeting.profile === paths.profile &&
    greeting.broker === config.broker &&
    greeting.deviceId === config.device.id &&
    greeting.keyId === config.device.keyId
  );
}

function isSame(one: Greeting, other: Greeting | undefined): boolean {
  return one.pid === other?.pid && one.deviceId === other.deviceId && one.broker === other.broker;
}

/** Throws AppError `unsafe_file` for a folder that others can enter. */
async function dial({
  paths,
  env,
}: ClientContext): Promise<{ socket: Socket; greeting: Greeting } | undefined> {
  const path = findSocket(paths, env);
  if (path === undefined) return undefined;
  const socket = connect(path);
  // What goes wrong shows as an answer that does not come.
  socket.on('error', () => {});
  const line = await readLine(socket, { maxBytes: GREETING_BYTES, timeoutMs: GREETING_MS });
  const greeting = line === undefined ? undefined : readGreeting(parse(line));
  if (greeting !== undefined) return { socket, greeting };
  socket.destroy();
  return undefined;
}

async function* untilEnd(socket: Socket, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
  const abort = () => void socket.destroy(new AppError('interrupted', 'interrupted'));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    yield* socket;
  } finally {
    signal?.removeEventListener('abort', abort);
    socket.destroy();
  }
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch {
    return undefined;
  }
}

function interrupted(socket: Socket): AppError {
  socket.destroy();
  return new AppError('interrupted', 'interrupted');
}
