/** The issuers of this broker, wired to its keys, its secrets and its store. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { formatKeyName } from '../audit/signed-note.ts';
import type { SecretRef } from '../catalogue/types.ts';
import type { Issuer } from '../issuers/issuer.ts';
import { createIssuers } from '../issuers/kinds.ts';
import { createSignedKrl } from '../issuers/krl.ts';
import { AppError } from '../protocol/errors.ts';
import { sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { Store } from '../store/store.ts';
import type { BrokerConfig } from './config.ts';
import type { BrokerKeys } from './keys.ts';

const KRL = 'ssh';

export interface IssuerParts {
  config: BrokerConfig;
  keys: BrokerKeys;
  store: Store;
  resolveSecret: (ref: SecretRef) => Promise<string>;
  /** The folder that relative paths in the catalogue start from. */
  catalogueDirectory: string;
}

export function createBrokerIssuers(parts: IssuerParts): {
  issuers: readonly Issuer[];
  close(): Promise<void>;
} {
  const { config, keys, store, catalogueDirectory } = parts;
  return createIssuers({
    installation: formatKeyName({ name: config.origin, publicKey: keys.log.rawPublicKey }),
    resolveSecret: (ref) => parts.resolveSecret(ref).catch(notSetUp),
    readCa: (file) =>
      readFile(isAbsolute(file) ? file : join(catalogueDirectory, file), 'utf8').catch(notSetUp),
    ca: { publicKey: sshPublicKeyBlob(keys.sshCa.privateKey), sign: keys.sshCa.sign },
    publicUrl: config.publicUrl.href,
    identityKey: keys.identity.privateKey,
    revocations: {
      revoke: ({ list, serial, expiresAtMs }) =>
        store.write((tx) => tx.addRevocations(list, [{ serial, expiresAt: expiresAtMs }])),
    },
  });
}

/** For the engineer this is the target's fault; what is missing is in the log, and `oncall broker check` says it too. */
function notSetUp(cause: unknown): never {
  throw new AppError('target_refused', 'the broker is not set up for this target', {
    hint: 'ask your administrators to run oncall broker check',
    cause,
  });
}

/** The revocation list as hosts pull it, made anew when its number has risen. */
export function createKrlSource(
  parts: Pick<IssuerParts, 'keys' | 'store'>,
): () => Promise<{ krl: Uint8Array; signature: string }> {
  const { keys, store } = parts;
  let cached: { number: number; krl: Uint8Array; signature: string } | undefined;
  return async () => {
    const { number, entries } = await store.read((tx) => tx.revocations(KRL));
    if (cached?.number === number) return cached;
    const nowMs = await store.now();
    const ca = sshPublicKeyBlob(keys.sshCa.privateKey);
    const signed = createSignedKrl({ number, entries, ca, nowMs, sign: keys.identity.sign });
    cached = { number, ...signed };
    return cached;
  };
}
