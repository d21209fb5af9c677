import { Type } from '@sinclair/typebox';
import { oneOf, strict, Text } from '../schema.ts';

/** `verifier`: the Ed25519 public key that MariaDB's ed25519 plugin stores for a password, in base64 without padding. */
export const MariadbMaterial = strict({ kind: Type.Literal('mariadb'), verifier: Text(64) });

export const MariadbPart = strict({
  kind: Type.Literal('mariadb'),
  user: Type.String(),
  host: Type.String(),
  port: Type.Integer(),
  database: Type.String(),
  sslMode: oneOf('disable', 'require', 'verify-full'),
  caPem: Type.Optional(Type.String()),
});
