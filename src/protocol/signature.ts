/**
 * Our profile of HTTP Message Signatures (RFC 9421): one signature labelled `sig1`, over exactly the components below,
 * with exactly the parameters created, expires, nonce, keyid, alg and tag, living at most a minute. The body is covered
 * through its digest (RFC 9530). The nonce's single use is the caller's to keep, until `expiresSeconds`.
 */
import type { KeyObject } from 'node:crypto';
import { AppError } from './errors.ts';
import { algOfKey, isSignedWith, type SigningAlgorithm } from './keys.ts';
import { contentDigest, type HeaderFields, isContentDigest, signatureBase } from './signature-base.ts';
import {
  type BareItem,
  type Dictionary,
  parseDictionary,
  serializeDictionary,
  serializeInnerList,
} from './structured-fields.ts';

export {
  contentDigest,
  type HeaderFields,
  isContentDigest,
  type SignableMessage,
  signatureBase,
} from './signature-base.ts';

/** What every signature covers. A request without a body leaves the content fields out. */
export const SIGNED_COMPONENTS = [
  '@method',
  '@authority',
  '@path',
  '@query',
  'content-type',
  'content-digest',
] as const;
/** The newest number that the device has written in its journal: what it says here it has signed, and nobody on the way can lower it. */
export const JOURNAL_SEQ_HEADER = 'oncall-journal-seq';
/** Covered as well, whenever the request has them. */
const COVERED_IF_PRESENT = ['idempotency-key', JOURNAL_SEQ_HEADER];
const PARAMETERS = ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'];

/** What a signature is for: a request of a registered device, one of a device that registers, or the report of a host. */
export const REQUEST_TAG = 'oncall';
export const ENROLL_TAG = 'oncall-enroll';
export const HOST_TAG = 'oncall-host';

export const DEFAULT_LIFETIME_SECONDS = 30;
export const MAX_LIFETIME_SECONDS = 60;
/** How far ahead of ours the signer's clock may be. */
export const FUTURE_TOLERANCE_SECONDS = 5;

const LABEL = 'sig1';
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
const TAG = /^[\x21-\x7e]{1,64}$/;

export type SignatureErrorReason =
  | 'missing'
  | 'malformed'
  | 'components'
  | 'parameters'
  | 'algorithm'
  | 'tag'
  | 'window'
  | 'future'
  | 'expired'
  | 'digest'
  | 'signature';

/** One message for every refusal; `reason` is for the broker's log, never for the reply. */
export class SignatureError extends AppError {
  readonly reason: SignatureErrorReason;

  constructor(reason: SignatureErrorReason, cause?: unknown) {
    super('unauthenticated', 'the request is not properly signed', { cause });
    this.name = 'SignatureError';
    this.reason = reason;
  }
}

export interface ParsedSignature {
  keyId: string;
  alg: SigningAlgorithm;
  createdSeconds: number;
  expiresSeconds: number;
  nonce: string;
  tag: string;
  components: readonly string[];
  signature: Uint8Array;
  /** The inner list as received: the last line of the signature base. */
  params: string;
}

export interface SignRequestOptions {
  method: string;
  url: URL;
  /** By lower-case name. With a body, content-type must be among them. */
  headers: HeaderFields;
  body: Uint8Array | undefined;
  /** The thumbprint of the signing key's text form. */
  keyId: string;
  alg: SigningAlgorithm;
  createdSeconds: number;
  /** When the signature ends; 30 s after `createdSeconds` unless told. */
  expiresSeconds?: number;
  /** 16 to 64 characters of base64url, never used before. */
  nonce: string;
  tag: string;
  /** Signs the base: 64 bytes back, for P-256 as IEEE P1363 (r and s, 32 bytes each). */
  sign: (base: Uint8Array) => Promise<Uint8Array> | Uint8Array;
}

/**
 * The header fields that make a request a signed one: `signature-input`, `signature` and, with a body, `content-digest`.
 * Throws AppError `invalid_request` where the request cannot be signed (a body without content-type, a bad parameter).
 */
export async function signRequest(request: SignRequestOptions): Promise<Record<string, string>> {
  const { url, createdSeconds, expiresSeconds = createdSeconds + DEFAULT_LIFETIME_SECONDS } = request;
  const digest: Record<string, string> = hasBody(request.body)
    ? { 'content-digest': contentDigest(request.body) }
    : {};
  const headers = { ...request.headers, ...digest };
  const components = requiredComponents(headers, request.body);
  const params = new Map<string, BareItem>([
    ['created', createdSeconds],
    ['expires', expiresSeconds],
    ['nonce', request.nonce],
    ['keyid', request.keyId],
    ['alg', request.alg],
    ['tag', request.tag],
  ]);
  if (readParameters(params) === undefined) throw new AppError('invalid_request', 'bad signature parameters');
  const list = { items: components, params };
  const message = {
    method: request.method,
    authority: url.host,
    path: url.pathname,
    query: url.search.slice(1),
    headers,
  };
  const signature = await request.sign(signatureBase(message, components, serializeInnerList(list)));
  return {
    ...digest,
    'signature-input': serializeDictionary(new Map([[LABEL, list]])),
    signature: serializeDictionary(new Map([[LABEL, signature]])),
  };
}

