/** Tokens of the broker's own, made to ask tools questions and never handed out. */
import { randomBytes } from 'node:crypto';
import type { Resource } from '../catalogue/types.ts';
import type { HttpIssuerOptions } from './http.ts';
import { httpSettings, SKEW_MS } from './http-target.ts';
import { signToken, type TokenClaims, type TokenKey } from './http-token.ts';

const LIFE_MS = 60_000;

/** `change`: what it has other than a good token for the first role. */
export function createProbeToken(
  key: TokenKey,
  resource: Resource,
  purpose: 'proof' | 'check',
  nowMs: number,
  { publicUrl }: Pick<HttpIssuerOptions, 'publicUrl'>,
  change: Partial<TokenClaims> = {},
): Promise<string> {
  const { audience, roles } = httpSettings(resource);
  const [role = ''] = roles.keys();
  return signToken(key, publicUrl, {
    id: randomBytes(16).toString('hex'),
    // Never the name of a person: the tool's log would say that they came.
    user: `oncall-${purpose}`,
    grant: '-',
    incident: undefined,
    resource: resource.id,
    role,
    audience,
    notBeforeMs: nowMs - SKEW_MS,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + LIFE_MS,
    probe: 'live',
    ...change,
  });
}
