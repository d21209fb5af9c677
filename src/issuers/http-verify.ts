/**
 * The broker's answer to a proxy that asks about a token: not only whether it is ours and still valid, which the proxy could find
 * out by itself, but whether its credential lives at this moment. That is what lets an end be seen at once.
 */
import type { Resource } from '../catalogue/types.ts';
import { type TokenClaims, type TokenKeys, verifyToken } from './http-token.ts';

export interface TokenCheckOptions {
  keys: () => TokenKeys | undefined;
  issuer: string;
  /** Whether a credential under this handle lives; undefined where none was ever recorded. */
  isLive: (handle: string, nowMs: number) => Promise<boolean | undefined>;
}

/** RFC 6750 section 2.1. */
const BEARER = /^Bearer ([A-Za-z0-9._-]+)$/i;

/** What the token says, if it opens `resource` now; else undefined. `authorization`: attacker-controlled. */
export type TokenCheck = (
  resource: Resource | undefined,
  authorization: string | undefined,
  nowMs: number,
) => Promise<TokenClaims | undefined>;

export function createTokenCheck({ keys: keysNow, issuer, isLive }: TokenCheckOptions): TokenCheck {
  return async (resource, authorization, nowMs) => {
    const keys = keysNow();
    const [, token] = BEARER.exec(authorization ?? '') ?? [];
    if (keys === undefined || token === undefined || resource?.target.kind !== 'http') return undefined;
    const { audience } = resource.target;
    const claims = await verifyToken(token, keys, { issuer, audience, nowMs });
    // Two resources may share an audience; their roles have nothing to do with each other.
    if (claims?.resource !== resource.id || !resource.target.roles.has(claims.role)) return undefined;
    const live = await isLive(claims.id, nowMs);
    // Every token is recorded before it exists, but for those of the broker's own questions.
    return (live ?? claims.probe === 'live') ? claims : undefined;
  };
}
