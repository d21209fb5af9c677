/** What a host says of those who log in there, and what the broker says of the sessions that are open there. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, oneOf, strict } from '../schema.ts';

/** A host escapes whatever else stood in its log. */
const Printed = (maxLength: number) => Type.String({ maxLength, pattern: '^[\\x20-\\x7e]*$' });

/** Told twice, in any order, it is one login. */
export const LoginRecord = strict({
  kind: oneOf('ssh', 'postgres'),
  /** At the target: the account, or the database's role. */
  account: Printed(128),
  /** The SSH certificate's key id; for PostgreSQL what it authenticated: a certificate's subject, or the role's name. */
  identity: Printed(512),
  /** Of the SSH certificate, in decimal digits; empty for PostgreSQL, whose log does not say. */
  serial: Type.String({ pattern: '^(|0|[1-9]\\d{0,19})$' }),
  /** Fingerprint of the CA (`SHA256:…`); for PostgreSQL how it was authenticated (`cert`). */
  authority: Printed(64),
  /** `192.0.2.7:52114`, `[2001:db8::7]:52114`. */
  address: Printed(64),
  /** By the host's clock. */
  at: Instant,
});
export type LoginRecord = Static<typeof LoginRecord>;

/** A session that is open now, by the certificate that it began with. */
export const OpenSession = strict({
  identity: Printed(512),
  serial: Type.String({ pattern: '^(0|[1-9]\\d{0,19})$' }),
});
export type OpenSession = Static<typeof OpenSession>;

export const MOST_LOGINS = 50;
export const MOST_SESSIONS = 100;

export const HostReport = strict({
  logins: Type.Array(LoginRecord, { maxItems: MOST_LOGINS }),
  open: Type.Array(OpenSession, { maxItems: MOST_SESSIONS }),
  /** Logins that nobody will hear of: there was no room for them while the broker was away. */
  lost: Type.Integer({ minimum: 0 }),
});
export type HostReport = Static<typeof HostReport>;

export const HostReply = strict({
  /** Of `open`: those whose grant or pack is over, or whose device was revoked. To be ended. */
  over: Type.Array(OpenSession),
});
export type HostReply = Static<typeof HostReply>;
