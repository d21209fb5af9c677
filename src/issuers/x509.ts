/**
 * Logins at services that speak mutual TLS: client certificates over keys made on the device, minutes long, each with a serial
 * of its own. A service stops taking one at its end by itself, or sooner once it has pulled the revocation list that names the
 * serial. What is open by then stays open until the service closes it: certificates are looked at when a connection begins.
 */
import { X509Certificate } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import type { EndInput, Issued, IssueInput, Issuer } from './issuer.ts';
import type { Revocations } from './revocations.ts';
import type { X509Ca } from './x509-ca.ts';
import { checkX509 } from './x509-check.ts';
import { x509Guide } from './x509-guide.ts';
import { readClientKey } from './x509-key.ts';
import { alternativeNameOf, chooseSerial, requireSerial, x509Settings } from './x509-names.ts';
import type { X509Probe } from './x509-probe.ts';
import { proveListed } from './x509-prove.ts';

/** Where the catalogue says longer, this is the end all the same. */
const MAX_LIFE_MS = 900_000;
/** The clock of a service may be this far off. */
export const SKEW_MS = 60_000;

export interface X509IssuerOptions {
  ca: X509Ca;
  revocations: Revocations;
  probe: X509Probe;
  /** PEM text of a CA file named in the catalogue. */
  readCa: (file: string) => Promise<string>;
  /** Where targets pull the revocation list from. */
  listUrl: string;
  /** For how long `check` waits for a target to pull the list that revokes the check's own certificate. */
  revocationWaitMs: number;
  /** For `check`. Milliseconds since 1970. */
  now: () => number;
}

export function createX509Issuer(options: X509IssuerOptions): Issuer {
  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle, nowMs } = input;
    const { url, caFile, roles } = x509Settings(subject.resource);
    if (material.kind !== 'x509') throw new AppError('invalid_request', 'not a public key for a certificate');
    const publicKey = readClientKey(material.publicKey);
    const role = roles.get(subject.role);
    if (!role) throw new AppError('target_refused', `${subject.resource.id} has no role ${subject.role}`);
    requireTime(input.signal);
    const ends = Math.floor(Math.min(input.expiresAtMs, nowMs + MAX_LIFE_MS) / 1000) * 1000;
    const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
    const certificate = await options.ca.createCertificate({
      serial: requireSerial(handle),
      subject: { name: handle, unit: role.unit },
      alternativeName: alternativeNameOf(subject),
      publicKey,
      notBeforeMs: nowMs - SKEW_MS,
      notAfterMs: ends,
    });
    return {
      publicPart: { kind: 'x509', certificate, url, ...(caPem !== undefined && { caPem }) },
      expiresAtMs: ends,
    };
  }

  return {
    kind: 'x509',
    expiry: 'target',
    renewal: 'reissue',
    chooseHandle: chooseSerial,
    issue,
    async renew() {
      throw new AppError('internal', 'certificates are issued anew, not renewed');
    },
    async end({ handle, signal, ...input }) {
      const serial = requireSerial(handle);
      requireTime(signal);
      await options.revocations.revoke({ list: 'x509', serial, expiresAtMs: expiryOf(input) + SKEW_MS });
      return { sessionsEnded: 0, leftovers: [] };
    },
    prove: (input) => proveListed(input, expiryOf(input) + SKEW_MS, options),
    // Services keep no list of certificates.
    survey: async () => ({ persists: false }),
    guide: (resource) => x509Guide(resource, options),
    check: (resource, signal) => checkX509(resource, signal, options),
    close: async () => undefined,
  };
}

/** When the certificate ends by itself; without one, when it would have at the latest. */
function expiryOf({ publicPart, expiresAtMs }: Pick<EndInput, 'publicPart' | 'expiresAtMs'>): number {
  if (publicPart?.kind !== 'x509') return expiresAtMs;
  return Date.parse(new X509Certificate(publicPart.certificate).validTo);
}

function requireTime(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new AppError('target_unreachable', 'the call was stopped', { cause: signal.reason });
  }
}
