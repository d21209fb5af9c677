/** Reading what came back: from the broker, or from something on the way that is not the broker. */
import { verify } from 'node:crypto';
import { AppError, isErrorCode } from '../protocol/errors.ts';
import { identityStatement } from '../protocol/identity.ts';
import { parsePublicKey } from '../protocol/keys.ts';
import type { ErrorReply, Identity, SignedTime } from '../protocol/messages.ts';
import { refusalStatement } from '../protocol/refusal.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { parseInstant, timeStatement } from '../protocol/time.ts';
import { versionHint } from './other-version.ts';
import type { TransportReply } from './transport.ts';

/** Whether the broker's identity key signed this time for this nonce, which is ours and never what the answer says it is for. */
export function isSignedTime(time: SignedTime, nonce: string, identityKey: string): boolean {
  if (Number.isNaN(parseInstant(time.now))) return false;
  return verify(
    null,
    timeStatement(nonce, time.now),
    parsePublicKey(identityKey),
    Buffer.from(time.signature, 'base64url'),
  );
}

/** Whether the identity key that an identity names signed all that it says. */
export function isSignedIdentity(identity: Identity): boolean {
  return verify(
    null,
    identityStatement(identity),
    parsePublicKey(identity.identityKey),
    Buffer.from(identity.signature, 'base64url'),
  );
}

/** What a broker says to a request, or at a place, that it does not know yet or any more. */
const MAY_BE_VERSIONS: ReadonlySet<string> = new Set(['not_found', 'invalid_request']);

/** The request that a reply answers, and whose word about it counts. */
export interface Asked {
  readonly nonce: string;
  readonly keyId: string;
  readonly identityKey: string;
}

/** Whether the broker's identity key signed this refusal of this request. */
function isSignedRefusal({ error, time, signature }: ErrorReply, asked: Asked): boolean {
  if (signature === undefined) return false;
  const { code, message, hint } = error;
  const { nonce, keyId, identityKey } = asked;
  const statement = refusalStatement({ code, message, hint, nonce, keyId, now: time.now });
  return verify(null, statement, parsePublicKey(identityKey), Buffer.from(signature, 'base64url'));
}

/** The body of a reply of 200, else throws what the broker reported: as signed only where it is known whose signature counts. */
export function readReply(reply: TransportReply, asked?: Asked): unknown {
  if (reply.status >= 200 && reply.status < 300) return parseBody(reply);
  const reported = readError(reply) ?? notABroker(reply);
  const { error, correlationId } = reported;
  const code = isErrorCode(error.code) ? error.code : 'internal';
  // A code that we don't know is one of a newer broker.
  const mayBeVersions = MAY_BE_VERSIONS.has(error.code) || code !== error.code;
  throw new AppError(code, error.message, {
    hint: error.hint ?? (mayBeVersions ? versionHint(reply.version) : undefined),
    details: error.details,
    correlationId,
    isSigned: asked !== undefined && isSignedRefusal(reported, asked),
  });
}

/** What a broker reports; undefined for what is no report of a broker. */
export function readError(reply: TransportReply): ErrorReply | undefined {
  let value: unknown;
  try {
    value = parseStrictJson(reply.body);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || !isRecord(value.error) || !isRecord(value.time)) return undefined;
  const { code, message, hint, details } = value.error;
  const { now, nonce, signature } = value.time;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof value.correlationId !== 'string')
    return undefined;
  if (typeof now !== 'string' || typeof nonce !== 'string' || typeof signature !== 'string') return undefined;
  return {
    error: {
      code,
      message,
      ...(typeof hint === 'string' ? { hint } : {}),
      ...(isRecord(details) ? { details } : {}),
    },
    correlationId: value.correlationId,
    time: { now, nonce, signature },
    ...(typeof value.signature === 'string' ? { signature: value.signature } : {}),
  };
}

function parseBody(reply: TransportReply): unknown {
  try {
    return parseStrictJson(reply.body);
  } catch {
    return notABroker(reply);
  }
}

function notABroker({ status }: TransportReply): never {
  throw new AppError('broker_unreachable', `something that is not the broker answered (HTTP ${status})`, {
    hint: 'a load balancer or a proxy on the way: try again, and tell who runs the broker',
  });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
