/**
 * Whether what a server presents is the broker, judged by ourselves: as soon as node is given a CA it loads its own hundred and
 * fifty roots too, 18 ms a run, of which none may vouch for a broker. What is asked is what OpenSSL asks of a chain of two,
 * and a little less forgiving: only the identity key itself may sign, and it signs no authorities.
 */
import { X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/** RFC 5280 section 4.2.1.12: id-kp-serverAuth. */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** `code` as OpenSSL and node name it. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/**
 * Throws {@link CertificateError} unless `leaf` is a server's certificate for `host`, in force, signed by the key that the PEM
 * text `identity` certifies. `leaf` is attacker-controlled; the handshake has proven that the peer holds its key.
 */
export function verifyPinned(
  leaf: X509Certificate | undefined,
  identity: string,
  host: string,
  nowMs: number,
): void {
  const authority = new X509Certificate(identity);
  if (!authority.ca) throw new CertificateError('INVALID_CA', 'what is pinned is no authority');
  if (leaf === undefined || !leaf.checkIssued(authority) || !leaf.verify(authority.publicKey)) {
    throw new CertificateError('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'not signed by what is pinned');
  }
  // Node's name for the *extended* usages; undefined where the certificate does not limit them.
  const usages: readonly string[] | undefined = leaf.keyUsage;
  if (leaf.ca || (usages !== undefined && !usages.includes(SERVER_AUTH))) {
    throw new CertificateError('INVALID_PURPOSE', 'not a certificate for servers');
  }
  for (const certificate of [authority, leaf]) refuseOutOfForce(certificate, nowMs);
  const misnamed = checkServerIdentity(host, leaf.toLegacyObject() as PeerCertificate);
  if (misnamed !== undefined) {
    throw new CertificateError('ERR_TLS_CERT_ALTNAME_INVALID', 'for another name', misnamed);
  }
}

/** A date that cannot be read is no date on which anything is in force. */
function refuseOutOfForce({ validFrom, validTo }: X509Certificate, nowMs: number): void {
  if (!(nowMs <= Date.parse(validTo))) throw new CertificateError('CERT_HAS_EXPIRED', 'has expired');
  if (!(nowMs >= Date.parse(validFrom))) throw new CertificateError('CERT_NOT_YET_VALID', 'not yet valid');
}
