import { Type } from '@sinclair/typebox';
import { oneOf, strict, Text } from '../schema.ts';

/** `verifier`: what PostgreSQL stores for a password, `SCRAM-SHA-256$4096:…` in exactly that form. */
export const PostgresMaterial = strict({ kind: Type.Literal('postgres'), verifier: Text(256) });

export const PostgresPart = strict({
  kind: Type.Literal('postgres'),
  user: Type.String(),
  host: Type.String(),
  port: Type.Integer(),
  database: Type.String(),
  sslMode: oneOf('disable', 'require', 'verify-full'),
  caPem: Type.Optional(Type.String()),
  /** PEM: the login is by client certificate instead of a password (break-glass). */
  certificate: Type.Optional(Type.String()),
});