/**
 * Reads the signature fields; proves nothing yet. Throws SignatureError `missing`, `malformed`, `parameters` (one absent,
 * unknown or badly formed) or `algorithm`.
 */
export function parseSignature(headers: HeaderFields): ParsedSignature {
  const input = parseField(headers, 'signature-input').get(LABEL);
  const signature = parseField(headers, 'signature').get(LABEL);
  if (input === undefined || input instanceof Uint8Array || !(signature instanceof Uint8Array)) {
    throw new SignatureError('malformed');
  }
  const parameters = readParameters(input.params);
  if (parameters === undefined) throw new SignatureError('parameters');
  const { alg } = parameters;
  if (alg !== 'ed25519' && alg !== 'ecdsa-p256-sha256') throw new SignatureError('algorithm');
  // The parser takes one spelling per value, so serialising gives back the very text that was signed.
  return { ...parameters, alg, components: input.items, signature, params: serializeInnerList(input) };
}

export interface VerifySignatureOptions {
  method: string;
  /** `URL.host` of the broker's own publicUrl. Never the Host header, which the sender and every proxy choose. */
  authority: string;
  /** The request target before and after its first `?`, as received: never decoded, never normalised. */
  path: string;
  query: string;
  headers: HeaderFields;
  /** `withheld`: there was one, and only its digest is known. Then the signature proves who signed, not what. */
  body: Uint8Array | 'withheld' | undefined;
  parsed: ParsedSignature;
  publicKey: KeyObject;
  /** What this endpoint's signatures are for; one made for another purpose is refused. */
  tag: string;
  nowMs: number;
}

/** Throws SignatureError unless the signature covers this request, is in its time, and was made by this key. */
export function verifySignature(request: VerifySignatureOptions): void {
  const { parsed, publicKey, headers, body } = request;
  const lifetimeSeconds = parsed.expiresSeconds - parsed.createdSeconds;

  refuseUnless(parsed.tag === request.tag, 'tag');
  refuseUnless(isSameSet(parsed.components, requiredComponents(headers, body)), 'components');
  refuseUnless(lifetimeSeconds >= 1 && lifetimeSeconds <= MAX_LIFETIME_SECONDS, 'window');
  refuseUnless((parsed.createdSeconds - FUTURE_TOLERANCE_SECONDS) * 1000 <= request.nowMs, 'future');
  refuseUnless(parsed.expiresSeconds * 1000 > request.nowMs, 'expired');
  refuseUnless(parsed.alg === algOfKey(publicKey), 'algorithm');
  refuseUnless(isSignedWith(publicKey, baseOf(request), parsed.signature), 'signature');
  refuseUnless(
    body === 'withheld' || !hasBody(body) || isContentDigest(headers['content-digest'], body),
    'digest',
  );
}

function refuseUnless(holds: boolean, reason: SignatureErrorReason): void {
  if (!holds) throw new SignatureError(reason);
}

function requiredComponents(headers: HeaderFields, body: Uint8Array | 'withheld' | undefined): string[] {
  const components: string[] = SIGNED_COMPONENTS.filter((name) => name.startsWith('@') || hasBody(body));
  return [...components, ...COVERED_IF_PRESENT.filter((name) => headers[name] !== undefined)];
}

function hasBody<Body extends Uint8Array | 'withheld'>(body: Body | undefined): body is Body {
  return body !== undefined && body.length > 0;
}

/** One named twice leaves another out, since the lengths are the same. */
function isSameSet(given: readonly string[], required: readonly string[]): boolean {
  return given.length === required.length && required.every((name) => given.includes(name));
}

/** Undefined unless exactly our parameters are there, each of its form. The algorithm's name is not judged here. */
function readParameters(params: ReadonlyMap<string, BareItem>) {
  if (params.size !== PARAMETERS.length) return undefined;
  const [created, expires, nonce, keyid, alg, tag] = PARAMETERS.map((name) => params.get(name));
  if (typeof created !== 'number' || created < 0 || typeof expires !== 'number' || expires < 0)
    return undefined;
  if (typeof nonce !== 'string' || !NONCE.test(nonce)) return undefined;
  if (typeof keyid !== 'string' || !KEY_ID.test(keyid)) return undefined;
  if (typeof alg !== 'string' || typeof tag !== 'string' || !TAG.test(tag)) return undefined;
  return { keyId: keyid, alg, createdSeconds: created, expiresSeconds: expires, nonce, tag };
}

function parseField(headers: HeaderFields, name: string): Dictionary {
  const field = headers[name];
  if (field === undefined) throw new SignatureError('missing');
  if (typeof field !== 'string') throw new SignatureError('malformed');
  try {
    const dictionary = parseDictionary(field);
    if (dictionary.size === 1) return dictionary;
  } catch (cause) {
    throw new SignatureError('malformed', cause);
  }
  throw new SignatureError('malformed');
}

/** A covered component that the request lacks, or that could forge a line of the base, is the sender's fault. */
function baseOf(request: VerifySignatureOptions): Uint8Array {
  try {
    return signatureBase(request, request.parsed.components, request.parsed.params);
  } catch (cause) {
    throw new SignatureError('components', cause);
  }
}
