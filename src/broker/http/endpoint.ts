/**
 * The shapes of an endpoint. A handler cannot forget a check: `read` and `change` authenticate, claim the nonce and
 * validate before it runs; a `change` runs in one transaction together with nonce and idempotency key, so that what was sent
 * twice is done once, and its reply carries the receipt. Nothing is served to a device whose journal is not known to its end:
 * `readOwn` and `handIn` alone, which are for the journal, take whoever holds the key of a device.
 */
import type { Static, TSchema } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify';
import type { Logger } from 'pino';
import { AppError } from '../../protocol/errors.ts';
import { envelope } from '../../protocol/messages.ts';
import { parseStrictJson } from '../../protocol/strict-json.ts';
import type { AuditRow, DeviceRow } from '../../store/rows.ts';
import type { ReadTx, Store, Tx } from '../../store/store.ts';
import type { AuditLog, Provable } from '../audit-log.ts';
import { type Authenticated, AuthenticationError, createAuthenticator } from '../authenticate.ts';
import type { Caller } from '../caller.ts';
import type { Journals } from '../journals.ts';
import type { LogReach } from '../log-reach.ts';
import type { CurrentRules } from '../rules.ts';
import type { StreamLimits } from './event-stream.ts';
import {
  fingerprintOf,
  idempotencyKeyOf,
  incoming,
  journalSeqOf,
  type Place,
  placeOf,
  seenSizeOf,
} from './incoming.ts';

declare module 'fastify' {
  interface FastifyRequest {
    rawBody: Buffer | undefined;
    authenticated: Authenticated | undefined;
    /** Why the body is no JSON of ours. */
    unreadable: unknown;
    /** Set once the caller is known: for the log. */
    user: string | undefined;
  }
  interface FastifyContextConfig {
    signed?: boolean;
    /** The body is somebody else's format: the handler reads it. */
    raw?: boolean;
  }
}

export type Done = { ref: string; audit: AuditRow } | { refusal: AppError };

export interface EndpointDeps {
  app: FastifyInstance;
  store: Store;
  rules: CurrentRules;
  log: AuditLog;
  reach: LogReach;
  authority: string;
  /** Where clients reach each broker directly. */
  endpoints: readonly string[];
  logger: Logger;
  streamLimits: StreamLimits;
  /** After each committed change: wakes waiters and the job loop. */
  onChange: () => void;
}

const SEEN_EVERY_MS = 60_000;

/** What a change does beside its transaction. */
interface After<A, Body, Result, D extends Done> {
  /**
   * Runs once, after the commit, and only for the call that did the work. What the reply shows is looked up with the entry
   * that this writes, in the transaction that does.
   */
  complete?: <L>(
    done: Exclude<D, { refusal: AppError }>,
    look: (tx: ReadTx, audit: AuditRow) => Promise<L>,
  ) => Promise<L>;
  /** Waits for what the result shall show. */
  settle?: (ref: string) => Promise<void>;
  /** Hears of each result before it is sent. */
  done?: (result: Result) => void;
  /**
   * Reads the result, in one transaction with the proof of its entry: the one that wrote it, unless `settle` waits. `done` is
   * absent when the same request came again: the result is then made from what the store holds.
   */
  result: (
    tx: ReadTx,
    ref: string,
    asker: A,
    body: Body,
    done: Exclude<D, { refusal: AppError }> | undefined,
  ) => Promise<Result>;
}

/** Who asks: a person at a device, or a device alone. */
interface Asker {
  readonly device: DeviceRow;
}

type Admit<A extends Asker> = (tx: Tx, request: FastifyRequest) => Promise<A>;

