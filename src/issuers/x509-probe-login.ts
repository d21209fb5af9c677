/** Certificates of the broker's own, made to ask services questions and never handed out; their keys are gone with the answer. */
import { generateKeyPairSync } from 'node:crypto';
import type { X509Ca } from './x509-ca.ts';
import { alternativeNameOf, chooseSerial } from './x509-names.ts';

export const PROBE_LIFE_MS = 120_000;
const SKEW_MS = 60_000;

export interface ProbeLogin {
  serial: string;
  certificate: string;
  /** PEM. */
  key: string;
}

export async function createProbeLogin(
  ca: X509Ca,
  probe: {
    /** What it is for, for whoever reads the certificate. */
    purpose: 'proof' | 'check';
    /** A fresh one where none is given. */
    serial?: string;
    unit?: string;
    nowMs: number;
  },
): Promise<ProbeLogin> {
  const { purpose, serial = chooseSerial(), unit, nowMs } = probe;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = await ca.createCertificate({
    serial,
    // Never the common name of a login: the service's log would say that its user came.
    subject: {
      name: chooseSerial(),
      ...(unit === undefined ? { organization: `oncall ${purpose}` } : { unit }),
    },
    alternativeName: alternativeNameOf({ user: `oncall-${purpose}`, grantId: '-', incident: undefined }),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    notBeforeMs: nowMs - SKEW_MS,
    notAfterMs: nowMs + PROBE_LIFE_MS,
  });
  return { serial, certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}
