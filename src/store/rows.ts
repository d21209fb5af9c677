/**
 * What the store holds, as plain values. Instants are milliseconds since 1970. `json` columns hold values that the
 * broker's modules define; the store neither reads nor changes them.
 */
import type { Json } from '../protocol/canonical-json.ts';

export interface DeviceRow {
  id: string;
  user: string;
  name: string;
  /** RFC 9421 keyid: the thumbprint of `signingKey`. Unique. */
  keyId: string;
  signingKey: string;
  sealingKey: string;
  keystore: 'keychain' | 'ssh-agent' | 'file';
  state: 'active' | 'revoked';
  createdAt: number;
  revokedAt: number | null;
  lastSeenAt: number | null;
}

export interface InviteRow {
  /** SHA-256 of the secret, hex: the secret itself is nowhere. */
  codeHash: string;
  user: string;
  createdBy: string;
  createdAt: number;
  expiresAt: number;
  usedAt: number | null;
  deviceId: string | null;
}

export interface IncidentRow {
  id: string;
  source: string;
  state: 'open' | 'resolved';
  priority: string;
  service: string;
  title: string;
  /** Person id, or empty for an incident that no person declared. */
  declaredBy: string;
  startedAt: number;
  resolvedAt: number | null;
  resolvedBy: string | null;
}

export interface RequestRow {
  id: string;
  user: string;
  deviceId: string;
  state: 'pending' | 'granted' | 'denied' | 'cancelled' | 'expired';
  /** `[{ resource, role }]`. */
  targets: Json;
  incident: string | null;
  reason: string | null;
  durationSeconds: number;
  /** Hex SHA-256 of what was asked; an approval signs it. */
  digest: string;
  /** Per target: effect, rules, chains; with facts and the digests of policy and catalogue. */
  decision: Json;
  /** Chains that must all be satisfied; empty unless it was asked. */
  chains: Json;
  createdAt: number;
  expiresAt: number;
  decidedAt: number | null;
  /** Who or what ended it, in words: the approver, a rule, the timer. */
  outcome: string | null;
}

export interface ApprovalRow {
  requestId: string;
  approver: string;
  verdict: 'approve' | 'deny';
  durationSeconds: number | null;
  reason: string | null;
  at: number;
}

export interface GrantRow {
  id: string;
  requestId: string;
  user: string;
  resource: string;
  role: string;
  state: 'active' | 'ended';
  via: 'policy' | 'approval' | 'shift' | 'alert' | 'break-glass';
  startsAt: number;
  endsAt: number;
  hardEndsAt: number;
  extensions: number;
  /** The end of the shift that the decision rested on: it holds for renewals. */
  shiftEndsAt: number | null;
  endCause: string | null;
  endedAt: number | null;
}

export type CredentialState = 'issuing' | 'live' | 'ending' | 'ended';

export interface CredentialRow {
  id: string;
  grantId: string;
  deviceId: string;
  kind: string;
  handle: string;
  state: CredentialState;
  /** The resource as the catalogue had it at issue: a login can be ended after its resource has left the catalogue. */
  target: Json;
  /** Issuer's PublicPart; null until live. */
  publicPart: Json;
  createdAt: number;
  /** While `issuing`: until when the issuing call may still act at the target. */
  leaseUntil: number;
  expiresAt: number;
  endCause: string | null;
  /** Set when somebody asked for the end. */
  endingAt: number | null;
  endedAt: number | null;
  /** Issuer's Proof and EndReport. */
  proof: Json;
}

export interface JobRow {
  id: string;
  kind: string;
  subject: string;
  dueAt: number;
  leaseUntil: number;
  attempts: number;
  lastError: string | null;
}

export interface RevocationRow {
  list: string;
  serial: string;
  expiresAt: number;
  /** The list's number when this entry came in. */
  number: number;
}

export interface AuditRow {
  index: number;
  at: number;
  event: string;
  /** Canonical JSON. */
  entry: string;
  /** RFC 6962 leaf hash, base64url. */
  leafHash: string;
}

export interface IdempotencyRow {
  deviceId: string;
  key: string;
  /** SHA-256 of method, path and body: the same key with another request is a conflict. */
  fingerprint: string;
  status: number;
  /** The reply's body, as sent. */
  reply: string;
  createdAt: number;
}
