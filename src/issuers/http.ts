/**
 * Logins at internal tools behind a proxy: signed tokens (JWTs), minutes long, sealed to the device. A proxy that verifies them by
 * itself stops taking one at its end; a proxy that asks the broker (`auth_request`) stops the moment the credential ends.
 */
import { randomBytes } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { checkHttp } from './http-check.ts';
import { httpGuide } from './http-guide.ts';
import type { HttpProbe } from './http-probe.ts';
import { proveRefusedToken } from './http-prove.ts';
import { httpSettings, requireKeys, SKEW_MS } from './http-target.ts';
import { signToken, type TokenKeys } from './http-token.ts';
import type { Issued, IssueInput, Issuer } from './issuer.ts';

/** Where the catalogue says longer, this is the end all the same. */
const MAX_LIFE_MS = 900_000;
const NAME_LENGTH = 128;

export interface HttpIssuerOptions {
  /** Undefined where this installation has none yet. */
  keys: () => TokenKeys | undefined;
  /** Who tokens say has made them, and where proxies ask. */
  publicUrl: string;
  /** PEM of what the broker's own TLS certificate is signed with, where it serves TLS itself. */
  identityCertificate: string | undefined;
  probe: HttpProbe;
  /** PEM text of a CA file named in the catalogue. */
  readCa: (file: string) => Promise<string>;
  /** For `check`. Milliseconds since 1970. */
  now: () => number;
}

export function createHttpIssuer(options: HttpIssuerOptions): Issuer {
  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle, nowMs, signal } = input;
    const { url, audience, caFile, roles } = httpSettings(subject.resource);
    if (material.kind !== 'http') throw new AppError('invalid_request', 'a token needs no key material');
    if (!roles.has(subject.role)) {
      throw new AppError('target_refused', `${subject.resource.id} has no role ${subject.role}`);
    }
    if (signal.aborted)
      throw new AppError('target_unreachable', 'the call was stopped', { cause: signal.reason });
    const expiresAtMs = Math.floor(Math.min(input.expiresAtMs, nowMs + MAX_LIFE_MS) / 1000) * 1000;
    const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
    const token = await signToken(requireKeys(options).current, options.publicUrl, {
      id: requireHandle(handle),
      user: subject.user.slice(0, NAME_LENGTH),
      grant: subject.grantId,
      incident: subject.incident?.slice(0, NAME_LENGTH),
      resource: subject.resource.id,
      role: subject.role,
      audience,
      notBeforeMs: nowMs - SKEW_MS,
      issuedAtMs: nowMs,
      expiresAtMs,
    });
    const sealedToken = await input.seal(Buffer.from(token));
    return {
      publicPart: { kind: 'http', url, sealedToken, ...(caPem !== undefined && { caPem }) },
      expiresAtMs,
    };
  }

  return {
    kind: 'http',
    expiry: 'target',
    renewal: 'reissue',
    chooseHandle: () => randomBytes(16).toString('hex'),
    issue,
    async renew() {
      throw new AppError('internal', 'tokens are issued anew, not renewed');
    },
    /** Nothing is left to do: the broker has written down that the credential ends, and answers proxies from that. */
    async end({ handle }) {
      requireHandle(handle);
      return { sessionsEnded: 0, leftovers: [] };
    },
    prove: (input) => proveRefusedToken(input, requireHandle(input.handle), options),
    // Proxies keep no list of tokens.
    survey: async () => ({ persists: false }),
    guide: (resource) => httpGuide(resource, options),
    check: (resource, signal) => checkHttp(resource, signal, options),
    close: async () => undefined,
  };
}

function requireHandle(handle: string): string {
  if (!/^[0-9a-f]{32}$/.test(handle)) throw new AppError('internal', 'not the id of a token');
  return handle;
}
