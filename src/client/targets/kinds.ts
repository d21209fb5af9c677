/** The one place that lists what this machine knows of each kind of target. */

import type { TargetKind } from '../../protocol/target-kinds.ts';
import { AWS } from './aws.ts';
import type { ClientTarget } from './client-target.ts';
import { HTTP } from './http.ts';
import { KUBERNETES } from './kubernetes.ts';
import { MARIADB } from './mariadb.ts';
import { POSTGRES } from './postgres.ts';
import { REDIS } from './redis.ts';
import { SSH } from './ssh.ts';
import { X509 } from './x509.ts';

/** What logs in, besides the public part. */
export type CredentialSecret =
  | { readonly kind: 'postgres'; readonly password: string }
  /** By certificate: `privateKey` as PKCS#8 PEM. */
  | { readonly kind: 'postgres'; readonly privateKey: string }
  /** `privateKey` in OpenSSH's own form, `publicKey` as a line. */
  | { readonly kind: 'ssh'; readonly privateKey: string; readonly publicKey: string }
  | { readonly kind: 'mariadb'; readonly password: string }
  | { readonly kind: 'redis'; readonly password: string }
  | { readonly kind: 'kubernetes'; readonly token: string }
  /** By certificate: `privateKey` as PKCS#8 PEM. */
  | { readonly kind: 'kubernetes'; readonly privateKey: string }
  | {
      readonly kind: 'aws';
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      readonly sessionToken: string;
    }
  /** `privateKey` as PKCS#8 PEM, `publicKey` as base64 of a SubjectPublicKeyInfo. */
  | { readonly kind: 'x509'; readonly privateKey: string; readonly publicKey: string }
  | { readonly kind: 'http'; readonly token: string };

type Targets = { readonly [K in TargetKind]: ClientTarget<K> };
const TARGETS: Targets = {
  postgres: POSTGRES,
  ssh: SSH,
  mariadb: MARIADB,
  redis: REDIS,
  kubernetes: KUBERNETES,
  aws: AWS,
  x509: X509,
  http: HTTP,
};

export function clientTarget(kind: TargetKind): ClientTarget<TargetKind> {
  // Each takes parts and secrets of its own kind alone, and its kind is what it is found by.
  return TARGETS[kind] as unknown as ClientTarget<TargetKind>;
}

/** What every kind has in its list of joined files, or of formats. */
export function fromAllKinds<T>(list: (target: ClientTarget<TargetKind>) => readonly T[]): T[] {
  return Object.values(TARGETS).flatMap((target) => list(target as unknown as ClientTarget<TargetKind>));
}
