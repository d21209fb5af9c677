/** The kinds of targets. Each has one file in `protocol/targets`, `catalogue/targets`, `issuers` and `client/targets`. */
export const TARGET_KINDS = ['postgres', 'ssh', 'mariadb', 'redis', 'kubernetes', 'aws'] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];
