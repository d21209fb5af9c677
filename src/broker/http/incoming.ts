/** What a signed request brings beside its body, as endpoints take it. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../protocol/errors.ts';
import { JOURNAL_SEQ_HEADER } from '../../protocol/signature.ts';
import type { IncomingRequest } from '../authenticate.ts';

export interface Place {
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, string>>;
  /** Fires when the client has gone. */
  signal: AbortSignal;
}

const IDEMPOTENCY_KEY = /^[A-Za-z0-9_-]{8,64}$/;

export function incoming(request: FastifyRequest): IncomingRequest {
  const target = request.raw.url ?? '/';
  const at = target.indexOf('?');
  return {
    method: request.method,
    path: at < 0 ? target : target.slice(0, at),
    query: at < 0 ? '' : target.slice(at + 1),
    headers: request.headers,
    body: request.rawBody,
  };
}

export function seenSizeOf(request: FastifyRequest): number {
  const text = request.headers['oncall-seen-size'];
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** The newest number that the device has written in its journal; undefined from one that says nothing of it. */
export function journalSeqOf(request: FastifyRequest): number | undefined {
  const text = request.headers[JOURNAL_SEQ_HEADER];
  if (text === undefined) return undefined;
  if (typeof text === 'string' && /^(?:0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  throw new AppError('invalid_request', `${JOURNAL_SEQ_HEADER} is not a number of an entry`);
}

export function placeOf(request: FastifyRequest, reply: FastifyReply): Place {
  return {
    params: (request.params ?? {}) as Record<string, string>,
    query: (request.query ?? {}) as Record<string, string>,
    // Made for those who wait: every reply closes, and an abort that nobody hears costs as much as a query.
    get signal() {
      const gone = new AbortController();
      if (reply.raw.destroyed) gone.abort();
      reply.raw.once('close', () => gone.abort());
      return gone.signal;
    },
  };
}

export function idempotencyKeyOf(request: FastifyRequest): string {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new AppError('invalid_request', 'a change needs an idempotency-key of 8 to 64 characters');
  }
  return key;
}

export function fingerprintOf(request: FastifyRequest): string {
  const hash = createHash('sha256').update(`${request.method}\n${request.raw.url}\n`);
  return hash.update(request.rawBody ?? Buffer.alloc(0)).digest('hex');
}
