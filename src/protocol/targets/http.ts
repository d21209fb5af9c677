import { Type } from '@sinclair/typebox';
import { strict } from '../schema.ts';

/** The broker makes the token, so the device has nothing to send. */
export const HttpMaterial = strict({ kind: Type.Literal('http') });

export const HttpPart = strict({
  kind: Type.Literal('http'),
  url: Type.String(),
  /** The bearer token, sealed to the device (protocol/credential-seal.ts). */
  sealedToken: Type.String(),
  /** PEM of the CA behind the service's own certificate, where the system does not know it. */
  caPem: Type.Optional(Type.String()),
});
