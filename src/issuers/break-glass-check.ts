/** What the checks of break-glass have in common: certificates that live as long as the check, and the wait for their revocation. */
import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Requirement } from './issuer.ts';
import { fulfilled, missing } from './requirement.ts';
import type { X509Ca } from './x509-ca.ts';
import { chooseX509Serials } from './x509-slots.ts';

export const PROBE_LIFE_MS = 120_000;
const SKEW_MS = 60_000;
const ASK_AGAIN_MS = 1_000;
/** In place of a key id: what a target's log shows of a check. */
export const CHECK_KEY_ID = 'oncall-check/-/-';

export interface NamedLogin {
  serial: string;
  /** PEM of both. */
  certificate: string;
  key: string;
}

export async function createNamedLogin(
  ca: X509Ca,
  subject: { name: string; organization?: string },
  nowMs: number,
): Promise<NamedLogin> {
  const [serial = ''] = chooseX509Serials(1);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = await ca.createCertificate({
    serial,
    subject: { ...subject, unit: CHECK_KEY_ID },
    alternativeName: `oncall:${CHECK_KEY_ID}`,
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    notBeforeMs: nowMs - SKEW_MS,
    notAfterMs: nowMs + PROBE_LIFE_MS,
  });
  return { serial, certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** Asks until a revoked certificate is refused, or for `waitMs`. */
export async function waitForRefusal(
  place: string,
  isRefused: () => Promise<boolean>,
  options: { waitMs: number; signal: AbortSignal; fix: string },
): Promise<Requirement> {
  const { waitMs, signal, fix } = options;
  const name = `${place}: break-glass revocation list`;
  const startedAt = performance.now();
  for (;;) {
    const isOver = await isRefused();
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    if (isOver) return fulfilled(name, `a revoked certificate was refused after ${seconds} s`);
    if (signal.aborted || seconds * 1000 >= waitMs)
      return missing(name, `a revoked certificate was still taken after ${seconds} s`, fix);
    await sleep(ASK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}
