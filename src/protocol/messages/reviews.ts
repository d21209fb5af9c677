/** What is looked at afterwards, and the status of a person in one reply. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Name, nullable, oneOf, strict, Text } from '../schema.ts';
import { Me } from './devices.ts';
import { IncidentView } from './incidents.ts';
import { GrantView, RequestView } from './requests.ts';

/** What was opened without the broker, as the journal of the device tells it: all words in it are a person's. */
export const ReviewedUse = strict({
  device: Type.String(),
  /** The journal's entry. */
  seq: Type.Integer(),
  pack: Type.String(),
  slot: Type.Integer(),
  resource: Type.String(),
  role: Type.String(),
  reason: Type.String(),
  incident: nullable(Type.String()),
  drill: Type.Boolean(),
  /** By the device's clock. */
  openedAt: Instant,
  reconciledAt: Instant,
  /** Programs that it was handed to, each once. */
  tools: Type.Array(Type.String()),
  /** What whoever looks at it should know: a pack that had been revoked, a clock that was wrong. */
  notes: Type.Array(Type.String()),
});
export type ReviewedUse = Static<typeof ReviewedUse>;

export const ReviewView = strict({
  id: Type.String(),
  kind: oneOf('override', 'break-glass'),
  user: Name,
  requestId: nullable(Type.String()),
  grantId: nullable(Type.String()),
  use: nullable(ReviewedUse),
  /** A device whose journal does not add up, and why. */
  journal: nullable(strict({ device: Type.String(), why: Type.String() })),
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
  /** Base URLs: where each broker of this installation is reached directly; empty where there is but one. */
  endpoints: Type.Array(Type.String()),
});
export type StatusReply = Static<typeof StatusReply>;
