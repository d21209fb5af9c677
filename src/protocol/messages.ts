/**
 * Every message of the HTTP interface, once: the broker validates with these schemas and publishes them as OpenAPI, the
 * client takes its types from them (type imports only: TypeBox never loads on the client). Unknown members are refused.
 * Instants are RFC 3339 UTC with milliseconds; durations carry their unit in the name.
 */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Instant, Name, nullable, oneOf, PartName, Seconds, strict, Text } from './schema.ts';
import { TARGET_KINDS } from './target-kinds.ts';
import { KeyMaterial, PublicPart } from './targets/kinds.ts';

export const Target = strict({ resource: PartName, role: PartName });
export type Target = Static<typeof Target>;

// Errors -----------------------------------------------------------------------------------------------------------

/** The broker's clock, signed over the request's nonce: lets a client correct its own without trusting the network. */
export const SignedTime = strict({ now: Instant, nonce: Type.String(), signature: Type.String() });
export type SignedTime = Static<typeof SignedTime>;

export const ErrorReply = strict({
  error: strict({
    code: Type.String(),
    message: Type.String(),
    hint: Type.Optional(Type.String()),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
  correlationId: Type.String(),
  time: SignedTime,
});
export type ErrorReply = Static<typeof ErrorReply>;

// Audit envelope ---------------------------------------------------------------------------------------------------

export const Receipt = strict({
  origin: Type.String(),
  index: Type.Integer(),
  leafHash: Type.String(),
  at: Instant,
  signature: Type.String(),
});
export type Receipt = Static<typeof Receipt>;

/**
 * What comes with each reply to a change: the receipt for its entry, the newest checkpoint, and the proof that this
 * checkpoint extends the one whose size the client named in `oncall-seen-size` (base64 hashes).
 */
export const AuditProof = strict({
  receipt: Receipt,
  checkpoint: Type.String(),
  consistency: Type.Array(Type.String()),
});
export type AuditProof = Static<typeof AuditProof>;

export const envelope = <T extends TSchema>(result: T) => strict({ result, audit: AuditProof });
export interface Envelope<T> {
  result: T;
  audit: AuditProof;
}

// Identity and devices ---------------------------------------------------------------------------------------------

export const Identity = strict({
  /** `ed25519:<base64url>`: what clients pin. */
  identityKey: Type.String(),
  origin: Type.String(),
  logKey: Type.String(),
  publicUrl: Type.String(),
  version: Type.String(),
  time: SignedTime,
  /** By the identity key, over `identityStatement` (protocol/identity.ts). base64url. */
  signature: Type.String(),
});
export type Identity = Static<typeof Identity>;

export const Keystore = oneOf('keychain', 'ssh-agent', 'file');
export type KeystoreKind = Static<typeof Keystore>;

export const Enroll = strict({
  secret: Text(64),
  deviceName: Text(64),
  signingKey: Text(128),
  sealingKey: Text(128),
  keystore: Keystore,
});
export type Enroll = Static<typeof Enroll>;

export const DeviceView = strict({
  id: Type.String(),
  user: Name,
  name: Type.String(),
  keystore: Keystore,
  state: oneOf('active', 'revoked'),
  createdAt: Instant,
  lastSeenAt: nullable(Instant),
  current: Type.Boolean(),
});
export type DeviceView = Static<typeof DeviceView>;

export const ShiftView = strict({
  schedule: Name,
  level: Type.Integer(),
  startsAt: Instant,
  endsAt: nullable(Instant),
});
export type ShiftView = Static<typeof ShiftView>;

export const Me = strict({
  user: Name,
  name: Type.String(),
  groups: Type.Array(Name),
  manager: nullable(Name),
  device: DeviceView,
  shifts: Type.Array(ShiftView),
  brokerTime: Instant,
  /** What the person was told but may not have seen: a device added, for one. Newest first. */
  notices: Type.Array(strict({ at: Instant, text: Type.String() })),
});
export type Me = Static<typeof Me>;

export const Enrolled = strict({ device: DeviceView, user: Name });
export type Enrolled = Static<typeof Enrolled>;

export const InviteReply = strict({ url: Type.String(), expiresAt: Instant });
export type InviteReply = Static<typeof InviteReply>;

export const DeviceList = strict({ devices: Type.Array(DeviceView) });
export type DeviceList = Static<typeof DeviceList>;

// Catalogue --------------------------------------------------------------------------------------------------------

export const ResourceView = strict({
  name: PartName,
  kind: oneOf(...TARGET_KINDS),
  description: nullable(Type.String()),
  service: Name,
  environment: Name,
  sensitivity: oneOf('low', 'medium', 'high'),
  defaultRole: PartName,
  roles: Type.Array(PartName),
  session: strict({ defaultSeconds: Seconds, maxSeconds: Seconds, maxExtensions: Type.Integer() }),
  credentialSeconds: Seconds,
});
export type ResourceView = Static<typeof ResourceView>;

/** A set of targets that one request opens together; typed where a resource is. */
export const BundleView = strict({
  name: PartName,
  description: nullable(Type.String()),
  targets: Type.Array(Target),
});
export type BundleView = Static<typeof BundleView>;

export const ResourceList = strict({ resources: Type.Array(ResourceView), bundles: Type.Array(BundleView) });
export type ResourceList = Static<typeof ResourceList>;

// Incidents --------------------------------------------------------------------------------------------------------

export const Priority = oneOf('P1', 'P2', 'P3', 'P4', 'P5');

/** As people type it: an id, `#4711`, a pasted address. The broker finds out which incident is meant. */
export const IncidentRef = Text(512);

export const DeclareIncident = strict({
  id: Name,
  service: Name,
  priority: Priority,
  title: Type.Optional(Text(200)),
});
export type DeclareIncident = Static<typeof DeclareIncident>;

export const IncidentView = strict({
  id: Name,
  source: Name,
  state: oneOf('open', 'resolved'),
  priority: Type.String(),
  service: Name,
  title: Type.String(),
  declaredBy: Type.String(),
  assignees: Type.Array(Name),
  url: Type.String(),
  startedAt: Instant,
  /** When the source's own API last vouched for it; null where only a webhook spoke. */
  confirmedAt: nullable(Instant),
  resolvedAt: nullable(Instant),
});
export type IncidentView = Static<typeof IncidentView>;

export const IncidentList = strict({ incidents: Type.Array(IncidentView) });
export type IncidentList = Static<typeof IncidentList>;

// Requests and decisions -------------------------------------------------------------------------------------------

/** `resource` may be a bundle's name (then without a role); no target at all means the bundle of the incident. */
export const AskRequest = strict({
  targets: Type.Array(strict({ resource: PartName, role: Type.Optional(PartName) }), { maxItems: 20 }),
  incident: Type.Optional(IncidentRef),
  reason: Type.Optional(Text(500)),
  durationSeconds: Type.Optional(Seconds),
  dryRun: Type.Optional(Type.Boolean()),
});
export type AskRequest = Static<typeof AskRequest>;

export const RuleView = strict({
  id: Type.String(),
  effect: oneOf('permit', 'forbid'),
  because: nullable(Type.String()),
});
export type RuleView = Static<typeof RuleView>;

export const FactView = strict({
  name: Type.String(),
  known: Type.Boolean(),
  value: Type.Unknown(),
  source: Type.String(),
  ageSeconds: Type.Integer(),
  /** Known, and too old to grant by: what rests on it is asked. */
  demoted: Type.Optional(Type.Boolean()),
});
export type FactView = Static<typeof FactView>;

export const TargetDecision = strict({
  target: Target,
  effect: oneOf('grant', 'ask', 'deny'),
  rules: Type.Array(RuleView),
  chains: Type.Array(Name),
  /** Who could say yes, when it is asked: never the requester. */
  approvers: Type.Array(Name),
});
export type TargetDecision = Static<typeof TargetDecision>;

export const GrantView = strict({
  id: Type.String(),
  requestId: Type.String(),
  user: Name,
  target: Target,
  kind: oneOf(...TARGET_KINDS),
  /** `ready`: opened by itself, free until the first credential begins its window; `endsAt` is until when. */
  state: oneOf('ready', 'active', 'ended'),
  via: Type.String(),
  /** The automation rule that opened it. */
  rule: nullable(Name),
  incidents: Type.Array(Name),
  startsAt: Instant,
  endsAt: Instant,
  hardEndsAt: Instant,
  /** When it ends because what it was for is over, and what that was; null while that goes on. */
  graceEndsAt: nullable(Instant),
  graceCause: nullable(Type.String()),
  extensionsLeft: Type.Integer(),
  endCause: nullable(Type.String()),
  endedAt: nullable(Instant),
  /** Already held before this request, and reused. */
  held: Type.Boolean(),
  credentials: Type.Array(
    strict({
      id: Type.String(),
      deviceId: Type.String(),
      state: oneOf('issuing', 'live', 'ending', 'ended'),
      /** The name at the target: role name or certificate serial. */
      handle: Type.String(),
      expiresAt: Instant,
      /** In words: `proven: role absent, no sessions`, `expires-at …`, or empty while live. */
      proof: Type.String(),
    }),
  ),
});
export type GrantView = Static<typeof GrantView>;

/** How a notice fares: taken over by a channel, on its way, given up, or no channel leads to this person. */
export const Reach = oneOf('sent', 'sending', 'failed', 'none');
export type Reach = Static<typeof Reach>;

/** Where one chain of a pending request stands. */
export const WaitingView = strict({
  chain: Name,
  /** From 1. */
  stage: Type.Integer(),
  stages: Type.Integer(),
  asked: Type.Array(strict({ user: Name, reach: Reach })),
  /** Yes answers that are still missing, by party, in words: `1 of group:leads`. */
  missing: Type.Array(Type.String()),
  /** What follows when nobody answers, and when; null where only the request's end does. */
  next: nullable(
    strict({
      at: Instant,
      what: oneOf('next', 'auto-override', 'deny'),
      /** Who is asked then, as the catalogue says it. */
      approvers: Type.Array(Type.String()),
    }),
  ),
});
export type WaitingView = Static<typeof WaitingView>;

export const RequestView = strict({
  /** Empty for a dry run. */
  id: Type.String(),
  user: Name,
  state: oneOf('pending', 'granted', 'denied', 'cancelled', 'expired'),
  /** The bundle it was asked as. */
  bundle: nullable(Name),
  incident: nullable(Name),
  reason: nullable(Type.String()),
  durationSeconds: Seconds,
  digest: Type.String(),
  createdAt: Instant,
  expiresAt: Instant,
  outcome: nullable(Type.String()),
  targets: Type.Array(TargetDecision),
  grants: Type.Array(GrantView),
  answers: Type.Array(
    strict({
      approver: Name,
      verdict: oneOf('approve', 'deny'),
      reason: nullable(Type.String()),
      at: Instant,
    }),
  ),
  /** One for each chain; empty once it is settled. */
  waiting: Type.Array(WaitingView),
});
export type RequestView = Static<typeof RequestView>;

export const RequestList = strict({ requests: Type.Array(RequestView) });
export type RequestList = Static<typeof RequestList>;

/** The digest names exactly what was asked; the duration may be shorter, never longer. */
export const Approve = strict({ digest: Text(64), durationSeconds: Type.Optional(Seconds) });
export type Approve = Static<typeof Approve>;

export const Deny = strict({ digest: Text(64), reason: Text(500) });
export type Deny = Static<typeof Deny>;

export const Explain = strict({
  target: Type.Optional(strict({ resource: PartName, role: Type.Optional(PartName) })),
  requestId: Type.Optional(Text(32)),
  incident: Type.Optional(IncidentRef),
  durationSeconds: Type.Optional(Seconds),
  hasReason: Type.Optional(Type.Boolean()),
});
export type Explain = Static<typeof Explain>;

export const Explanation = strict({
  user: Name,
  decision: TargetDecision,
  durationSeconds: Seconds,
  facts: Type.Array(FactView),
  changes: Type.Array(
    strict({ change: Type.String(), words: Type.String(), effect: oneOf('grant', 'ask', 'deny') }),
  ),
  policySha256: Type.String(),
  catalogueSha256: Type.String(),
  at: Instant,
});
export type Explanation = Static<typeof Explanation>;

// Grants and credentials -------------------------------------------------------------------------------------------

/** `renews` names the device's live credential under the same grant; the target then prolongs it where it can. */
export const IssueRequest = strict({ material: KeyMaterial, renews: Type.Optional(Text(32)) });
export type IssueRequest = Static<typeof IssueRequest>;

export const CredentialReply = strict({
  credentialId: Type.String(),
  grant: GrantView,
  /** True when the secret made for `renews` still is the right one. */
  prolonged: Type.Boolean(),
  handle: Type.String(),
  publicPart: PublicPart,
  /** The broker's time of this reply: `expiresAt` minus this is the life that is left. */
  issuedAt: Instant,
  expiresAt: Instant,
});
export type CredentialReply = Static<typeof CredentialReply>;

export const Extend = strict({ durationSeconds: Type.Optional(Seconds) });
export type Extend = Static<typeof Extend>;

export const GrantList = strict({ grants: Type.Array(GrantView) });
export type GrantList = Static<typeof GrantList>;

export const Revoke = strict({
  grants: Type.Optional(Type.Array(Text(32), { maxItems: 100 })),
  user: Type.Optional(Name),
  resource: Type.Optional(PartName),
  incident: Type.Optional(IncidentRef),
  reason: Text(500),
  /** Only show whom it would hit. */
  dryRun: Type.Optional(Type.Boolean()),
});
export type Revoke = Static<typeof Revoke>;

// Reviews ----------------------------------------------------------------------------------------------------------

export const ReviewView = strict({
  id: Type.String(),
  kind: oneOf('override', 'break-glass'),
  user: Name,
  requestId: nullable(Type.String()),
  grantId: nullable(Type.String()),
  owners: Type.Array(Name),
  openedAt: Instant,
  dueAt: Instant,
  overdue: Type.Boolean(),
  state: oneOf('open', 'closed'),
  outcome: nullable(oneOf('justified', 'drill', 'misuse')),
  note: nullable(Type.String()),
  closedBy: nullable(Name),
  closedAt: nullable(Instant),
});
export type ReviewView = Static<typeof ReviewView>;

export const ReviewList = strict({ reviews: Type.Array(ReviewView) });
export type ReviewList = Static<typeof ReviewList>;

export const CloseReview = strict({ outcome: oneOf('justified', 'drill', 'misuse'), note: Text(2000) });
export type CloseReview = Static<typeof CloseReview>;

/** Everything `status --refresh` shows, in one reply. */
export const StatusReply = strict({
  me: Me,
  grants: Type.Array(GrantView),
  pending: Type.Array(RequestView),
  incidents: Type.Array(IncidentView),
  approvals: Type.Array(RequestView),
  /** Open ones that this person may close, and those about this person. */
  reviews: Type.Array(ReviewView),
  /** What does not work as it should, in words: a channel that is dead, a source that does not answer. */
  warnings: Type.Array(Type.String()),
});
export type StatusReply = Static<typeof StatusReply>;

// Events -----------------------------------------------------------------------------------------------------------

/**
 * One server-sent event of `GET /v1/events` (`id` is the position). It says that something happened, never what exactly: whoever
 * cares asks. The first event of a stream is `hello`; `reset` means that too much was missed to be told: ask for everything.
 */
export const EventView = strict({
  position: Type.Integer(),
  event: Type.String(),
  subject: Type.Record(Type.String(), Type.String()),
});
export type EventView = Static<typeof EventView>;

// Audit ------------------------------------------------------------------------------------------------------------

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
