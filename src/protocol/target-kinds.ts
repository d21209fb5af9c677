/** The kinds of targets. Each has one file in `protocol/targets`, `catalogue/targets`, `issuers` and `client/targets`. */
export const TARGET_KINDS = [
  'postgres',
  'ssh',
  'mariadb',
  'redis',
  'kubernetes',
  'aws',
  'x509',
  'http',
] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];
