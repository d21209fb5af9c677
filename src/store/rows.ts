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
  /** `manual`, or the source's name. */
  source: string;
  /** The source's own id; that of a manual incident is `id`. Unique within its source. */
  externalId: string;
  state: 'open' | 'resolved';
  priority: string;
  /** Empty for an incident whose service nobody mapped. */
  service: string;
  title: string;
  /** Person id, or empty for an incident that no known person declared. */
  declaredBy: string;
  /** Person ids. */
  assignees: Json;
  url: string;
  /** `{ name: value }`. */
  labels: Json;
  startedAt: number;
  /** When it was opened last, by our clock: one that is opened again offers access anew. */
  openedAt: number;
  /** The source's time of the newest word about it: an older word changes nothing. */
  changedAt: number;
  /** When the source's API last vouched for it; null where only a webhook spoke. */
  confirmedAt: number | null;
  resolvedAt: number | null;
  resolvedBy: string | null;
  /** Person who opened it again after it was resolved; null where nobody did, or a machine. */
  reopenedBy: string | null;
}

export interface RequestRow {
  id: string;
  user: string;
  deviceId: string;
  state: 'pending' | 'granted' | 'denied' | 'cancelled' | 'expired';
  /** `[{ resource, role }]`. */
  targets: Json;
  /** What it was asked as, where that was a bundle's name. */
  bundle: string | null;
  /** Automation rule, person and event that opened it by itself: unique. Null for what a person asked. */
  origin: string | null;
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
  /** `ready`: opened by itself and not used yet; its window begins at the first credential, and `endsAt` is until when. */
  state: 'ready' | 'active' | 'ended';
  via: 'policy' | 'approval' | 'override' | 'shift' | 'alert' | 'break-glass';
  /** The automation rule that opened it. */
  rule: string | null;
  startsAt: number;
  endsAt: number;
  hardEndsAt: number;
  extensions: number;
  /** The shift that the decision rested on, if it rested on one: it holds to its recorded end, and binds the grant to it. */
  shiftSchedule: string | null;
  shiftLevel: number | null;
  shiftEndsAt: number | null;
  /** When it ends because what it was for is over (incident, shift); null while that goes on. `graceCause` says what. */
  graceEndsAt: number | null;
  graceCause: string | null;
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

/** What one feed said, as of a time. A new row whenever it says something else; `fetchedAt` moves while it says the same. */
export interface ShiftSnapshotRow {
  source: string;
  /** The feed's id in its source. */
  feed: string;
  takenAt: number;
  fetchedAt: number;
  /** OutsideShift[]. */
  shifts: Json;
}

/** How reading one subject of a source goes: a feed of shifts (`shifts:ID`), or its incidents (`incidents`). */
export interface PollRow {
  source: string;
  subject: string;
  /** Of the last answer that was taken; null before the first. */
  succeededAt: number | null;
  triedAt: number;
  /** In a row. */
  failures: number;
  lastError: string | null;
  /** Validators for the next conditional request. */
  validators: Json;
  /** Since when the answers are empty where there were shifts: not believed at once. */
  emptySince: number | null;
}

/** A verified webhook delivery: stored first, worked on after. */
export interface DeliveryRow {
  id: string;
  source: string;
  /** Out of the signed bytes; unique within its source. */
  deliveryId: string;
  receivedAt: number;
  /** OutsideIncident[]. */
  incidents: Json;
  doneAt: number | null;
  /** In words: what became of it. */
  outcome: string | null;
}

/** One stage of one chain that a request has reached. */
export interface StageRow {
  requestId: string;
  chain: string;
  /** From 0. */
  stage: number;
  startedAt: number;
  /** When its timer is up; null where it has none. */
  endsAt: number | null;
  /** Person ids that were asked when it began. */
  asked: Json;
  /** Null while it runs; `next`, `auto-override`, `deny` once its timer has done that. */
  outcome: string | null;
}

/** A notice on its way through one channel. */
export interface OutboxRow {
  id: string;
  channel: string;
  /** What it is about: a request, grant or review id. */
  subject: string;
  /** Notice. */
  notice: Json;
  createdAt: number;
  sentAt: number | null;
  /** Given up: trying again is of no use, or was for too long. */
  failedAt: number | null;
  attempts: number;
  lastError: string | null;
}

export interface ReviewRow {
  id: string;
  kind: 'override' | 'break-glass';
  /** Whose access is reviewed: never its owner. */
  user: string;
  requestId: string | null;
  grantId: string | null;
  /** What stays tainted while it is open: a resource that was opened without the broker. */
  resource: string | null;
  /** What it is about where there is neither request nor grant: a use or a journal (broker/review-matter.ts). */
  about: Json;
  /** Person ids that may close it. */
  owners: Json;
  openedAt: number;
  dueAt: number;
  state: 'open' | 'closed';
  outcome: 'justified' | 'drill' | 'misuse' | null;
  note: string | null;
  closedBy: string | null;
  closedAt: number | null;
}

/** Something at the targets that somebody has to look at, for as long as that is so. */
export interface AlarmRow {
  id: string;
  kind: 'unproven' | 'orphan' | 'break-glass' | 'journal' | 'login';
  resource: string;
  /** Whose logins they are; empty where nobody knows. */
  user: string;
  /** Names at the target; not all of them where there are many. */
  handles: Json;
  count: number;
  raisedAt: number;
}

/** Certificates for the time without a broker, of one device for one resource and role. */
export interface PackRow {
  id: string;
  user: string;
  deviceId: string;
  resource: string;
  role: string;
  kind: string;
  epoch: number;
  /** `[{ number, notBefore, notAfter, serial }]`: instants as numbers. */
  slots: Json;
  issuedAt: number;
  startsAt: number;
  endsAt: number;
  /** When the device said that it has it. */
  confirmedAt: number | null;
  state: 'active' | 'revoked';
  revokedAt: number | null;
}

/** A slot that was opened, as the journal tells it. */
export interface PackUseRow {
  packId: string;
  slot: number;
  deviceId: string;
  user: string;
  resource: string;
  role: string;
  reason: string;
  incident: string | null;
  /** 1 for a drill. */
  drill: number;
  /** The journal's entry. */
  seq: number;
  /** By the device's clock. */
  openedAt: number;
  reconciledAt: number;
  reviewId: string | null;
}

/** How far the journal of a device is known here. */
export interface JournalRow {
  deviceId: string;
  seq: number;
  hash: string;
  /** Of all numbers that were ever told: more than `seq` where it was rolled back. */
  highest: number;
  reconciledAt: number;
  /** Since when a person has to look at it; null while all is well. */
  brokenAt: number | null;
  why: string | null;
  /** Whose closing is that person's word. */
  reviewId: string | null;
}

export interface BreakGlassEpochRow {
  resource: string;
  epoch: number;
  rotatedAt: number | null;
  /** Since when something may have been left there by break-glass. */
  taintedAt: number | null;
}

export interface DrillRow {
  id: string;
  resource: string;
  role: string;
  user: string;
  deviceId: string;
  path: 'online' | 'offline';
  /** 1 where it ended in a login. */
  passed: number;
  tookMs: number;
  note: string;
  at: number;
}

/** A host that reports who logs in there. */
export interface HostRow {
  /** `<resource>/<name>`: a machine that serves several resources is a host of each, with one key. */
  id: string;
  resource: string;
  /** `ed25519:…`, made on the host. */
  publicKey: string;
  state: 'active' | 'removed';
  addedBy: string;
  addedAt: number;
  lastSeenAt: number | null;
}

/** A login as its host saw it. */
export interface LoginRow {
  /** Hash of what makes it one login: told twice, it is one row. */
  id: string;
  host: string;
  resource: string;
  kind: 'ssh' | 'postgres';
  account: string;
  /** SSH key id, or what PostgreSQL authenticated; of break-glass always the key id. */
  identity: string;
  serial: string;
  address: string;
  at: number;
  receivedAt: number;
  /** The grant (`gr_…`), or pack and slot (`bg_…/3`), that it rests on; null while none is known. */
  matched: string | null;
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
