/** What a tool needs, each requirement proven by visiting it with tokens that live as long as the check. */
import { generateKeyPairSync } from 'node:crypto';
import type { Resource } from '../catalogue/types.ts';
import type { HttpIssuerOptions } from './http.ts';
import { createProbeToken } from './http-probe-token.ts';
import { httpSettings, requireKeys } from './http-target.ts';
import { tokenKey } from './http-token.ts';
import type { Requirement } from './issuer.ts';
import { fulfilled, missing } from './requirement.ts';

const LONG_AGO_MS = 3_600_000;

/** Throws AppError where the installation has no keys or the CA file cannot be read; what the tool says are requirements. */
export async function checkHttp(
  resource: Resource,
  signal: AbortSignal,
  options: HttpIssuerOptions,
): Promise<readonly Requirement[]> {
  const { url, caFile, roles } = httpSettings(resource);
  const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
  const nowMs = options.now();
  const { current } = requireKeys(options);
  const tokenWith = (change: Parameters<typeof createProbeToken>[5], key = current) =>
    createProbeToken(key, resource, 'check', nowMs, options, change);
  const ask = (token: string | undefined) => options.probe({ url, caPem, token, signal });

  const requirements: Requirement[] = [];
  for (const role of roles.keys()) {
    const { answer, detail } = await ask(await tokenWith({ role }));
    const name = `login as ${role}`;
    if (answer === 'let in') requirements.push(fulfilled(name, detail));
    else if (answer === 'unknown') {
      const fix = `curl -v ${url}   # on the broker's host; ca: … in the catalogue where its CA is your own`;
      return [missing('reachable', detail, fix)];
    } else {
      const fix = `oncall broker target ${resource.id}   # can the proxy reach the broker, and does it pass Authorization on?`;
      requirements.push(missing(name, `refused: ${detail}`, fix));
    }
  }
  const expired = { issuedAtMs: nowMs - LONG_AGO_MS, expiresAtMs: nowMs - LONG_AGO_MS / 2 };
  const forger = tokenKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const verify = 'auth_request /_oncall_verify;   # in each location of the tool';
  const strangers: [what: string, token: string | undefined, fix: string][] = [
    ['no token', undefined, verify],
    ['a token that somebody else has signed', await tokenWith({}, forger), verify],
    ['a token that has expired', await tokenWith(expired), verify],
    [
      'a token for another tool',
      await tokenWith({ audience: 'oncall-check', resource: 'oncall-check' }),
      verify,
    ],
    [
      'a token that was ended',
      await tokenWith({ probe: 'ended' }),
      'auth_request, asked each time   # a proxy that verifies by itself, or keeps answers, takes it until it expires',
    ],
  ];
  for (const [what, token, fix] of strangers) {
    const { answer, detail } = await ask(token);
    const name = `${what} is refused`;
    requirements.push(answer === 'refused' ? fulfilled(name, detail) : missing(name, detail, fix));
  }
  return requirements;
}
