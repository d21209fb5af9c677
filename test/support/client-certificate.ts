import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
// The library's types want the browser's type of the same thing.
const CRYPTO = webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0];
const A_DAY_MS = 86_400_000;

type Keys = Awaited<ReturnType<typeof makeKeys>>;
const makeKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

export interface TestCa {
  pem: string;
  name: string;
  keys: Keys;
}

export interface ClientCertificateOptions {
  /** `CN=alertmanager` unless told. */
  subject?: string;
  alternatives?: x509.JsonGeneralNames;
  /** Client authentication unless told; empty: the extension is left out. */
  usages?: readonly string[];
  isCa?: boolean;
  notBefore?: Date;
  notAfter?: Date;
}

/** Valid for a day around now unless told. `issuer`: an intermediate one. */
export async function makeCa(
  name: string,
  { notBefore, notAfter, issuer }: { notBefore?: Date; notAfter?: Date; issuer?: TestCa } = {},
): Promise<TestCa> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.create(
    {
      ...validity(notBefore, notAfter),
      serialNumber: '01',
      subject: name,
      issuer: issuer?.name ?? name,
      publicKey: keys.publicKey,
      signingKey: (issuer?.keys ?? keys).privateKey,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    },
    CRYPTO,
  );
  return { pem: certificate.toString('pem'), name, keys };
}

/** What a client shows in TLS: PEM for it, DER as the server sees it. */
export async function makeClientCertificate(
  ca: TestCa,
  options: ClientCertificateOptions = {},
): Promise<{ certificate: string; key: string; der: Uint8Array }> {
  const { subject = 'CN=alertmanager', alternatives, isCa = false, notBefore, notAfter } = options;
  const usages = options.usages ?? [x509.ExtendedKeyUsage.clientAuth];
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.create(
    {
      ...validity(notBefore, notAfter),
      serialNumber: '02',
      subject,
      issuer: ca.name,
      publicKey: keys.publicKey,
      signingKey: ca.keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(isCa),
        ...(usages.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...usages])]),
        ...(alternatives === undefined ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
      ],
    },
    CRYPTO,
  );
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: certificate.toString('pem'),
    key: x509.PemConverter.encode(der, 'PRIVATE KEY'),
    der: new Uint8Array(certificate.rawData),
  };
}

function validity(
  notBefore = new Date(Date.now() - A_DAY_MS / 2),
  notAfter = new Date(Date.now() + A_DAY_MS / 2),
) {
  return { notBefore, notAfter, signingAlgorithm: ALGORITHM };
}
