import { canonicalJson, type Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { hasExactly, isInstant, isOptional, isRecord, isText, isTextRecord, isWhole } from './json-shape.ts';

/**
 * One entry of the audit log. Its bytes are the canonical JSON (RFC 8785) of exactly these members; their leaf hash is what
 * the tree, the receipts and the export carry. No secret ever goes into an entry.
 *
 * `device.enrolled` is read by the offline verifier: its actor is the new device's person (`{kind: 'user', id, device}`),
 * `data.publicKey` the device's signing key as text, and the embedded request, signed by that key, proves that the device
 * held it. Every later embedded request must be signed by a key enrolled so.
 */
export type AuditEntry = {
  readonly v: 1;
  /** Position in the log, from 0. */
  readonly index: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string;
  /** Dotted lower case: `grant.created`, `break-glass.opened`. New names may come at any time. */
  readonly event: string;
  readonly actor: AuditActor;
  /** The ids and names that the entry is about, to search by: `{grant, user, resource, …}`. */
  readonly subject?: Readonly<Record<string, string>> | undefined;
  readonly data: Json;
  /** The signed request or approval that the entry rests on. */
  readonly embedded?: EmbeddedRequest | undefined;
};

export type AuditActor = {
  /** `operator` is someone with file access on the broker's host. */
  readonly kind: 'user' | 'device' | 'broker' | 'operator';
  /** For `device` the device's id, otherwise a name. */
  readonly id: string;
  /** The device through which a user acted. */
  readonly device?: string | undefined;
};

/** A signed HTTP request, whole enough to check its signature (RFC 9421) and body digest (RFC 9530) again. */
export type EmbeddedRequest = {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** Without the question mark; empty where there is none. */
  readonly query: string;
  /** Those that the signature covers or consists of, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** base64url. Null where there was none, and in an enrolment, whose body holds the invitation's code. */
  readonly body: string | null;
  /** The device's signing key, as text (`ed25519:…`, `p256:…`). */
  readonly publicKey: string;
};

/** Leaves room for what an export puts around an entry, so that whatever was logged can be exported. */
export const MAX_ENTRY_BYTES = 256 * 1024 - 128;

const EVENT = /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)+$/;
const ACTORS: readonly unknown[] = ['user', 'device', 'broker', 'operator'];

/**
 * The entry's canonical bytes. Throws `internal` for an entry of the wrong shape (a mistake in the product) and `too_large`
 * above {@link MAX_ENTRY_BYTES}.
 */
export function encodeEntry(entry: AuditEntry): Uint8Array {
  if (!isEntry(entry)) throw new AppError('internal', 'the audit entry does not have the shape of an entry');
  const bytes = Buffer.from(canonicalJson(entry));
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw new AppError('too_large', `the audit entry is longer than ${MAX_ENTRY_BYTES} bytes`);
  }
  return bytes;
}

/** An entry out of parsed JSON, strictly: nothing missing, nothing unknown. Throws `audit_invalid`. */
export function parseEntry(value: unknown): AuditEntry {
  if (!isEntry(value)) throw new AppError('audit_invalid', 'not an audit entry');
  return value;
}

function isEntry(value: unknown): value is AuditEntry {
  return (
    isRecord(value) &&
    hasExactly(value, ['v', 'index', 'at', 'event', 'actor', 'data'], ['subject', 'embedded']) &&
    value.v === 1 &&
    isWhole(value.index) &&
    isInstant(value.at) &&
    isText(value.event) &&
    EVENT.test(value.event) &&
    isActor(value.actor) &&
    value.data !== undefined &&
    isOptional(value.subject, isTextRecord) &&
    isOptional(value.embedded, isEmbedded)
  );
}

function isActor(value: unknown): value is AuditActor {
  return (
    isRecord(value) &&
    hasExactly(value, ['kind', 'id'], ['device']) &&
    ACTORS.includes(value.kind) &&
    isText(value.id) &&
    isOptional(value.device, isText)
  );
}

function isEmbedded(value: unknown): value is EmbeddedRequest {
  return (
    isRecord(value) &&
    hasExactly(value, ['method', 'authority', 'path', 'query', 'headers', 'body', 'publicKey']) &&
    isText(value.method) &&
    isText(value.authority) &&
    isText(value.path) &&
    typeof value.query === 'string' &&
    isTextRecord(value.headers) &&
    (value.body === null || typeof value.body === 'string') &&
    isText(value.publicKey)
  );
}
