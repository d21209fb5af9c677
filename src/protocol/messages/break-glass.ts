/** Break-glass: packs for when the broker is away, the journal that accounts for them, and the grant while it is there. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Name, nullable, oneOf, PartName, Seconds, strict, Text } from '../schema.ts';
import { TARGET_KINDS } from '../target-kinds.ts';
import { KubernetesPart } from '../targets/kubernetes.ts';
import { PostgresPart } from '../targets/postgres.ts';
import { SshMaterial, SshPart } from '../targets/ssh.ts';
import { X509Material, X509Part } from '../targets/x509.ts';
import { IncidentRef } from './incidents.ts';

/** Online: granted at once where policy permits `break-glass`. No target means the bundle of the incident. */
export const AskBreakGlass = strict({
  targets: Type.Array(strict({ resource: PartName, role: Type.Optional(PartName) }), { maxItems: 20 }),
  incident: Type.Optional(IncidentRef),
  reason: Text(500),
  durationSeconds: Type.Optional(Seconds),
});
export type AskBreakGlass = Static<typeof AskBreakGlass>;

/** Where this person may break the glass, were they to ask now. */
export const BreakGlassOption = strict({
  resource: PartName,
  /** Narrowest first; the first one unless another is named. */
  roles: Type.Array(PartName),
  description: nullable(Type.String()),
  windowSeconds: Seconds,
  maxWindowSeconds: Seconds,
  /** A second person has to say yes. */
  twoPerson: Type.Boolean(),
  /** Nothing of value is behind it: what a drill is for. */
  canary: Type.Boolean(),
});
export type BreakGlassOption = Static<typeof BreakGlassOption>;

export const BreakGlassOptions = strict({ options: Type.Array(BreakGlassOption) });
export type BreakGlassOptions = Static<typeof BreakGlassOptions>;

/** The key that the certificates of a pack are over: made on the device. */
export const PackMaterial = Type.Union([SshMaterial, X509Material]);
export type PackMaterial = Static<typeof PackMaterial>;

/** What `aws_signing_helper credential-process` needs besides key and certificate: ARNs. */
const AwsPlace = strict({
  kind: Type.Literal('aws'),
  region: Type.String(),
  role: Type.String(),
  trustAnchor: Type.String(),
  profile: Type.String(),
});

/** What tools need besides key and certificate. `postgres`: `user` is the standing role that the name is mapped to. */
export const PackPlace = Type.Union([
  Type.Omit(SshPart, ['certificate'], { additionalProperties: false }),
  Type.Omit(X509Part, ['certificate'], { additionalProperties: false }),
  Type.Omit(PostgresPart, ['certificate'], { additionalProperties: false }),
  Type.Omit(KubernetesPart, ['sealedToken', 'certificate'], { additionalProperties: false }),
  AwsPlace,
]);
export type PackPlace = Static<typeof PackPlace>;

/**
 * What a device keeps for the time without a broker: one resource and role, one shift. Signed by the broker's identity key
 * (break-glass/pack.ts). Each certificate is sealed to the device by itself.
 */
export const Pack = strict({
  schema: Type.Literal('oncall.pack/v1'),
  id: Type.String(),
  user: Name,
  device: Type.String(),
  resource: PartName,
  role: PartName,
  kind: oneOf(...TARGET_KINDS),
  /** Of the resource: rises when what was opened there is cleaned up after. A pack of an older one opens nothing. */
  epoch: Type.Integer({ minimum: 1 }),
  /** `breakglass-<resource>-<role>`. */
  name: Type.String(),
  material: PackMaterial,
  place: PackPlace,
  /** Told by the device directly. `sealed`: the device's token for it; see break-glass/pack.ts. */
  webhook: nullable(strict({ url: Type.String(), sealed: Type.String() })),
  issuedAt: Instant,
  /** The time that the slots cover together. */
  startsAt: Instant,
  endsAt: Instant,
  /** In order of time; numbered from 0. */
  slots: Type.Array(
    strict({
      number: Type.Integer({ minimum: 0 }),
      notBefore: Instant,
      notAfter: Instant,
      serial: Type.String(),
      /** base64url; HPKE to the device's sealing key. */
      sealed: Type.String(),
    }),
    { minItems: 1, maxItems: 100 },
  ),
  /** base64url, 64 bytes. */
  signature: Type.String(),
});
export type Pack = Static<typeof Pack>;

