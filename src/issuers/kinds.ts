/** The one place that lists the kinds of targets: a new kind is a file with an issuer, and a line here. */
import type { KeyObject } from 'node:crypto';
import { createAwsIssuer } from './aws.ts';
import { createAwsBreakGlass } from './aws-break-glass.ts';
import type { BreakGlassCas, BreakGlassIssuer } from './break-glass.ts';
import { createHttpIssuer } from './http.ts';
import { probeHttp } from './http-probe.ts';
import type { TokenKeys } from './http-token.ts';
import type { Issuer } from './issuer.ts';
import { createKubernetesIssuer } from './kubernetes.ts';
import { createKubernetesBreakGlass } from './kubernetes-break-glass.ts';
import { createMariadbIssuer } from './mariadb.ts';
import { createPostgresIssuer } from './postgres.ts';
import { createPostgresBreakGlass } from './postgres-break-glass.ts';
import type { PostgresAccess } from './postgres-connection.ts';
import { createRedisIssuer } from './redis.ts';
import type { Revocations } from './revocations.ts';
import { createSshIssuer, type SshCa } from './ssh.ts';
import { createSshBreakGlass } from './ssh-break-glass.ts';
import { createSshProbe } from './ssh-probe.ts';
import { createX509Issuer } from './x509.ts';
import { createX509BreakGlass } from './x509-break-glass.ts';
import type { X509Ca } from './x509-ca.ts';
import { probeX509 } from './x509-probe.ts';

const REVOCATION_WAIT_MS = 45_000;
/** Where the broker serves the list of revoked certificates; they say so themselves. */
export const X509_LIST_PATH = '/v1/crl/x509';
export const BREAK_GLASS_LIST_PATH = '/v1/crl/break-glass';

export interface IssuersOptions extends PostgresAccess {
  /**
   * The broker's name at its targets, by which its logins are told from those of another installation: its log's key, as C2SP
   * signed notes name it (`origin+8 hex digits`). Where names have little room, the digits do.
   */
  installation: string;
  ca: SshCa;
  x509Ca: X509Ca;
  breakGlassCas: BreakGlassCas;
  /** What tokens are signed with; undefined where this installation has none yet. */
  tokenKeys: () => TokenKeys | undefined;
  /** PEM of what the broker's own TLS certificate is signed with, where it serves TLS itself. */
  identityCertificate: string | undefined;
  revocations: Revocations;
  publicUrl: string;
  /** The broker's identity key; only its public half is used. */
  identityKey: KeyObject;
  /** Milliseconds since 1970; the machine's clock unless given. */
  now?: () => number;
}

export function createIssuers(options: IssuersOptions): {
  issuers: readonly Issuer[];
  breakGlass: readonly BreakGlassIssuer[];
  close(): Promise<void>;
} {
  const now = options.now ?? Date.now;
  const ssh = { ...options, now, probe: createSshProbe(), revocationWaitMs: REVOCATION_WAIT_MS };
  const cas = options.breakGlassCas;
  const withX509 = {
    ...options,
    ...{ now, cas, probe: probeX509, revocationWaitMs: REVOCATION_WAIT_MS },
    listUrl: new URL(BREAK_GLASS_LIST_PATH, options.publicUrl).href,
  };
  const issuers = [
    createPostgresIssuer({ ...options, now }),
    createMariadbIssuer({ ...options, now }),
    createRedisIssuer({ ...options, now }),
    createSshIssuer(ssh),
    createKubernetesIssuer(options),
    createAwsIssuer({ ...options, now }),
    createX509Issuer({
      ...options,
      now,
      ca: options.x509Ca,
      listUrl: new URL(X509_LIST_PATH, options.publicUrl).href,
      probe: probeX509,
      revocationWaitMs: REVOCATION_WAIT_MS,
    }),
    createHttpIssuer({ ...options, now, keys: options.tokenKeys, probe: probeHttp }),
  ];
  return {
    issuers,
    breakGlass: [
      createSshBreakGlass(ssh, cas),
      createPostgresBreakGlass(withX509),
      createX509BreakGlass(withX509),
      createKubernetesBreakGlass(withX509),
      createAwsBreakGlass(withX509),
    ],
    async close() {
      await Promise.all(issuers.map((issuer) => issuer.close()));
    },
  };
}
