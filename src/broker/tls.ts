/**
 * TLS under the identity key: the identity key is a certificate authority whose self-signed certificate clients pin, so
 * TLS keys can be replaced (`oncall broker rotate tls`) without stranding anyone.
 */
import 'reflect-metadata';
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { importSigningKey } from '../protocol/web-keys.ts';
import type { SigningKey } from './keys.ts';

const DAY_MS = 86_400_000;
/** A certificate is valid a little into the past, for devices whose clocks are behind. */
const BACKDATE_MS = DAY_MS;
const LEAF_DAYS = 365;
const CA_DAYS = 3650;

/** The identity key's own certificate, PEM. The name is only for people: clients compare the key. */
export async function createIdentityCertificate(identity: SigningKey, nowMs: number): Promise<string> {
  const keys = await importSigningKey(identity.privateKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: randomSerial(),
      name: 'CN=oncall broker identity',
      notBefore: new Date(nowMs - BACKDATE_MS),
      notAfter: new Date(nowMs + CA_DAYS * DAY_MS),
      signingAlgorithm: { name: 'Ed25519' },
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

/** A fresh P-256 TLS key and its certificate for `hosts` (DNS names or IP addresses), signed by the identity key. */
export async function createTlsCertificate(
  identity: SigningKey,
  identityCertificate: string,
  hosts: readonly string[],
  nowMs: number,
): Promise<{ key: string; certificate: string }> {
  const leaf = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const issuer = new x509.X509Certificate(identityCertificate);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: randomSerial(),
      subject: 'CN=oncall broker',
      issuer: issuer.subject,
      notBefore: new Date(nowMs - BACKDATE_MS),
      notAfter: new Date(nowMs + LEAF_DAYS * DAY_MS),
      signingAlgorithm: { name: 'Ed25519' },
      publicKey: leaf.publicKey,
      signingKey: (await importSigningKey(identity.privateKey)).privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          hosts.map((value) => ({ type: isAddress(value) ? ('ip' as const) : ('dns' as const), value })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', leaf.privateKey));
  return {
    key: createPrivateKey({ key, format: 'der', type: 'pkcs8' })
      .export({ type: 'pkcs8', format: 'pem' })
      .toString(),
    certificate: certificate.toString('pem'),
  };
}

/** Milliseconds until a PEM certificate (the first of a chain) runs out; negative when it has. */
export function certificateRemainingMs(pem: string, nowMs: number): number {
  return Date.parse(new X509Certificate(pem).validTo) - nowMs;
}

function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}

function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return Buffer.from(bytes).toString('hex');
}
