/** The issuers of this broker, wired to its keys, its secrets and its store. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { formatKeyName } from '../audit/signed-note.ts';
import type { SecretRef } from '../catalogue/types.ts';
import type { BreakGlassIssuer } from '../issuers/break-glass.ts';
import type { Issuer } from '../issuers/issuer.ts';
import { BREAK_GLASS_LIST_PATH, createIssuers, X509_LIST_PATH } from '../issuers/kinds.ts';
import type { SshCa } from '../issuers/ssh.ts';
import { createX509Ca, type X509Ca } from '../issuers/x509-ca.ts';
import { AppError } from '../protocol/errors.ts';
import { sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { Store } from '../store/store.ts';
import type { BrokerConfig } from './config.ts';
import type { BrokerKeys, SigningKey } from './keys.ts';
import { openTokenKeyring, type TokenKeyring } from './token-keys.ts';

/** What logins are signed with, beside the keys that every broker has. */
export interface IssuerKeys {
  x509Ca: X509Ca;
  breakGlassCa: X509Ca;
  tokenKeys: TokenKeyring;
  /** PEM; undefined where the broker does not serve TLS itself. */
  identityCertificate: string | undefined;
}

/** Throws AppError `config_invalid` and `unsafe_file`. */
export async function loadIssuerKeys(
  { x509Ca, breakGlass }: BrokerKeys,
  { publicUrl, keysDirectory, tls }: BrokerConfig,
): Promise<IssuerKeys> {
  const listAt = (path: string) => new URL(path, publicUrl).href;
  return {
    x509Ca: await createX509Ca(x509Ca.privateKey, listAt(X509_LIST_PATH)),
    breakGlassCa: await createX509Ca(breakGlass.x509, listAt(BREAK_GLASS_LIST_PATH), 'break-glass'),
    tokenKeys: await openTokenKeyring(keysDirectory),
    identityCertificate: tls ? await readFile(join(keysDirectory, 'identity.crt'), 'utf8') : undefined,
  };
}

export interface IssuerParts {
  config: BrokerConfig;
  keys: BrokerKeys;
  issuerKeys: IssuerKeys;
  store: Store;
  resolveSecret: (ref: SecretRef) => Promise<string>;
  /** The folder that relative paths in the catalogue start from. */
  catalogueDirectory: string;
}

export function createBrokerIssuers(parts: IssuerParts): {
  issuers: readonly Issuer[];
  breakGlass: readonly BreakGlassIssuer[];
  close(): Promise<void>;
} {
  const { config, keys, issuerKeys, store, catalogueDirectory } = parts;
  return createIssuers({
    installation: formatKeyName({ name: config.origin, publicKey: keys.log.rawPublicKey }),
    resolveSecret: (ref) => parts.resolveSecret(ref).catch(notSetUp),
    readCa: (file) =>
      readFile(isAbsolute(file) ? file : join(catalogueDirectory, file), 'utf8').catch(notSetUp),
    ca: sshCaOf(keys.sshCa),
    x509Ca: issuerKeys.x509Ca,
    breakGlassCas: { ssh: sshCaOf(keys.breakGlass.ssh), x509: issuerKeys.breakGlassCa },
    tokenKeys: () => issuerKeys.tokenKeys.keys(),
    identityCertificate: issuerKeys.identityCertificate,
    publicUrl: config.publicUrl.href,
    identityKey: keys.identity.privateKey,
    revocations: {
      revoke: ({ list, serial, expiresAtMs }) =>
        store.write((tx) => tx.addRevocations(list, [{ serial, expiresAt: expiresAtMs }])),
    },
  });
}

function sshCaOf({ privateKey, sign }: SigningKey): SshCa {
  return { publicKey: sshPublicKeyBlob(privateKey), sign };
}

/** For the engineer this is the target's fault; what is missing is in the log, and `oncall broker check` says it too. */
function notSetUp(cause: unknown): never {
  throw new AppError('target_refused', 'the broker is not set up for this target', {
    hint: 'ask your administrators to run oncall broker check',
    cause,
  });
}