/** A pack that this device should have; `pack` is the newest that it has got, where that still does. */
export const PlannedPack = strict({
  resource: PartName,
  role: PartName,
  material: oneOf('ssh', 'x509'),
  epoch: Type.Integer(),
  startsAt: Instant,
  endsAt: Instant,
  pack: nullable(Type.String()),
});
export type PlannedPack = Static<typeof PlannedPack>;

/** For the shift that the engineer is on, and for the next one. */
export const PackPlan = strict({ packs: Type.Array(PlannedPack) });
export type PackPlan = Static<typeof PackPlan>;

export const RequestPack = strict({
  resource: PartName,
  role: PartName,
  /** The `startsAt` of the plan. */
  startsAt: Instant,
  material: PackMaterial,
});
export type RequestPack = Static<typeof RequestPack>;

export const PackView = strict({
  id: Type.String(),
  user: Name,
  device: Type.String(),
  resource: PartName,
  role: PartName,
  epoch: Type.Integer(),
  issuedAt: Instant,
  startsAt: Instant,
  endsAt: Instant,
  /** When the device said that it has it on its disk. */
  confirmedAt: nullable(Instant),
  state: oneOf('active', 'revoked'),
});
export type PackView = Static<typeof PackView>;

export const PackList = strict({ packs: Type.Array(PackView) });
export type PackList = Static<typeof PackList>;

/**
 * Lines of a journal (break-glass/journal-entry.ts), in order, from the first that the broker has not acknowledged; together at
 * most MAX_PAGE_BYTES. Lines that it has are passed over.
 */
export const UploadJournal = strict({
  lines: Type.Array(Type.String({ minLength: 1, maxLength: 16_384 }), { minItems: 1, maxItems: 200 }),
});
export type UploadJournal = Static<typeof UploadJournal>;

/** How far the broker has the journal of a device, for good. */
export const JournalReply = strict({
  seq: Type.Integer(),
  hash: Type.String(),
  /** Why a person has to look at it: a gap, a fork, a slot used twice. Null while all is well. */
  broken: nullable(Type.String()),
  /** Open ones about what this journal tells. */
  reviews: Type.Array(Type.String()),
});
export type JournalReply = Static<typeof JournalReply>;

export const RotateBreakGlass = strict({ resource: PartName });
export type RotateBreakGlass = Static<typeof RotateBreakGlass>;

/** What break-glass left at a resource. */
export const BreakGlassState = strict({
  resource: PartName,
  epoch: Type.Integer(),
  rotatedAt: nullable(Instant),
  /** Since when somebody may have left something there by break-glass; null when its epoch was rotated and its reviews are closed. */
  taintedAt: nullable(Instant),
  reviews: Type.Array(Type.String()),
});
export type BreakGlassState = Static<typeof BreakGlassState>;

export const BreakGlassStates = strict({ resources: Type.Array(BreakGlassState) });
export type BreakGlassStates = Static<typeof BreakGlassStates>;

/** Something that is missing, and what to do about it. */
export const RolloutGap = strict({ message: Type.String(), fix: Type.String() });
export type RolloutGap = Static<typeof RolloutGap>;

/** A resource on its way from non-critical (1) over production with break-glass (2) to production with automation (3). */
export const RolloutRow = strict({
  resource: PartName,
  environment: Name,
  phase: Type.Integer({ minimum: 1, maximum: 3 }),
  /** Null for one that has arrived. */
  next: nullable(Type.Integer({ minimum: 2, maximum: 3 })),
  /** For the next phase. */
  missing: Type.Array(RolloutGap),
  /** For the phase that it is in already: `oncall broker check` fails by these. */
  broken: Type.Array(RolloutGap),
});
export type RolloutRow = Static<typeof RolloutRow>;

export const Rollout = strict({ rows: Type.Array(RolloutRow) });
export type Rollout = Static<typeof Rollout>;
