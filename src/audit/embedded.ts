import { AppError } from '../protocol/errors.ts';
import { keyThumbprint, parsePublicKey } from '../protocol/keys.ts';
import {
  ENROLL_TAG,
  type HeaderFields,
  parseSignature,
  REQUEST_TAG,
  verifySignature,
} from '../protocol/signature.ts';
import type { EmbeddedRequest } from './entry.ts';

const SIGNATURE_FIELDS = ['signature', 'signature-input'];

/** A request as the broker received and verified it. */
export interface ReceivedRequest {
  readonly method: string;
  /** The authority that was verified: the broker's own, never the Host header. */
  readonly authority: string;
  readonly path: string;
  readonly query: string;
  readonly headers: HeaderFields;
  readonly body: Uint8Array | undefined;
  /** The device's signing key, as text. */
  readonly publicKey: string;
}

/** What an entry embeds of a signed request: headers that its signature does not cover are left out. */
export function embedRequest(request: ReceivedRequest, components: readonly string[]): EmbeddedRequest {
  const { method, authority, path, query, publicKey, body } = request;
  const headers: Record<string, string> = {};
  for (const name of [...SIGNATURE_FIELDS, ...components]) {
    const field = request.headers[name];
    if (field !== undefined) headers[name] = typeof field === 'string' ? field : field.join(', ');
  }
  const encoded = body === undefined ? null : Buffer.from(body).toString('base64url');
  return { method, authority, path, query, headers, body: encoded, publicKey };
}

/**
 * What proves that a device held the key it enrolled: the signed request without its body, which holds the invitation's
 * code. Of the body the signed digest is left, from which 128 random bits can't be guessed.
 */
export function embedEnrolment(request: ReceivedRequest, components: readonly string[]): EmbeddedRequest {
  return { ...embedRequest(request, components), body: null };
}

/**
 * Checks an embedded request again: signature, key id, body digest, and that nothing unsigned rides along. As of the moment
 * of signing: whether the broker took it in time is the broker's word. Throws `audit_invalid`.
 */
export function verifyEmbedded(embedded: EmbeddedRequest): void {
  const { body } = embedded;
  verifyAs(embedded, REQUEST_TAG, body === null ? undefined : Buffer.from(body, 'base64url'));
}

/** The same for what {@link embedEnrolment} made: a signature for no other purpose than enrolling, over a body not given. */
export function verifyEnrolment(embedded: EmbeddedRequest): void {
  verifyAs(embedded, ENROLL_TAG, 'withheld');
}

function verifyAs(embedded: EmbeddedRequest, tag: string, body: Uint8Array | 'withheld' | undefined): void {
  try {
    const { headers, body: encoded, publicKey, method, authority, path, query } = embedded;
    const parsed = parseSignature(headers);
    const signed = [...SIGNATURE_FIELDS, ...parsed.components];
    if (
      parsed.keyId !== keyThumbprint(publicKey) ||
      !Object.keys(headers).every((name) => signed.includes(name)) ||
      encoded !== (body instanceof Uint8Array ? Buffer.from(body).toString('base64url') : null)
    ) {
      throw new AppError('audit_invalid', 'the embedded request holds more than was signed');
    }
    verifySignature({
      ...{ method, authority, path, query, headers, body, parsed },
      publicKey: parsePublicKey(publicKey),
      tag,
      nowMs: parsed.createdSeconds * 1000,
    });
  } catch (cause) {
    throw new AppError('audit_invalid', 'the signature of the embedded request is wrong', { cause });
  }
}
