/**
 * Tokens for tools behind a proxy: JWTs as RFC 9068 profiles them for access tokens, signed with ES256, which every verifier has.
 * They are bearer tokens. Binding them to a key of the device (RFC 9449) would need a proxy that checks that; none of those in
 * wide use does, so it is left out, and short lives and an end at once stand in for it.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { AppError } from '../protocol/errors.ts';

const ALGORITHM = 'ES256';
const TYPE = 'at+jwt';
/** RFC 9068 section 2.2 wants to know which client a token was given to. */
const CLIENT = 'oncall';
const LONGEST = 8_192;

export interface TokenKey {
  /** RFC 7638, SHA-256. */
  id: string;
  privateKey: KeyObject;
}

export interface TokenKeys {
  current: TokenKey;
  /** Published, and taken, but not signed with: the one before and the one to come. */
  others: readonly TokenKey[];
}

export interface TokenClaims {
  /** The credential's handle. */
  id: string;
  user: string;
  grant: string;
  incident: string | undefined;
  resource: string;
  role: string;
  audience: string;
  notBeforeMs: number;
  issuedAtMs: number;
  expiresAtMs: number;
  /** Of the broker's own, made to ask a question: as good as a live one, or as an ended one. */
  probe?: 'live' | 'ended';
}

export interface TokenRules {
  /** The broker's public URL. */
  issuer: string;
  audience: string;
  nowMs: number;
}

/** Throws AppError `internal` for a key of another kind than P-256. */
export function tokenKey(privateKey: KeyObject): TokenKey {
  const { kty, crv, x, y } = privateKey.export({ format: 'jwk' });
  if (crv !== 'P-256') throw new AppError('internal', 'not a P-256 key');
  const members = JSON.stringify({ crv, kty, x, y });
  return { id: createHash('sha256').update(members).digest('base64url'), privateKey };
}

export async function signToken(key: TokenKey, issuer: string, claims: TokenClaims): Promise<string> {
  const { SignJWT } = await import('jose');
  const { user, grant, incident, resource, role, probe } = claims;
  const own = {
    client_id: CLIENT,
    grant,
    resource,
    role,
    roles: [role],
    ...(incident !== undefined && { incident }),
    ...(probe !== undefined && { probe }),
  };
  return new SignJWT(own)
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: key.id })
    .setIssuer(issuer)
    .setSubject(user.toWellFormed())
    .setAudience(claims.audience)
    .setJti(claims.id)
    .setNotBefore(seconds(claims.notBeforeMs))
    .setIssuedAt(seconds(claims.issuedAtMs))
    .setExpirationTime(seconds(claims.expiresAtMs))
    .sign(key.privateKey);
}

/**
 * What a token says, if one of the keys has signed it for this audience and it is valid now; else undefined, whatever is wrong
 * with it. The algorithm is ours to choose, never the token's (RFC 8725 section 3.1).
 */
export async function verifyToken(
  token: string,
  { current, others }: TokenKeys,
  { issuer, audience, nowMs }: TokenRules,
): Promise<TokenClaims | undefined> {
  if (token.length > LONGEST) return undefined;
  const { jwtVerify } = await import('jose');
  try {
    const { payload } = await jwtVerify(
      token,
      ({ kid }) => {
        const key = [current, ...others].find(({ id }) => id === kid);
        if (key === undefined) throw new Error('no such key');
        return createPublicKey(key.privateKey);
      },
      {
        algorithms: [ALGORITHM],
        typ: TYPE,
        issuer,
        audience,
        currentDate: new Date(nowMs),
        requiredClaims: ['sub', 'jti', 'exp', 'nbf', 'iat'],
      },
    );
    return claimsOf(payload, audience);
  } catch {
    return undefined;
  }
}

/** RFC 7517. */
export function publicKeySet({ current, others }: TokenKeys): { keys: object[] } {
  const keys = new Map([current, ...others].map((key) => [key.id, key]));
  return {
    keys: [...keys.values()].map(({ id, privateKey }) => ({
      ...createPublicKey(privateKey).export({ format: 'jwk' }),
      kid: id,
      alg: ALGORITHM,
      use: 'sig',
    })),
  };
}

/** Signed by us, so of the form that we sign. */
function claimsOf(payload: JWTPayload, audience: string): TokenClaims {
  const { sub = '', jti = '', grant, incident, resource, role, probe } = payload;
  const { nbf = 0, iat = 0, exp = 0 } = payload;
  return {
    id: jti,
    user: sub,
    grant: String(grant),
    incident: incident === undefined ? undefined : String(incident),
    resource: String(resource),
    role: String(role),
    audience,
    notBeforeMs: nbf * 1000,
    issuedAtMs: iat * 1000,
    expiresAtMs: exp * 1000,
    ...((probe === 'live' || probe === 'ended') && { probe }),
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
