/**
 * What proxies need to know about tokens, open to everybody: the keys (RFC 7517), and whether a token lives at this moment.
 * The second is made for nginx's auth_request: 200 and who it is, or 401 and nothing more, whatever is wrong.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { JWKS_PATH, VERIFY_PATH } from '../../issuers/http-guide.ts';
import { publicKeySet, type TokenClaims } from '../../issuers/http-token.ts';
import { createTokenCheck } from '../../issuers/http-verify.ts';
import { AppError } from '../../protocol/errors.ts';
import type { Store } from '../../store/store.ts';
import type { CurrentRules } from '../rules.ts';
import type { TokenKeyring } from '../token-keys.ts';

/** Verifiers may keep the keys for so long: the next one is published long before it is used. */
const KEYS_KEPT_SECONDS = 300;

export interface TokenRoutesDeps {
  store: Store;
  rules: CurrentRules;
  tokenKeys: TokenKeyring;
  /** Who has made the tokens. */
  issuer: string;
  /** Called for each token that was found good, before it is answered; may refuse. */
  onGood(request: FastifyRequest, handle: string): void;
}

export function registerTokenRoutes(app: FastifyInstance, deps: TokenRoutesDeps): void {
  const { store, rules, tokenKeys, issuer, onGood } = deps;

  app.get(JWKS_PATH, async (_request, reply) => {
    const keys = tokenKeys.keys();
    if (keys === undefined) throw new AppError('not_found', 'this broker makes no tokens');
    reply.header('cache-control', `public, max-age=${KEYS_KEPT_SECONDS}`).type('application/jwk-set+json');
    return JSON.stringify(publicKeySet(keys));
  });

  const check = createTokenCheck({
    keys: () => tokenKeys.keys(),
    issuer,
    isLive: (handle, nowMs) =>
      store.read(async (tx) => {
        const [row] = await tx.credentials({ kind: 'http', handle, limit: 1 });
        if (row === undefined) return undefined;
        return row.state === 'live' && row.expiresAt > nowMs;
      }),
  });

  app.get(`${VERIFY_PATH}/:resource`, async (request, reply) => {
    const { resource = '' } = request.params as Readonly<Record<string, string>>;
    const { authorization } = request.headers;
    const found = rules().catalogue.resources.get(resource);
    const claims = await check(found, authorization, await store.now());
    reply.header('cache-control', 'no-store');
    if (claims === undefined) {
      // RFC 6750 section 3: without a token there is nothing to say about it.
      const problem = authorization === undefined ? '' : ', error="invalid_token"';
      return reply.code(401).header('www-authenticate', `Bearer realm="oncall"${problem}`).send();
    }
    onGood(request, claims.id);
    for (const [name, value] of Object.entries(namesOf(claims))) reply.header(`x-oncall-${name}`, value);
    return reply.code(200).send();
  });
}

/** As headers can hold them: percent-encoded, but for what names may have. */
function namesOf({ user, role, grant, incident = '-' }: TokenClaims): Record<string, string> {
  const entries = Object.entries({ user, role, grant, incident });
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      encodeURIComponent(value).replace(/%(40|2B|2F)/g, decodeURIComponent),
    ]),
  );
}
