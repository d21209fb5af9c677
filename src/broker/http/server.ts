/** The HTTP server: what is open to everybody, what every reply has in common, and the limits. */
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import fastify, { type FastifyInstance, type FastifyRequest, type RouteOptions } from 'fastify';
import { AppError, isAppError } from '../../protocol/errors.ts';
import { identityStatement } from '../../protocol/identity.ts';
import { createId } from '../../protocol/ids.ts';
import * as m from '../../protocol/messages.ts';
import { parseStrictJson } from '../../protocol/strict-json.ts';
import { VERSION_HEADER } from '../../protocol/version.ts';
import type { Store } from '../../store/store.ts';
import { AuthenticationError, authenticateEnrollment } from '../authenticate.ts';
import type { BrokerConfig } from '../config.ts';
import type { BrokerKeys } from '../keys.ts';
import type { Modules } from '../modules.ts';
import type { PublishedLists } from '../revocation-lists.ts';
import type { TokenKeyring } from '../token-keys.ts';
import { viewDevice } from '../views.ts';
import type { EndpointDeps } from './endpoint.ts';
import { incoming, seenSizeOf } from './incoming.ts';
import { createRateLimit } from './limits.ts';
import { openApiOf } from './openapi.ts';
import { answeredOf, nonceOf, refusalReply, signTime, statusOf, toAppError } from './refusal.ts';
import { registerRoutes } from './routes.ts';
import { registerListRoutes } from './routes-lists.ts';
import { registerTokenRoutes } from './routes-tokens.ts';
import { type ServedKey, tlsOptions } from './server-tls.ts';

/** Our largest message is a few kilobytes. */
const BODY_LIMIT = 64 * 1024;
const CLOCK_WAIT_MS = 500;
/** Node holds nobody to the time of a request while that of its headers is the longer one, which is the default. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 15_000, connectionsCheckingInterval: 5_000 };

export interface ServerDeps extends Omit<EndpointDeps, 'app'> {
  config: BrokerConfig;
  keys: BrokerKeys;
  tls: ServedKey | undefined;
  version: string;
  lists: PublishedLists;
  tokenKeys: TokenKeyring;
}

export function createServer(deps: ServerDeps, modules: Modules): FastifyInstance {
  const { config, keys, store, rules, logger, tls } = deps;
  const app = fastify({
    ...(tls ? { https: { ...tlsOptions(tls, rules().catalogue), ...TIMEOUTS } } : { http: TIMEOUTS }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: TIMEOUTS.requestTimeout,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: 200 },
    ...(config.trustedProxies.length > 0 && { trustProxy: [...config.trustedProxies] }),
    genReqId: () => createId('cor', Date.now()),
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: false },
    },
  }) as unknown as FastifyInstance;
  app.server.maxConnections = config.limits.maxConnections;
  app.decorateRequest('rawBody', undefined);
  app.decorateRequest('authenticated', undefined);
  app.decorateRequest('unreadable', undefined);
  app.decorateRequest('user', undefined);

  // The bytes as received are what was signed; they are parsed when the signature has been found good.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    request.rawBody = body as Buffer;
    done(null, undefined);
  });

  // Before anything refuses: a client that is refused for its age is to be told so.
  app.addHook('onRequest', async (_request, reply) => {
    reply.header(VERSION_HEADER, deps.version);
  });

  const addresses = createRateLimit(config.limits.requestsPerSecond);
  app.addHook('onRequest', async (request) => {
    requireShare(addresses.take(sourceOf(request), performance.now()));
  });

  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    modules.metrics.requests.observe({ route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
    logger.info({
      correlationId: request.id,
      method: request.method,
      route,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(request.user !== undefined && { user: request.user }),
    });
  });

  app.setErrorHandler(async (error, request, reply) => refuse(toAppError(error), request, reply));
  app.setNotFoundHandler(async (request, reply) =>
    refuse(new AppError('not_found', 'there is nothing here'), request, reply),
  );

  async function refuse(error: AppError, request: FastifyRequest, reply: { code(status: number): unknown }) {
    const reason = error instanceof AuthenticationError ? error.reason : undefined;
    const status = statusOf(error.code);
    const entry = { correlationId: request.id, code: error.code, ...(reason && { reason }) };
    if (status >= 500) logger.error({ ...entry, err: error.cause ?? error }, error.message);
    else logger.info(entry, error.message);
    modules.metrics.refusals.inc({ code: error.code });
    if (reason) modules.metrics.authentication.inc({ reason });
    reply.code(status);
    const answered = answeredOf(request.headers);
    return refusalReply(error, request.id, keys.identity, answered, await now(store));
  }

  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    routes.push(route);
  });
  registerOpenRoutes(app, deps, modules);
  registerListRoutes(app, deps.lists);
  // A proxy asks for all its visitors from one address: whose token is good has a share of their own.
  const tokens = createRateLimit(config.limits.requestsPerSecond);
  registerTokenRoutes(app, {
    ...deps,
    issuer: config.publicUrl.href,
    onGood(request, handle) {
      addresses.giveBack(sourceOf(request));
      requireShare(tokens.take(handle, performance.now()));
    },
  });
  registerRoutes({ ...deps, app }, modules);
  // After the routes' own hook, which authenticates. What a device signed is the device's to answer for, not its address's:
  // colleagues behind one address don't use up each other's share.
  const devices = createRateLimit(config.limits.requestsPerSecond);
  app.addHook('preValidation', async (request) => {
    if (!request.authenticated) return;
    addresses.giveBack(sourceOf(request));
    requireShare(devices.take(request.authenticated.deviceId, performance.now()));
  });
  const document = openApiOf(routes, deps.version, config.publicUrl.href);
  app.get('/openapi.json', async () => document);
  return app;
}

function requireShare(isLeft: boolean): void {
  if (isLeft) return;
  throw new AppError('rate_limited', 'too many requests', { hint: 'slow down and try again' });
}

/** The client's address: the peer's, unless the peer is a trusted proxy that names another. */
function sourceOf({ ip, socket }: FastifyRequest): string {
  // Attacker-controlled: a proxy may pass on what is no address at all.
  return isIP(ip) === 0 ? (socket.remoteAddress ?? '') : ip;
}

