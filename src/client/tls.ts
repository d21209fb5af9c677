/**
 * How the broker is known over TLS: its identity key is a CA of its own, whose certificate comes in the chain. Enrolment finds it
 * there by the fingerprint in the invitation; from then on it is the only CA, so TLS keys rotate freely. Where a company's
 * proxy re-signs TLS, `ca: system` or a PEM file takes its place; signed statements stay checked against the pinned keys.
 */
import { createHash, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as tls from 'node:tls';
import { AppError } from '../protocol/errors.ts';
import { encodeBase32 } from '../protocol/ids.ts';
import { formatPublicKey, rawPublicKey } from '../protocol/keys.ts';
import type { ClientConfig } from './config.ts';
import { CONNECT_TIMEOUT_MS, explainUnreachable, openSocket, type Trust } from './connect.ts';
import { readSafeFile } from './files.ts';
import type { Environment } from './paths.ts';
import { bareHost } from './proxy.ts';

const LONGEST_CHAIN = 10;
/** Where Linux distributions and BSDs keep the bundle of trusted CAs; the order in which Go looks. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

export interface BrokerIdentity {
  /** `ed25519:…`. */
  readonly identityKey: string;
  /** PEM of the identity key's own certificate. */
  readonly certificate: string;
}

/** What an invitation says about the identity key: the first 16 bytes of SHA-256 of the raw key, in base 32. */
export function fingerprintOf(identityKey: string): string {
  return encodeBase32(createHash('sha256').update(rawPublicKey(identityKey)).digest().subarray(0, 16));
}

/**
 * Looks at the certificates that `url` presents, without trusting any of them, for the self-signed Ed25519 one that has this
 * fingerprint. Throws AppError `tls_untrusted` that names who issued what came instead, and `broker_unreachable`.
 */
export async function inspectIdentity(
  url: URL,
  fingerprint: string,
  env: Environment,
): Promise<BrokerIdentity> {
  const chain = await presentedChain(url, env);
  for (const certificate of chain) {
    if (certificate.publicKey.asymmetricKeyType !== 'ed25519' || !certificate.verify(certificate.publicKey))
      continue;
    const identityKey = formatPublicKey(certificate.publicKey);
    if (fingerprintOf(identityKey) === fingerprint.toLowerCase()) {
      return { identityKey, certificate: certificate.toString() };
    }
  }
  throw untrusted(url, chain, 'is not the broker that the invitation names');
}

/** Whom the configuration trusts. Throws AppError `config_invalid`, `unsafe_file`. */
export function readTrust(
  { ca, identityCertificate }: Pick<ClientConfig, 'ca' | 'identityCertificate'>,
  env: Environment,
): Trust {
  if (ca === 'pinned') {
    if (identityCertificate !== undefined) return { pinned: identityCertificate };
    throw new AppError('config_invalid', '`ca: pinned` needs `identityCertificate`', {
      hint: 'enrol again, or set ca to system or to a PEM file',
    });
  }
  if (ca === 'system') return { roots: systemCas(env) };
  const pem = readSafeFile(ca);
  if (pem?.includes('-----BEGIN CERTIFICATE-----')) return { roots: [pem.toString('utf8')] };
  throw new AppError('config_invalid', `\`ca: ${ca}\` is not a PEM file with certificates`, {
    hint: 'in config.yaml (oncall help files), set ca to pinned, system or a PEM file',
  });
}

function systemCas(env: Environment): string[] | undefined {
  // Node 22.15 and later ask the operating system.
  const { getCACertificates } = tls as { getCACertificates?: (type: 'system') => string[] };
  const fromSystem = env.SSL_CERT_FILE ? [] : (getCACertificates?.('system') ?? []);
  if (fromSystem.length > 0) return fromSystem;
  for (const path of env.SSL_CERT_FILE ? [env.SSL_CERT_FILE] : SYSTEM_BUNDLES) {
    const pem = readSafeFile(path);
    if (pem !== undefined) return [pem.toString('utf8')];
  }
  return undefined;
}

const UNTRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);

/** The AppError for a failed certificate check, or undefined where `error` is something else. Asks the peer once more what it presents. */
export async function explainTlsFailure(
  error: Error,
  url: URL,
  env: Environment,
): Promise<AppError | undefined> {
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return new AppError('tls_untrusted', `the certificate of ${url.host} is not valid at this time`, {
      hint: 'check the clock of this machine; else the broker needs: oncall broker rotate tls',
      cause: error,
    });
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new AppError('tls_untrusted', `the certificate of ${url.host} is for another name`, {
      hint: "use the broker's own URL, as the invitation has it",
      cause: error,
    });
  }
  if (!UNTRUSTED.has(code)) return undefined;
  const chain = await presentedChain(url, env).catch(() => []);
  return untrusted(url, chain, 'cannot be trusted', error);
}

function untrusted(url: URL, chain: readonly X509Certificate[], what: string, cause?: unknown): AppError {
  const issuer = issuerName(chain.at(-1) ?? chain[0]);
  return new AppError('tls_untrusted', `${url.host} ${what}: its certificate was issued by '${issuer}'`, {
    hint: 'an intercepting proxy? then set `ca: system` or `ca: /path/company-ca.pem`; else do not go on',
    cause,
  });
}

/** What a person would call the issuer. Attacker-controlled: escaped where it is shown. */
function issuerName(certificate: X509Certificate | undefined): string {
  const fields = new Map(
    certificate?.issuer
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  return (fields.get('CN') ?? fields.get('O') ?? certificate?.issuer ?? 'nobody').slice(0, 100);
}

/** The certificates that a server sends, leaf first, believed by nobody. Throws AppError `broker_unreachable`. */
async function presentedChain(url: URL, env: Environment): Promise<X509Certificate[]> {
  const host = bareHost(url);
  const socket = await openSocket({ url, env }).catch((error: unknown) => {
    throw explainUnreachable(error, url);
  });
  return new Promise((resolve, reject) => {
    const fail = (cause?: Error) => {
      socket.destroy();
      reject(
        new AppError('broker_unreachable', `${url.host} does not answer with TLS`, {
          hint: 'is it the right port?',
          cause,
        }),
      );
    };
    // Only to look: nothing is sent over this connection.
    const secure = tls.connect({
      socket,
      rejectUnauthorized: false,
      ...(isIP(host) ? {} : { servername: host }),
    });
    secure.setTimeout(CONNECT_TIMEOUT_MS, () => fail());
    secure.on('error', fail);
    secure.on('secureConnect', () => {
      const chain: X509Certificate[] = [];
      let next = secure.getPeerX509Certificate();
      for (; next !== undefined && chain.length < LONGEST_CHAIN; next = next.issuerCertificate)
        chain.push(next);
      secure.destroy();
      resolve(chain);
    });
  });
}
