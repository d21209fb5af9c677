/** Asking, deciding, answering. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Name, nullable, oneOf, PartName, Seconds, strict, Text } from '../schema.ts';
import { TARGET_KINDS } from '../target-kinds.ts';
import { IncidentRef } from './incidents.ts';
import { Target } from './target.ts';

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
  /** Where it was denied: for which of the targets, as they are typed, break-glass would open now. */
  breakGlass: Type.Optional(Type.Array(Type.String())),
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
  /** Where it is not granted: the target as it is typed, where break-glass would open it now. */
  breakGlass: Type.Optional(Type.Array(Type.String())),
  policySha256: Type.String(),
  catalogueSha256: Type.String(),
  at: Instant,
});
export type Explanation = Static<typeof Explanation>;
