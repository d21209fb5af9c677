/** The log as it is handed out. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, nullable, oneOf, strict } from '../schema.ts';

export const CheckpointReply = strict({ checkpoint: Type.String(), consistency: Type.Array(Type.String()) });
export type CheckpointReply = Static<typeof CheckpointReply>;

export const AuditPage = strict({
  /** `index`, canonical entry text and leaf hash (base64url), as the log holds them. */
  entries: Type.Array(strict({ index: Type.Integer(), entry: Type.String(), leafHash: Type.String() })),
  size: Type.Integer(),
});
export type AuditPage = Static<typeof AuditPage>;

/** One login of a grant. Times are the log's; null for what has not happened. */
const TraceLogin = strict({
  credentialId: Type.String(),
  kind: Type.String(),
  /** The name at the target. */
  handle: Type.String(),
  deviceId: Type.String(),
  /** When it was written down: it may have existed from then on. */
  issuedAt: Instant,
  expiresAt: nullable(Instant),
  endingAt: nullable(Instant),
  /** When its end was proven. */
  endedAt: nullable(Instant),
  endCause: nullable(Type.String()),
  /** By the target's own record: where it was first used, on each host that reports. */
  seen: Type.Array(
    strict({ host: Type.String(), account: Type.String(), address: Type.String(), at: Instant }),
  ),
});

/** Whom a name at a target leads back to. */
export const TraceView = strict({
  /** How it was recognised: by the login's very name, or by an id that stands in it. */
  by: oneOf('name', 'id'),
  /** Set where the name says something else than the log: then it is not what this product wrote. */
  contradiction: nullable(Type.String()),
  user: Type.String(),
  target: strict({ resource: Type.String(), role: Type.String() }),
  grantId: Type.String(),
  via: Type.String(),
  rule: nullable(Type.String()),
  requestId: Type.String(),
  reason: nullable(Type.String()),
  incidents: Type.Array(Type.String()),
  approvals: Type.Array(strict({ approver: Type.String(), at: Instant })),
  openedAt: nullable(Instant),
  endedAt: nullable(Instant),
  endCause: nullable(Type.String()),
  /** Newest first; not all of them where there are many. */
  logins: Type.Array(TraceLogin),
});
export type TraceView = Static<typeof TraceView>;

export const AuditWho = strict({ name: Type.String(), at: nullable(Instant), traces: Type.Array(TraceView) });
export type AuditWho = Static<typeof AuditWho>;
