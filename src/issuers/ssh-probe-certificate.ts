/** Certificates of the broker's own, made to ask hosts questions and never handed out. */
import { encodeCertificate } from '../protocol/ssh-certificate.ts';
import type { SshCa } from './ssh.ts';
import { chooseSerial } from './ssh-hosts.ts';

export const PROBE_LIFE_MS = 120_000;
const SKEW_MS = 60_000;

export interface ProbeCertificate {
  serial: string;
  certificate: string;
}

export function createProbeCertificate(
  ca: SshCa,
  probe: {
    subjectPublicKey: Uint8Array;
    /** What it is for, in the host's log. */
    purpose: string;
    principals: readonly string[];
    criticalOptions: { readonly 'source-address'?: string; readonly 'force-command'?: string };
    nowMs: number;
  },
): ProbeCertificate {
  const serial = chooseSerial();
  const { subjectPublicKey, principals, criticalOptions, nowMs } = probe;
  const certificate = encodeCertificate({
    subjectPublicKey,
    serial: BigInt(serial),
    type: 'user',
    keyId: `oncall-${probe.purpose}/-/-`,
    principals,
    validAfterSeconds: Math.floor((nowMs - SKEW_MS) / 1000),
    validBeforeSeconds: Math.floor((nowMs + PROBE_LIFE_MS) / 1000),
    criticalOptions,
    extensions: [],
    caPublicKey: ca.publicKey,
    sign: ca.sign,
  });
  return { serial, certificate };
}
