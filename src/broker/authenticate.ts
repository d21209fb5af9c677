/**
 * Who sent this? signature → digest, then, in the first transaction of what is asked: device → user → replay. All that fails
 * looks the same from outside; the log knows the reason. The authority that is verified is the broker's own, whatever Host a
 * proxy or an attacker sends.
 */
import type { KeyObject } from 'node:crypto';
import { embedEnrolment, embedRequest } from '../audit/embedded.ts';
import type { Person } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { keyThumbprint, parsePublicKey } from '../protocol/keys.ts';
import {
  ENROLL_TAG,
  type HeaderFields,
  HOST_TAG,
  type ParsedSignature,
  parseSignature,
  REQUEST_TAG,
  SignatureError,
  verifySignature,
} from '../protocol/signature.ts';
import type { DeviceRow, HostRow } from '../store/rows.ts';
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

/** The signature is good. Whether its device and person still are anything is for `admit` to say. */
export interface Authenticated {
  deviceId: string;
  /** By the device's clock, as it was corrected by ours. */
  signedAtMs: number;
  /**
   * Must come first in the first transaction of what the request does, and nothing be said about the request before. Reads
   * the device afresh, so that a revocation at any broker binds at once; throws for a replay.
   */
  admit(tx: Tx): Promise<Caller>;
  /**
   * In its place, for the device's journal and nothing else: a device that was revoked, and one whose person has left, still has to
   * account for what it opened. Says whose device it is; there is no person in it whom anything could be allowed.
   */
  identify(tx: Tx): Promise<DeviceRow>;
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

/** What never changes of a registered device. */
interface Signer {
  deviceId: string;
  signingKey: string;
  key: KeyObject;
}

/** Reading a device and its key costs more than checking a signature, and devices come again. */
const MOST_SIGNERS = 1000;

export function createAuthenticator(deps: {
  store: Store;
  rules: CurrentRules;
  authority: string;
}): (request: IncomingRequest) => Promise<Authenticated> {
  const { store, rules, authority } = deps;
  const signers = new Map<string, Signer>();

  /** By its key's thumbprint. */
  async function signerOf(keyId: string): Promise<Signer> {
    const known = signers.get(keyId);
    if (known) return known;
    const device = await store.read((tx) => tx.deviceByKeyId(keyId));
    if (!device) throw new AuthenticationError('unknown device');
    const { id: deviceId, signingKey } = device;
    const signer = { deviceId, signingKey, key: explain(() => parsePublicKey(signingKey)) };
    if (signers.size >= MOST_SIGNERS) signers.clear();
    signers.set(keyId, signer);
    return signer;
  }

  return async (request) => {
    const nowMs = await store.now();
    const parsed = explain(() => parseSignature(request.headers));
    const { deviceId, signingKey, key } = await signerOf(parsed.keyId);
    verify(request, parsed, { publicKey: key, authority, tag: REQUEST_TAG, nowMs });
    const received = { ...request, authority, publicKey: signingKey };
    const embedded = embedRequest(received, parsed.components);
    const deviceIn = async (tx: Tx) => {
      const device = await tx.deviceByKeyId(parsed.keyId);
      if (!device) throw new AuthenticationError('unknown device');
      return device;
    };
    return {
      deviceId,
      signedAtMs: parsed.createdSeconds * 1000,
      async identify(tx) {
        const device = await deviceIn(tx);
        await claimNonce(tx, parsed);
        return device;
      },
      async admit(tx) {
        const device = await deviceIn(tx);
        if (device.state !== 'active') throw new AuthenticationError('revoked device');
        const person = personOf(rules, device);
        await claimNonce(tx, parsed);
        return { person, device, embedded };
      },
    };
  };
}

/** A device that registers proves that it holds the key it brings: the request is signed by that very key. */
export async function authenticateEnrollment(
  request: IncomingRequest,
  signingKey: string,
  deps: { authority: string; nowMs: number },
): Promise<{ embedded: EmbeddedRequest; claim(tx: Tx): Promise<void> }> {
  const parsed = explain(() => parseSignature(request.headers));
  verify(request, parsed, {
    publicKey: explain(() => parsePublicKey(signingKey)),
    authority: deps.authority,
    tag: ENROLL_TAG,
    nowMs: deps.nowMs,
  });
  const received = { ...request, authority: deps.authority, publicKey: signingKey };
  const embedded = embedEnrolment(received, parsed.components);
  return { embedded, claim: (tx) => claimNonce(tx, parsed) };
}

export interface AuthenticatedHost {
  /** As {@link Authenticated.admit}; gives the host's rows, one for each resource that it serves. */
  admit(tx: Tx): Promise<readonly HostRow[]>;
}

/** A host signs with the key that it made, which an operator told the broker of. */
export function createHostAuthenticator(deps: {
  store: Store;
  authority: string;
}): (request: IncomingRequest) => Promise<AuthenticatedHost> {
  const { store, authority } = deps;
  return async (request) => {
    const nowMs = await store.now();
    const parsed = explain(() => parseSignature(request.headers));
    const rowsOf = async (tx: Pick<Tx, 'hosts'>) => {
      const rows = (await tx.hosts()).filter(
        ({ state, publicKey }) => state === 'active' && keyThumbprint(publicKey) === parsed.keyId,
      );
      if (rows.length === 0) throw new AuthenticationError('unknown host');
      return rows;
    };
    const [row] = await store.read(rowsOf);
    const publicKey = explain(() => parsePublicKey(row?.publicKey ?? ''));
    verify(request, parsed, { publicKey, authority, tag: HOST_TAG, nowMs });
    return {
      async admit(tx) {
        const rows = await rowsOf(tx);
        await claimNonce(tx, parsed);
        return rows;
      },
    };
  };
}

function verify(
  request: IncomingRequest,
  parsed: ParsedSignature,
  expected: { publicKey: KeyObject; authority: string; tag: string; nowMs: number },
): void {
  explain(() =>
    verifySignature({
      ...request,
      parsed,
      authority: expected.authority,
      publicKey: expected.publicKey,
      tag: expected.tag,
      nowMs: expected.nowMs,
    }),
  );
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
