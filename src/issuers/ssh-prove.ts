/**
 * The proof that hosts refuse a certificate (RFC 4252 section 7). A refusal by itself proves little: the host may refuse
 * the broker's address, or everybody. So each host is asked about a second certificate too, alike in all but its key and its
 * serial, and only a host that takes that one and refuses the other has shown that the revocation has reached it.
 */
import { generateKeyPairSync } from 'node:crypto';
import { parseCertificate } from '../protocol/ssh-certificate.ts';
import { sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { EndInput, Proof, PublicPart } from './issuer.ts';
import type { SshCa } from './ssh.ts';
import type { SshProbe } from './ssh-probe.ts';
import { createProbeCertificate } from './ssh-probe-certificate.ts';

/** The clock of a host may be this slow: it takes a certificate for as long after its end. */
export const SKEW_MS = 60_000;
const HOSTS_AT_ONCE = 4;

export async function proveRefused(input: EndInput, ca: SshCa, probe: SshProbe): Promise<Proof> {
  const { publicPart, nowMs } = input;
  const expiresAtMs = expiryOf(input) + SKEW_MS;
  if (nowMs >= expiresAtMs) return { state: 'proven', method: 'the certificate has expired', at: nowMs };
  // What was never handed out cannot be shown to a host either.
  if (publicPart?.kind !== 'ssh' || publicPart.hosts.length === 0) {
    return { state: 'expires', method: 'no certificate on record', expiresAtMs };
  }
  const method = 'public-key query (RFC 4252 section 7) at each host, beside one that is taken';
  const control = createControl(publicPart, ca, nowMs);
  for (let start = 0; start < publicPart.hosts.length; start += HOSTS_AT_ONCE) {
    const refusals = publicPart.hosts.slice(start, start + HOSTS_AT_ONCE).map(async (host) => {
      const target = { ...publicPart, ...host, signal: input.signal };
      const asked = await probe.ask(target);
      if (asked.answer !== 'refused') return false;
      return (await probe.ask({ ...target, certificate: control })).answer === 'accepted';
    });
    if ((await Promise.all(refusals)).includes(false)) return { state: 'expires', method, expiresAtMs };
  }
  return { state: 'proven', method, at: nowMs };
}

/** When the certificate ends by itself; without one, when it would have at the latest. */
export function expiryOf({ publicPart, expiresAtMs }: Pick<EndInput, 'publicPart' | 'expiresAtMs'>): number {
  if (publicPart?.kind !== 'ssh') return expiresAtMs;
  return parseCertificate(publicPart.certificate).validBeforeSeconds * 1000;
}

function createControl({ certificate }: PublicPart & { kind: 'ssh' }, ca: SshCa, nowMs: number): string {
  const { principals, criticalOptions } = parseCertificate(certificate);
  // The private half is dropped here: nobody can log in with it.
  const subjectPublicKey = sshPublicKeyBlob(generateKeyPairSync('ed25519').publicKey);
  return createProbeCertificate(ca, {
    subjectPublicKey,
    purpose: 'proof',
    principals,
    criticalOptions,
    nowMs,
  }).certificate;
}
