import { Type } from '@sinclair/typebox';
import { strict, Text } from '../schema.ts';

/**
 * `publicKey`: a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) as base64. No proof that the device has the private half: the
 * certificate is good for TLS client authentication alone, where each login proves it (RFC 8446 section 4.4.3).
 */
export const X509Material = strict({ kind: Type.Literal('x509'), publicKey: Text(1024) });

export const X509Part = strict({
  kind: Type.Literal('x509'),
  /** PEM. Signed by the broker's CA directly: there is no chain. */
  certificate: Type.String(),
  url: Type.String(),
  /** PEM of the CA behind the service's own certificate, where the system does not know it. */
  caPem: Type.Optional(Type.String()),
});
