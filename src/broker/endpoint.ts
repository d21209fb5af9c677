/**
 * The three shapes of an endpoint. A handler cannot forget a check: `read` and `change` authenticate, claim the nonce and
 * validate before it runs; a `change` runs in one transaction together with nonce and idempotency key, so that what was sent
 * twice is done once, and its reply carries the receipt.
 */
import { createHash } from 'node:crypto';
import type { Static, TSchema } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify';
import { AppError } from '../protocol/errors.ts';
import { envelope } from '../protocol/messages.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { AuditRow } from '../store/rows.ts';
import type { ReadTx, Store, Tx } from '../store/store.ts';
import type { AuditLog, Provable } from './audit-log.ts';
import {
  type Authenticated,
  AuthenticationError,
  authenticate,
  type IncomingRequest,
} from './authenticate.ts';
import type { Caller } from './caller.ts';
import type { CurrentRules } from './rules.ts';

declare module 'fastify' {
  interface FastifyRequest {
    rawBody: Buffer | undefined;
    authenticated: Authenticated | undefined;
    /** Set once the caller is known: for the log. */
    user: string | undefined;
  }
  interface FastifyContextConfig {
    signed?: boolean;
    /** The body is somebody else's format: the handler reads it. */
    raw?: boolean;
  }
}

export interface Place {
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, string>>;
  /** Fires when the client has gone. */
  signal: AbortSignal;
}

export type Done = { ref: string; audit: AuditRow } | { refusal: AppError };

export interface EndpointDeps {
  app: FastifyInstance;
  store: Store;
  rules: CurrentRules;
  log: AuditLog;
  authority: string;
  /** After each committed change: wakes waiters and the job loop. */
  onChange: () => void;
}

const IDEMPOTENCY_KEY = /^[A-Za-z0-9_-]{8,64}$/;
const SEEN_EVERY_MS = 60_000;

