/** The one place that lists the kinds of targets: a new kind is a file with an issuer, and a line here. */
import type { KeyObject } from 'node:crypto';
import { createAwsIssuer } from './aws.ts';
import type { Issuer } from './issuer.ts';
import { createKubernetesIssuer } from './kubernetes.ts';
import { createMariadbIssuer } from './mariadb.ts';
import { createPostgresIssuer } from './postgres.ts';
import type { PostgresAccess } from './postgres-connection.ts';
import { createRedisIssuer } from './redis.ts';
import type { Revocations } from './revocations.ts';
import { createSshIssuer, type SshCa } from './ssh.ts';
import { createSshProbe } from './ssh-probe.ts';

const REVOCATION_WAIT_MS = 45_000;

export interface IssuersOptions extends PostgresAccess {
  /**
   * The broker's name at its targets, by which its logins are told from those of another installation: its log's key, as C2SP
   * signed notes name it (`origin+8 hex digits`). Where names have little room, the digits do.
   */
  installation: string;
  ca: SshCa;
  revocations: Revocations;
  publicUrl: string;
  /** The broker's identity key; only its public half is used. */
  identityKey: KeyObject;
  /** Milliseconds since 1970; the machine's clock unless given. */
  now?: () => number;
}

export function createIssuers(options: IssuersOptions): {
  issuers: readonly Issuer[];
  close(): Promise<void>;
} {
  const now = options.now ?? Date.now;
  const issuers = [
    createPostgresIssuer({ ...options, now }),
    createMariadbIssuer({ ...options, now }),
    createRedisIssuer({ ...options, now }),
    createSshIssuer({ ...options, now, probe: createSshProbe(), revocationWaitMs: REVOCATION_WAIT_MS }),
    createKubernetesIssuer(options),
    createAwsIssuer({ ...options, now }),
  ];
  return {
    issuers,
    async close() {
      await Promise.all(issuers.map((issuer) => issuer.close()));
    },
  };
}
