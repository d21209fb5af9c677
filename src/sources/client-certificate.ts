/**
 * Whether the client certificate that TLS was set up with is one of a source's senders (RFC 5280, section 6, cut down to a
 * chain of one): issued directly by a CA of the file, both of now, meant for clients, and named. TLS has proven that the
 * sender holds its key; who issued it TLS was not asked.
 */
import { X509Certificate } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';

/** id-kp-clientAuth, RFC 5280 section 4.2.1.12. */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const PEM = /-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----/g;
const MAX_DER_BYTES = 16 * 1024;

/** Throws AppError `config_invalid` for a file without a CA certificate. Several are a rotation. */
export function readCas(pem: string, source: string): X509Certificate[] {
  try {
    const cas = (pem.match(PEM) ?? []).map((block) => new X509Certificate(block));
    if (cas.length > 0 && cas.every(({ ca }) => ca)) return cas;
  } catch (cause) {
    throw new AppError('config_invalid', `the caFile of source ${source} cannot be read`, { cause });
  }
  throw new AppError('config_invalid', `the caFile of source ${source} is not of CA certificates`, {
    hint: "write the PEM certificate of the CA that issued the sender's certificate into it",
  });
}

/** `der` is attacker-controlled. `names` are compared as they are: no wildcards, no case folding. */
export function isSender(
  der: Uint8Array,
  cas: readonly X509Certificate[],
  names: readonly string[],
  nowMs: number,
): boolean {
  const certificate = parse(der);
  if (certificate === undefined || certificate.ca || !isOfNow(certificate, nowMs)) return false;
  // Node calls the extended key usages `keyUsage`; without the extension any use is allowed.
  const usages: readonly string[] | undefined = certificate.keyUsage;
  if (usages !== undefined && !usages.includes(CLIENT_AUTH)) return false;
  if (!namesOf(certificate).some((name) => names.includes(name))) return false;
  return cas.some(
    (ca) => isOfNow(ca, nowMs) && certificate.checkIssued(ca) && certificate.verify(ca.publicKey),
  );
}

function parse(der: Uint8Array): X509Certificate | undefined {
  if (der.length > MAX_DER_BYTES) return undefined;
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

function isOfNow({ validFrom, validTo }: X509Certificate, nowMs: number): boolean {
  return Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo);
}

/** The one common name, and the DNS, e-mail and URI alternative names. */
function namesOf(certificate: X509Certificate): string[] {
  const { CN } = certificate.toLegacyObject().subject as { CN?: string | string[] };
  // Node escapes a comma inside a name, so that none can look like two.
  const entries = certificate.subjectAltName?.split(', ') ?? [];
  return [
    ...(typeof CN === 'string' ? [CN] : []),
    ...entries.flatMap((entry) => /^(?:DNS|email|URI):(.+)$/.exec(entry)?.[1] ?? []),
  ];
}
