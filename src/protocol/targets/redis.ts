import { Type } from '@sinclair/typebox';
import { strict } from '../schema.ts';

/** `verifier`: the SHA-256 of the password in hex, what Redis stores for one. */
export const RedisMaterial = strict({
  kind: Type.Literal('redis'),
  verifier: Type.String({ pattern: '^[0-9a-f]{64}$' }),
});

export const RedisPart = strict({
  kind: Type.Literal('redis'),
  user: Type.String(),
  host: Type.String(),
  port: Type.Integer(),
  tls: Type.Boolean(),
  caPem: Type.Optional(Type.String()),
});