export function createEndpoints(deps: EndpointDeps) {
  const { app, store, rules, log, authority } = deps;

  app.addHook('preValidation', async (request) => {
    if (!request.routeOptions.config.signed) return;
    request.authenticated = await authenticate(incoming(request), { store, rules, authority });
    request.user = request.authenticated.caller.person.id;
  });
  // Only what was signed by somebody we know gets parsed.
  app.addHook('preValidation', async (request) => {
    if (request.rawBody && !request.routeOptions.config.raw) request.body = parseStrictJson(request.rawBody);
  });

  /** Answers from what is there; claims the nonce in a transaction of its own. */
  function read<R extends TSchema>(
    url: string,
    schema: { result: R; query?: TSchema },
    run: (caller: Caller, place: Place) => Promise<Static<R>>,
  ): void {
    app.route({
      method: 'GET',
      url,
      config: { signed: true },
      schema: {
        response: { 200: schema.result },
        ...(schema.query && { querystring: schema.query }),
      } as FastifySchema,
      handler: async (request, reply): Promise<unknown> => {
        const { caller, claim } = authenticatedOf(request);
        await store.write(claim);
        return run(caller, placeOf(request, reply));
      },
    });
  }

  /** Decides like a change and records nothing. */
  function consider<B extends TSchema, R extends TSchema>(
    url: string,
    schema: { body: B; result: R },
    run: (caller: Caller, body: Static<B>) => Promise<Static<R>>,
  ): void {
    app.route({
      method: 'POST',
      url,
      config: { signed: true },
      schema: { body: schema.body, response: { 200: schema.result } } as FastifySchema,
      handler: async (request): Promise<unknown> => {
        const { caller, claim } = authenticatedOf(request);
        await store.write(claim);
        return run(caller, request.body as Static<B>);
      },
    });
  }

  function change<B extends TSchema, R extends TSchema, D extends Done>(
    url: string,
    schema: { body: B; result: R },
    work: (tx: Tx, caller: Caller, body: Static<B>, place: Place) => Promise<D>,
    after: {
      /** Runs once, after the commit, and only for the call that did the work. */
      complete?: (done: Exclude<D, { refusal: AppError }>) => Promise<AuditRow>;
      /** Waits for what the result shall show. */
      settle?: (ref: string) => Promise<void>;
      /**
       * Reads the result, in one transaction with the proof of its entry. `done` is absent when the same request came again:
       * the result is then made from what the store holds.
       */
      result: (
        tx: ReadTx,
        ref: string,
        caller: Caller,
        body: Static<B>,
        done: Exclude<D, { refusal: AppError }> | undefined,
      ) => Promise<Static<R>>;
    },
  ): void {
    app.route({
      method: 'POST',
      url,
      config: { signed: true },
      schema: { body: schema.body, response: { 200: envelope(schema.result) } } as FastifySchema,
      handler: async (request, reply): Promise<unknown> => {
        const { caller, claim } = authenticatedOf(request);
        const body = request.body as Static<B>;
        const key = idempotencyKeyOf(request);
        const fingerprint = fingerprintOf(request);
        const place = placeOf(request, reply);

        const done = await store
          .write(async (tx) => {
            await claim(tx);
            // Two brokers may get the same request at once: the second waits here and then finds the first one's row.
            await tx.lockTarget(caller.device.id, 'idempotency', key);
            const prior = await tx.idempotency(caller.device.id, key);
            if (prior && prior.fingerprint !== fingerprint) {
              throw new AppError('conflict', 'the idempotency key was used for another request');
            }
            if (prior) return { prior: JSON.parse(prior.reply) as { ref: string; audit: Provable } };
            const fresh = await work(tx, caller, body, place);
            if ('refusal' in fresh) return fresh;
            const nowMs = await tx.now();
            await tx.insertIdempotency({
              deviceId: caller.device.id,
              key,
              fingerprint,
              status: 200,
              reply: JSON.stringify({ ref: fresh.ref, audit: provenOf(fresh.audit) }),
              createdAt: nowMs,
            });
            if (nowMs - (caller.device.lastSeenAt ?? 0) > SEEN_EVERY_MS) {
              await tx.updateDevice(caller.device.id, { lastSeenAt: nowMs });
            }
            return fresh;
          })
          .catch(async (error: unknown) => {
            // The rollback took the nonce with it: a captured request must not work later, when the refusal's cause is gone.
            if (!(error instanceof AuthenticationError)) await store.write(claim).catch(() => undefined);
            throw error;
          });

        deps.onChange();
        if ('refusal' in done) throw done.refusal;
        const answer = async (ref: string, audit: Provable, fresh?: Exclude<D, { refusal: AppError }>) => {
          await after.settle?.(ref);
          const { result, head } = await store.read(async (tx) => ({
            result: await after.result(tx, ref, caller, body, fresh),
            head: await log.head(tx, seenSizeOf(request)),
          }));
          return { result, audit: log.prove(audit, head) };
        };
        if ('prior' in done) return answer(done.prior.ref, done.prior.audit);
        const completed = done as Exclude<D, { refusal: AppError }> & { ref: string; audit: AuditRow };
        if (!after.complete) return answer(completed.ref, completed.audit, completed);
        const audit = await after.complete(completed);
        deps.onChange();
        return answer(completed.ref, audit, completed);
      },
    });
  }

  return { read, consider, change, authenticatedOf };
}

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

/** The entry itself is in the log: no need to keep it a second time. */
function provenOf({ index, leafHash, at }: AuditRow): Provable {
  return { index, leafHash, at };
}

function authenticatedOf(request: FastifyRequest): Authenticated {
  if (!request.authenticated) throw new AuthenticationError('missing');
  return request.authenticated;
}

function placeOf(request: FastifyRequest, reply: FastifyReply): Place {
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

function idempotencyKeyOf(request: FastifyRequest): string {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new AppError('invalid_request', 'a change needs an idempotency-key of 8 to 64 characters');
  }
  return key;
}

function fingerprintOf(request: FastifyRequest): string {
  const hash = createHash('sha256').update(`${request.method}\n${request.raw.url}\n`);
  return hash.update(request.rawBody ?? Buffer.alloc(0)).digest('hex');
}
