/**
 * What a request signature signs: the signature base of RFC 9421 section 2.5, and the body digest of RFC 9530.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from './errors.ts';
import { serializeDictionary } from './structured-fields.ts';

/** Header fields by lower-case name, as node:http gives them. */
export type HeaderFields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A message, as far as a signature can cover it. Requests have the first four, responses the status. */
export interface SignableMessage {
  /** As on the wire: methods are case-sensitive. */
  method?: string;
  /** Host in lower case, with the port unless it is the scheme's default: what `URL.host` gives. */
  authority?: string;
  /** What stands before the first `?` of the request target, never decoded. */
  path?: string;
  /** What stands after it, without the `?`; empty when there is none. */
  query?: string;
  status?: number;
  headers: HeaderFields;
}

/**
 * RFC 9421 section 2.5. `components` are component names without parameters, in the order of the signature; `params` is
 * the text of the inner list as received or about to be sent. Throws AppError `invalid_request` for a component that the
 * message does not have, one named twice, and a value that could forge a line of the base.
 */
export function signatureBase(
  message: SignableMessage,
  components: readonly string[],
  params: string,
): Uint8Array {
  if (new Set(components).size !== components.length) {
    throw new AppError('invalid_request', 'a component is covered twice');
  }
  const lines = components.map((name) => `"${name}": ${componentValue(message, name)}`);
  return Buffer.from([...lines, `"@signature-params": ${params}`].join('\n'), 'latin1');
}

function componentValue(message: SignableMessage, name: string): string {
  const value = name.startsWith('@') ? derivedValue(message, name) : fieldValue(message.headers, name);
  if (value === undefined) throw new AppError('invalid_request', `the message has no ${name}`);
  if (!/^[\x20-\x7e]*$/.test(value)) throw new AppError('invalid_request', `${name} is not printable ASCII`);
  return value;
}

/** RFC 9421 section 2.2. */
function derivedValue(message: SignableMessage, name: string): string | undefined {
  switch (name) {
    case '@method':
      return message.method;
    case '@authority':
      return message.authority;
    case '@path':
      return message.path === '' ? '/' : message.path;
    case '@query':
      return message.query === undefined ? undefined : `?${message.query}`;
    case '@status':
      return message.status?.toString();
    default:
      return undefined;
  }
}

/** RFC 9421 section 2.1: every line of the field, trimmed, joined by comma and space. */
function fieldValue(headers: HeaderFields, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (value === undefined) return undefined;
  return (typeof value === 'string' ? [value] : value)
    .map((line) => line.replace(/^[ \t]+|[ \t]+$/g, ''))
    .join(', ');
}

/** The RFC 9530 Content-Digest field of a body: SHA-256 alone. */
export function contentDigest(body: Uint8Array): string {
  return serializeDictionary(new Map([['sha-256', sha256(body)]]));
}

/** Whether the field is exactly one SHA-256 digest, and of this body. Compares in constant time; never throws. */
export function isContentDigest(field: unknown, body: Uint8Array): boolean {
  if (typeof field !== 'string') return false;
  const expected = Buffer.from(contentDigest(body));
  const given = Buffer.from(field);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
