/** The one place that lists how each kind of target is read from the catalogue. */

import type { TargetKind } from '../../protocol/target-kinds.ts';
import { AWS, type AwsSettings } from './aws.ts';
import { HTTP, type HttpSettings } from './http.ts';
import { KUBERNETES, type KubernetesSettings } from './kubernetes.ts';
import { MARIADB, type MariadbSettings } from './mariadb.ts';
import { POSTGRES, type PostgresSettings } from './postgres.ts';
import { REDIS, type RedisSettings } from './redis.ts';
import { SSH, type SshSettings } from './ssh.ts';
import type { TargetReader } from './target-reader.ts';
import { X509, type X509Settings } from './x509.ts';

export type TargetSettings =
  | PostgresSettings
  | SshSettings
  | MariadbSettings
  | RedisSettings
  | KubernetesSettings
  | AwsSettings
  | X509Settings
  | HttpSettings;

type Readers = { readonly [K in TargetKind]: TargetReader<Extract<TargetSettings, { kind: K }>> };
const READERS: Readers = {
  postgres: POSTGRES,
  ssh: SSH,
  mariadb: MARIADB,
  redis: REDIS,
  kubernetes: KUBERNETES,
  aws: AWS,
  x509: X509,
  http: HTTP,
};

export function targetReader(kind: TargetKind): TargetReader<TargetSettings> {
  // Each reader takes the settings of its own kind alone, and its kind is what it is found by.
  return READERS[kind] as TargetReader<TargetSettings>;
}
