/**
 * Who sent this? signature → digest → device → user → replay. All that fails looks the same from outside; the log knows
 * the reason. The authority that is verified is the broker's own, whatever Host a proxy or an attacker sends.
 */
import type { KeyObject } from 'node:crypto';
import { embedEnrolment, embedRequest } from '../audit/embedded.ts';
import type { Person } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { parsePublicKey } from '../protocol/keys.ts';
import {
  ENROLL_TAG,
  type HeaderFields,
  type ParsedSignature,
  parseSignature,
  REQUEST_TAG,
  SignatureError,
  verifySignature,
} from '../protocol/signature.ts';
import type { DeviceRow } from '../store/rows.ts';
import type { Store, Tx } from '../store/store.ts';
import type { EmbeddedRequest } from './audit-log.ts';
import type { Caller } from './caller.ts';
import type { CurrentRules } from './rules.ts';

export interface IncomingRequest {
  method: string;
  /** Request target as received: path and query apart, nothing decoded. */
  path: string;
  query: string;
  headers: HeaderFields;
  body: Uint8Array | undefined;
}

export interface Authenticated {
  caller: Caller;
  /** Must be called in the first transaction of what the request does; throws for a replay. */
  claim(tx: Tx): Promise<void>;
}

/** The same words for every failure; `reason` goes to the log. */
export class AuthenticationError extends AppError {
  readonly reason: string;

  constructor(reason: string, cause?: unknown) {
    super('unauthenticated', 'the broker does not recognise this request', {
      hint: 'oncall whoami; if the device was revoked, enroll again',
      cause,
    });
    this.reason = reason;
  }
}

export async function authenticate(
  request: IncomingRequest,
  deps: { store: Store; rules: CurrentRules; authority: string },
): Promise<Authenticated> {
  const nowMs = await deps.store.now();
  const parsed = explain(() => parseSignature(request.headers));
  const device = await deps.store.read((tx) => tx.deviceByKeyId(parsed.keyId));
  if (!device) throw new AuthenticationError('unknown device');
  verify(request, parsed, {
    publicKey: device.signingKey,
    authority: deps.authority,
    tag: REQUEST_TAG,
    nowMs,
  });
  if (device.state !== 'active') throw new AuthenticationError('revoked device');
  const person = personOf(deps.rules, device);
  const received = { ...request, authority: deps.authority, publicKey: device.signingKey };
  const embedded = embedRequest(received, parsed.components);
  return { caller: { person, device, embedded }, claim: (tx) => claimNonce(tx, parsed) };
}

/** A device that registers proves that it holds the key it brings: the request is signed by that very key. */
export async function authenticateEnrollment(
  request: IncomingRequest,
  signingKey: string,
  deps: { authority: string; nowMs: number },
): Promise<{ embedded: EmbeddedRequest; claim(tx: Tx): Promise<void> }> {
  const parsed = explain(() => parseSignature(request.headers));
  verify(request, parsed, {
    publicKey: signingKey,
    authority: deps.authority,
    tag: ENROLL_TAG,
    nowMs: deps.nowMs,
  });
  const received = { ...request, authority: deps.authority, publicKey: signingKey };
  const embedded = embedEnrolment(received, parsed.components);
  return { embedded, claim: (tx) => claimNonce(tx, parsed) };
}

function verify(
  request: IncomingRequest,
  parsed: ParsedSignature,
  expected: { publicKey: string; authority: string; tag: string; nowMs: number },
): void {
  explain(() =>
    verifySignature({
      ...request,
      parsed,
      authority: expected.authority,
      publicKey: keyOf(expected.publicKey),
      tag: expected.tag,
      nowMs: expected.nowMs,
    }),
  );
}

/** Reading a key costs as much as a third of checking a signature, and devices come again. */
const keys = new Map<string, KeyObject>();
const MOST_KEYS = 1000;

function keyOf(text: string): KeyObject {
  const known = keys.get(text);
  if (known) return known;
  const key = parsePublicKey(text);
  if (keys.size >= MOST_KEYS) keys.clear();
  keys.set(text, key);
  return key;
}

/** The nonce is kept in the store until the signature's own end: for every broker, and over a restart. */
async function claimNonce(tx: Tx, { keyId, nonce, expiresSeconds }: ParsedSignature): Promise<void> {
  const fresh = await tx.claimNonce(keyId, nonce, expiresSeconds * 1000, await tx.now());
  if (!fresh) throw new AuthenticationError('replayed');
}

function personOf(rules: CurrentRules, device: DeviceRow): Person {
  const person = rules().catalogue.people.get(device.user);
  if (!person) throw new AuthenticationError('user has left the catalogue');
  return person;
}

function explain<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new AuthenticationError(error instanceof SignatureError ? error.reason : 'malformed', error);
  }
}
