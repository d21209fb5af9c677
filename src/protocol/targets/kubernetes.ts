import { Type } from '@sinclair/typebox';
import { strict } from '../schema.ts';

/** Nothing is made on the device: the cluster hands out a token, which comes back sealed to the device's own key. */
export const KubernetesMaterial = strict({ kind: Type.Literal('kubernetes') });

export const KubernetesPart = strict({
  kind: Type.Literal('kubernetes'),
  /** `https://…`, with the path of a proxy where there is one. */
  server: Type.String(),
  /** Absent: a CA that this machine trusts anyway. */
  caPem: Type.Optional(Type.String()),
  /** What kubectl uses where no `--namespace` is given. */
  namespace: Type.Optional(Type.String()),
  /** A bearer token, sealed for this credential (`protocol/credential-seal.ts`). */
  sealedToken: Type.String(),
  /** PEM: the login is by client certificate, and there is no token (break-glass). */
  certificate: Type.Optional(Type.String()),
});
