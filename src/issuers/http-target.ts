import type { HttpSettings, Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { HttpIssuerOptions } from './http.ts';
import type { TokenKeys } from './http-token.ts';

/** The clock of a proxy may be this far off. */
export const SKEW_MS = 60_000;

export function httpSettings(resource: Resource): HttpSettings {
  if (resource.target.kind !== 'http') throw new AppError('internal', 'not an http resource');
  return resource.target;
}

/** Throws AppError `target_refused` where this installation has no keys for tokens. */
export function requireKeys({ keys }: Pick<HttpIssuerOptions, 'keys'>): TokenKeys {
  const found = keys();
  if (found !== undefined) return found;
  throw new AppError('target_refused', 'the broker is not set up for this target', {
    hint: 'ask your administrators to run oncall broker rotate tokens',
  });
}