function registerOpenRoutes(app: FastifyInstance, deps: ServerDeps, modules: Modules): void {
  const { keys, store, config, log, authority } = deps;

  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async () => {
    // Ready is: the store takes writes. A hung store must not hang the probe.
    const written = store.write((tx) => tx.now());
    const answer = await Promise.race([written.then(() => true), delay(2000, false, { ref: false })]);
    if (!answer) throw new AppError('busy', 'the store does not answer');
    return { status: 'ready' };
  });

  app.get('/metrics', async (_request, reply) => {
    reply.type(modules.metrics.registry.contentType);
    return modules.metrics.registry.metrics();
  });

  const identity = {
    identityKey: keys.identity.publicKey,
    origin: log.origin,
    logKey: keys.log.publicKey,
    publicUrl: config.publicUrl.href,
  };
  const signature = Buffer.from(keys.identity.sign(identityStatement(identity))).toString('base64url');
  app.get('/v1/identity', { schema: { response: { 200: m.Identity } } }, async (request) => ({
    ...identity,
    version: deps.version,
    time: signTime(keys.identity, nonceOf(request.headers), await store.now()),
    signature,
  }));

  app.post(
    '/v1/enroll',
    {
      schema: { body: m.Enroll, response: { 200: m.envelope(m.Enrolled) } },
      preValidation: async (request) => {
        if (request.rawBody) request.body = parseStrictJson(request.rawBody);
      },
    },
    async (request) => {
      const body = request.body as m.Enroll;
      await modules.devices.refuseGuessing(sourceOf(request));
      const { claim, embedded } = await authenticateEnrollment(incoming(request), body.signingKey, {
        authority,
        nowMs: await store.now(),
      });
      const { ref, audit } = await store
        .write(async (tx) => {
          await claim(tx);
          return modules.devices.enroll(tx, body, embedded);
        })
        .catch(async (error: unknown) => {
          if (isAppError(error, 'invite_invalid')) await modules.devices.countGuess(sourceOf(request));
          throw error;
        });
      const { device, head } = await store.read(async (tx) => ({
        device: await tx.device(ref),
        head: await log.head(tx, seenSizeOf(request)),
      }));
      if (!device) throw new AppError('internal', 'the device has vanished');
      return {
        result: { device: viewDevice(device, device.id), user: device.user },
        audit: log.prove(audit, head),
      };
    },
  );
}

/** The store's clock, or this machine's when the store is what fails or hangs: a refusal must not wait for it. */
async function now(store: Store): Promise<number> {
  const machine = () => Date.now();
  return Promise.race([
    store.now().catch(machine),
    delay(CLOCK_WAIT_MS, undefined, { ref: false }).then(machine),
  ]);
}
