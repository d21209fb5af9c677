/** What was granted, and what logs in. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Name, PartName, Seconds, strict, Text } from '../schema.ts';
import { KeyMaterial, PublicPart } from '../targets/kinds.ts';
import { IncidentRef } from './incidents.ts';
import { GrantView } from './requests.ts';

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
