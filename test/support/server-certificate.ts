import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
// The library's types want the browser's type of the same thing.
const CRYPTO = webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0];
const A_DAY_MS = 86_400_000;

export interface ServerCertificate {
  ca: string;
  certificate: string;
  key: string;
}

/** A certificate for localhost and an address, valid for a day around now, and the CA that signed it; all PEM. */
export async function makeServerCertificate(address = '127.0.0.1'): Promise<ServerCertificate> {
  const caKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const validity = {
    notBefore: new Date(Date.now() - A_DAY_MS / 2),
    notAfter: new Date(Date.now() + A_DAY_MS / 2),
    signingAlgorithm: ALGORITHM,
  };
  const ca = await x509.X509CertificateGenerator.createSelfSigned(
    {
      ...validity,
      serialNumber: '01',
      name: 'CN=oncall test CA',
      keys: caKeys,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    },
    CRYPTO,
  );
  const certificate = await x509.X509CertificateGenerator.create(
    {
      ...validity,
      serialNumber: '02',
      subject: 'CN=localhost',
      issuer: ca.subject,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: address },
        ]),
      ],
    },
    CRYPTO,
  );
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const key = x509.PemConverter.encode(der, 'PRIVATE KEY');
  return { ca: ca.toString('pem'), certificate: certificate.toString('pem'), key };
}
