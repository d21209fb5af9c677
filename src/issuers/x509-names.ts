import { randomBytes } from 'node:crypto';
import type { Resource, X509Settings } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { CredentialSubject } from './issuer.ts';

const PART_LENGTH = 128;

export function x509Settings(resource: Resource): X509Settings {
  if (resource.target.kind !== 'x509') throw new AppError('internal', 'not an x509 resource');
  return resource.target;
}

/**
 * A handle, the serial and the common name in one: 126 random bits as capital hex digits, which is how openssl and nginx
 * print serials. Always 16 octets, and positive.
 */
export function chooseSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex').toUpperCase();
}

export function requireSerial(handle: string): string {
  if (!/^[4-7][0-9A-F]{31}$/.test(handle)) throw new AppError('internal', 'not the serial of a certificate');
  return handle;
}

/** `oncall:user/grant/incident`, a URI (RFC 3986): everything that could be mistaken for more than text is escaped. */
export function alternativeNameOf({
  user,
  grantId,
  incident,
}: Pick<CredentialSubject, 'user' | 'grantId' | 'incident'>): string {
  const parts = [user, grantId, incident ?? '-'];
  return `oncall:${parts.map((part) => encodeURIComponent(part.slice(0, PART_LENGTH).toWellFormed())).join('/')}`;
}
