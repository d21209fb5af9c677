/**
 * The authority behind client certificates. Its own certificate is made from its key alone, so that every broker of an
 * installation shows the same one (by ECDSA, but for the signature) and none has to keep it: a name that the key's hash is part of, and no end (RFC 5280 section
 * 4.1.2.5), because what ends it is that targets stop trusting it.
 */
import 'reflect-metadata';
import { createHash, createPublicKey, type KeyObject, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { importSigningKey } from '../protocol/web-keys.ts';
import { encodeCrl } from '../protocol/x509-crl.ts';

export interface X509Ca {
  /** Of its own certificate, and so of the issuer of all that it signs: the common name, and nothing beside it. */
  name: string;
  certificatePem: string;
  /** PEM. */
  createCertificate(leaf: Leaf): Promise<string>;
  createCrl(list: CrlInput): Buffer;
}

export interface Leaf {
  /** Hex digits. */
  serial: string;
  subject: Subject;
  /** A URI in ASCII. */
  alternativeName: string;
  /** DER of a SubjectPublicKeyInfo. */
  publicKey: Uint8Array;
  notBeforeMs: number;
  notAfterMs: number;
}

export interface Subject {
  name: string;
  organization?: string;
  unit?: string;
}

export interface CrlInput {
  number: number;
  serials: readonly string[];
  nowMs: number;
}

const ALGORITHMS = { ed25519: { name: 'Ed25519' }, ecdsa: { name: 'ECDSA', hash: 'SHA-256' } };
const BORN = new Date('2020-01-01T00:00:00Z');
const NO_END = new Date('9999-12-31T23:59:59Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A target whose broker is gone goes on refusing only who was revoked, for so long; then it refuses everybody. */
const CRL_DAYS = 35;
/** More days than there will be since 1970. */
const DAYS = 2 ** 20;

/** `listUrl`: where the list of revocations is served, for the certificates to say. `key`: Ed25519, or P-256. */
export async function createX509Ca(
  key: KeyObject,
  listUrl: string,
  purpose: 'client' | 'break-glass' = 'client',
): Promise<X509Ca> {
  const keys = await importSigningKey(key);
  const algorithm = key.asymmetricKeyType === 'ec' ? 'ecdsa' : 'ed25519';
  const signingAlgorithm = ALGORITHMS[algorithm];
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const id = createHash('sha256').update(spki).digest('hex').slice(0, 16);
  const name = `oncall ${purpose} CA ${id}`;
  const own = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: [{ CN: [name] }],
      notBefore: BORN,
      notAfter: NO_END,
      signingAlgorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const authority = await x509.AuthorityKeyIdentifierExtension.create(own, false, webcrypto);
  const issuer = new Uint8Array(own.subjectName.toArrayBuffer());
  const keyIdentifier = Buffer.from(authority.keyId ?? '', 'hex');

  return {
    name,
    certificatePem: `${own.toString('pem')}\n`,

    async createCertificate({ serial, subject, alternativeName, publicKey, notBeforeMs, notAfterMs }) {
      const certificate = await x509.X509CertificateGenerator.create(
        {
          serialNumber: serial,
          subject: [
            { CN: [subject.name] },
            ...(subject.organization === undefined ? [] : [{ O: [subject.organization] }]),
            ...(subject.unit === undefined ? [] : [{ OU: [subject.unit] }]),
          ],
          issuer: own.subject,
          notBefore: new Date(notBeforeMs),
          notAfter: new Date(notAfterMs),
          signingAlgorithm,
          publicKey: new x509.PublicKey(Buffer.from(publicKey)),
          signingKey: keys.privateKey,
          extensions: [
            new x509.BasicConstraintsExtension(false, undefined, true),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
            new x509.SubjectAlternativeNameExtension([{ type: 'url', value: alternativeName }]),
            new x509.CRLDistributionPointsExtension([listUrl]),
            authority,
          ],
        },
        webcrypto,
      );
      return `${certificate.toString('pem')}\n`;
    },

    /** The number counts the day in, so that a list which is only newer has a higher one too (RFC 5280 section 5.2.3). */
    createCrl({ number, serials, nowMs }) {
      return encodeCrl({
        number: BigInt(number) * BigInt(DAYS) + BigInt(crlDay(nowMs)),
        issuer,
        keyIdentifier,
        // A target whose clock is behind would refuse everybody until this time has come.
        thisUpdateMs: nowMs - HOUR_MS,
        nextUpdateMs: nowMs + CRL_DAYS * DAY_MS,
        serials,
        algorithm,
        sign: (bytes) => sign(algorithm === 'ecdsa' ? 'sha256' : null, bytes, key),
      });
    },
  };
}

/** A list is made anew on each of these days, changed or not: what is served stays good for a month at any time. */
export function crlDay(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS);
}
