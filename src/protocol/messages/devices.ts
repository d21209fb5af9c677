/** Who is who, and with which device. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Name, nullable, oneOf, strict, Text } from '../schema.ts';
import { SignedTime } from './errors.ts';

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
