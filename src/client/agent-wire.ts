/**
 * What commands and the agent say to each other: lines of JSON over a unix socket. The agent speaks first and says who it is;
 * the command sends one request, the agent answers it once; after the answer to `stream` come the stream's own bytes.
 */
import type { Socket } from 'node:net';
import { AppError, type ErrorCode, isAppError, isErrorCode } from '../protocol/errors.ts';
import type { GrantView } from '../protocol/messages.ts';
import type { DeviceRecord } from './device-record.ts';

/** A request may name all that somebody holds. */
export const MAX_REQUEST_BYTES = 1024 * 1024;
/** More than the broker's largest answer. */
export const MAX_REPLY_BYTES = 8 * 1024 * 1024;

/** What the agent is of. A command that is of something else leaves it alone. */
export interface AgentIdentity {
  readonly version: string;
  readonly profile: string;
  readonly broker: string;
  readonly deviceId: string;
  readonly keyId: string;
}

export interface Greeting extends AgentIdentity {
  readonly schema: typeof SCHEMA;
  readonly pid: number;
  /** Whether it can sign: not before it was given the device's keys, where it cannot fetch them by itself. */
  readonly holdsKey: boolean;
}

export const SCHEMA = 'oncall.agent/v1';

/** A signed exchange with the broker, which the agent does with its own key and connection. */
export interface CallRequest {
  readonly op: 'call';
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly idempotencyKey?: string;
  readonly recordsNothing?: boolean;
  readonly timeoutMs?: number;
}

export type AgentRequest =
  | CallRequest
  | { readonly op: 'stream'; readonly path: string }
  | { readonly op: 'ensure'; readonly grants: readonly GrantView[]; readonly renewAfter?: number }
  /** Here is what you sign with. */
  | { readonly op: 'hold'; readonly record: DeviceRecord | null }
  | { readonly op: 'status' }
  | { readonly op: 'stop' };

export type AgentReply =
  | { readonly ok: true; readonly value: unknown; readonly skewMs: number }
  | { readonly ok: false; readonly error: WireError };

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly isSigned?: boolean | undefined;
}

export function toWire(error: unknown): WireError {
  if (!isAppError(error)) return { code: 'internal', message: 'something went wrong inside the agent' };
  const { code, message, hint, correlationId, details, isSigned } = error;
  return { code, message, hint, correlationId, details, ...(isSigned && { isSigned }) };
}

export function fromWire({ code, message, hint, correlationId, details, isSigned }: WireError): AppError {
  const known = isErrorCode(code) ? code : 'internal';
  return new AppError(known, message, { hint, correlationId, details, isSigned: isSigned === true });
}

export function readGreeting(value: unknown): Greeting | undefined {
  return isRecord(value) && value.schema === SCHEMA ? (value as unknown as Greeting) : undefined;
}

export function readAgentReply(value: unknown): AgentReply | undefined {
  if (!isRecord(value) || typeof value.ok !== 'boolean') return undefined;
  if (!value.ok && !(isRecord(value.error) && typeof value.error.message === 'string')) return undefined;
  return value as unknown as AgentReply;
}

export interface LineOptions {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/**
 * The next line that comes, without its end; what came behind it is put back. Undefined where the other side ends, breaks off,
 * says too much or takes too long: it is not one that can be talked to, whatever the reason.
 */
export function readLine(socket: Socket, { maxBytes, timeoutMs }: LineOptions): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (line: Buffer | undefined) => {
      clearTimeout(timer);
      socket.off('data', take);
      for (const event of ['end', 'error', 'close']) socket.off(event, giveUp);
      // Nobody reads for now: what comes waits.
      socket.pause();
      resolve(line);
    };
    const giveUp = () => finish(undefined);
    const take = (chunk: Buffer) => {
      const at = chunk.indexOf(0x0a);
      const part = at < 0 ? chunk : chunk.subarray(0, at);
      size += part.length;
      if (size > maxBytes) return giveUp();
      chunks.push(part);
      if (at < 0) return;
      finish(Buffer.concat(chunks));
      if (at + 1 < chunk.length) socket.unshift(chunk.subarray(at + 1));
    };
    const timer = setTimeout(giveUp, timeoutMs);
    socket.on('data', take);
    for (const event of ['end', 'error', 'close']) socket.on(event, giveUp);
    if (socket.destroyed) giveUp();
    else socket.resume();
  });
}

export function writeLine(socket: Socket, value: object): void {
  socket.write(`${JSON.stringify(value)}\n`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