export function createEndpoints(deps: EndpointDeps, journals: Pick<Journals, 'meet'>) {
  const { app, store, log } = deps;
  const authenticate = createAuthenticator(deps);

  app.addHook('preValidation', async (request) => {
    if (request.routeOptions.config.signed) request.authenticated = await authenticate(incoming(request));
  });
  // Only what was signed by somebody we know gets parsed.
  app.addHook('preValidation', async (request) => {
    if (!request.rawBody || request.routeOptions.config.raw) return;
    try {
      request.body = parseStrictJson(request.rawBody);
    } catch (error) {
      request.unreadable = error;
    }
  });

  /** Who asks, and that what they ask has the right shape: a device that was revoked must not hear of the second. */
  async function admit(tx: Tx, request: FastifyRequest): Promise<Caller> {
    const { admit: admitTo, signedAtMs } = authenticatedOf(request);
    const caller = await admitTo(tx);
    request.user = caller.person.id;
    const seq = journalSeqOf(request);
    if (seq !== undefined)
      await journals.meet(tx, caller.device, { seq, signedAtMs, embedded: caller.embedded });
    requireShape(request);
    return caller;
  }

  /** The device alone, revoked or not. */
  async function identify(tx: Tx, request: FastifyRequest): Promise<Asker> {
    const device = await authenticatedOf(request).identify(tx);
    request.user = device.user;
    requireShape(request);
    return { device };
  }

  function requireShape(request: FastifyRequest): void {
    const wrong = request.unreadable ?? request.validationError;
    if (wrong !== undefined) throw wrong;
  }

  /** The rollback takes the nonce with it: a captured request must not work later, when what it was refused for is gone. */
  async function writeFor<T>(request: FastifyRequest, work: (tx: Tx) => Promise<T>): Promise<T> {
    return store.write(work).catch(async (error: unknown) => {
      if (!(error instanceof AuthenticationError))
        await store.write(authenticatedOf(request).identify).catch(() => undefined);
      throw error;
    });
  }

  /** In a transaction of its own, for what changes nothing. */
  function admitted(request: FastifyRequest): Promise<Caller> {
    return writeFor(request, (tx) => admit(tx, request));
  }

  /** Answers from what is there. */
  function read<R extends TSchema>(
    url: string,
    schema: { result: R; query?: TSchema },
    run: (caller: Caller, place: Place) => Promise<Static<R>>,
  ): void {
    readAs(admit, url, schema, run);
  }

  function readOwn<R extends TSchema>(
    url: string,
    schema: { result: R },
    run: (device: DeviceRow) => Promise<Static<R>>,
  ): void {
    readAs(identify, url, schema, ({ device }) => run(device));
  }

  function readAs<A extends Asker, R extends TSchema>(
    admitAs: Admit<A>,
    url: string,
    schema: { result: R; query?: TSchema },
    run: (asker: A, place: Place) => Promise<Static<R>>,
  ): void {
    app.route({
      method: 'GET',
      url,
      config: { signed: true },
      attachValidation: true,
      schema: {
        response: { 200: schema.result },
        ...(schema.query && { querystring: schema.query }),
      } as FastifySchema,
      handler: async (request, reply): Promise<unknown> => {
        const asker = await writeFor(request, (tx) => admitAs(tx, request));
        return run(asker, placeOf(request, reply));
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
      attachValidation: true,
      schema: { body: schema.body, response: { 200: schema.result } } as FastifySchema,
      handler: async (request): Promise<unknown> => {
        return run(await admitted(request), request.body as Static<B>);
      },
    });
  }

  function change<B extends TSchema, R extends TSchema, D extends Done>(
    url: string,
    /** `takesAway`: gives nobody anything, so it is done even by a log that is short of what was seen of it. */
    schema: { body: B; result: R; takesAway?: boolean },
    work: (tx: Tx, caller: Caller, body: Static<B>, place: Place) => Promise<D>,
    after: After<Caller, Static<B>, Static<R>, D>,
  ): void {
    changeAs(admit, url, schema, work, after);
  }

  function handIn<B extends TSchema, R extends TSchema, D extends Done>(
    url: string,
    schema: { body: B; result: R; bodyLimit: number },
    work: (tx: Tx, device: DeviceRow, body: Static<B>) => Promise<D>,
    result: (tx: ReadTx, device: DeviceRow) => Promise<Static<R>>,
  ): void {
    const taking = { ...schema, takesAway: true };
    changeAs(identify, url, taking, (tx, { device }, body: Static<B>) => work(tx, device, body), {
      result: (tx, _ref, { device }) => result(tx, device),
    });
  }

  function changeAs<A extends Asker, B extends TSchema, R extends TSchema, D extends Done>(
    admitAs: Admit<A>,
    url: string,
    schema: { body: B; result: R; takesAway?: boolean; bodyLimit?: number },
    work: (tx: Tx, asker: A, body: Static<B>, place: Place) => Promise<D>,
    after: After<A, Static<B>, Static<R>, D>,
  ): void {
    app.route({
      method: 'POST',
      url,
      config: { signed: true },
      attachValidation: true,
      ...(schema.bodyLimit !== undefined && { bodyLimit: schema.bodyLimit }),
      schema: { body: schema.body, response: { 200: envelope(schema.result) } } as FastifySchema,
      handler: async (request, reply): Promise<unknown> => {
        const seenSize = seenSizeOf(request);
        const look = async (
          tx: ReadTx,
          caller: A,
          { ref, audit }: { ref: string; audit: Provable },
          fresh?: Exclude<D, { refusal: AppError }>,
        ) => ({
          audit,
          result: await after.result(tx, ref, caller, request.body as Static<B>, fresh),
          head: await log.head(tx, seenSize),
        });

        const done = await writeFor(request, async (tx) => {
          const caller = await admitAs(tx, request);
          const body = request.body as Static<B>;
          const key = idempotencyKeyOf(request);
          const fingerprint = fingerprintOf(request);
          // Two brokers may get the same request at once: the second waits here and then finds the first one's row.
          await tx.lockTarget(caller.device.id, 'idempotency', key);
          const prior = await tx.idempotency(caller.device.id, key);
          if (prior && prior.fingerprint !== fingerprint) {
            throw new AppError('conflict', 'the idempotency key was used for another request', {
              hint: 'the same words as then, or another --key',
            });
          }
          if (prior) return { caller, prior: JSON.parse(prior.reply) as { ref: string; audit: Provable } };
          if (!schema.takesAway) deps.reach.demand(await tx.auditSize(), seenSize);
          const fresh = await work(tx, caller, body, placeOf(request, reply));
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
          const completed = fresh as Exclude<D, { refusal: AppError }> & { ref: string; audit: AuditRow };
          // Read where it was written: another transaction would cost as much as half of this one.
          const found =
            after.complete || after.settle ? undefined : await look(tx, caller, completed, completed);
          return { caller, completed, found };
        });

        deps.onChange();
        if ('refusal' in done) throw done.refusal;
        // Nothing is signed before what it speaks of is in the store for good.
        const answer = ({ audit, result, head }: Awaited<ReturnType<typeof look>>) => {
          after.done?.(result);
          return { result, audit: log.prove(audit, head) };
        };
        const { caller } = done;
        const { prior, completed, found } = done;
        if (prior) {
          await after.settle?.(prior.ref);
          return answer(await store.read((tx) => look(tx, caller, prior)));
        }
        if (found) return answer(found);
        if (after.complete) {
          const { ref } = completed;
          const late = await after.complete(completed, (tx, audit) =>
            look(tx, caller, { ref, audit }, completed),
          );
          deps.onChange();
          return answer(late);
        }
        await after.settle?.(completed.ref);
        return answer(await store.read((tx) => look(tx, caller, completed, completed)));
      },
    });
  }

  return { read, readOwn, consider, change, handIn, admitted };
}

/** The entry itself is in the log: no need to keep it a second time. */
function provenOf({ index, leafHash, at }: AuditRow): Provable {
  return { index, leafHash, at };
}

function authenticatedOf(request: FastifyRequest): Authenticated {
  if (!request.authenticated) throw new AuthenticationError('missing');
  return request.authenticated;
}
