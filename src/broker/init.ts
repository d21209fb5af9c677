/** A new broker's folder: commented configuration, starter policy, keys, store, and the first invitation. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { starterCatalogue } from '../catalogue/starter.ts';
import { STARTER_POLICY } from '../policy/starter.ts';
import { AppError } from '../protocol/errors.ts';
import { isName } from '../protocol/names.ts';
import { type BrokerConfig, parseBrokerConfig } from './config.ts';
import { CONFIG_FILE, invalid } from './installation.ts';
import { createBrokerKeys, writeSecretFile } from './keys.ts';
import { createIdentityCertificate, createTlsCertificate } from './tls.ts';
import { rotateTokenKeys } from './token-keys.ts';

export interface InitOptions {
  directory: string;
  admin: string;
  publicUrl: string;
  listen: string;
}

export async function initDirectory(options: InitOptions, nowMs: number): Promise<BrokerConfig> {
  const { directory, admin } = options;
  if (!isName(admin))
    throw new AppError('usage', `'${admin}' is not a name for a person`, { hint: '--admin ana' });
  const configuration = configText(options);
  const { config, findings } = parseBrokerConfig(configuration, CONFIG_FILE, directory);
  if (!config) throw invalid('config_invalid', findings);

  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeNew(join(directory, CONFIG_FILE), configuration);
  await writeNew(join(directory, 'catalogue.yaml'), starterCatalogue({ admin }));
  await mkdir(join(directory, 'policies'), { recursive: true, mode: 0o700 });
  await writeNew(join(directory, 'policies', 'starter.cedar'), STARTER_POLICY);
  const keys = await createBrokerKeys(config.keysDirectory);
  await rotateTokenKeys(config.keysDirectory);
  const identityCertificate = await createIdentityCertificate(keys.identity, nowMs);
  await writeNew(join(config.keysDirectory, 'identity.crt'), identityCertificate);
  await writeTls(config, keys, identityCertificate, nowMs);
  return config;
}

/** A fresh TLS key under the identity key; a running broker takes it at its next reload. */
export async function writeTls(
  config: BrokerConfig,
  keys: Awaited<ReturnType<typeof createBrokerKeys>>,
  identityCertificate: string,
  nowMs: number,
): Promise<void> {
  const hosts = [
    ...new Set([config.publicUrl.hostname.replace(/^\[|\]$/g, ''), config.listen.host, 'localhost']),
  ];
  const named = hosts.filter((host) => host !== '0.0.0.0' && host !== '::');
  const { key, certificate } = await createTlsCertificate(keys.identity, identityCertificate, named, nowMs);
  // The key first: a crash between the two leaves a pair that does not match, which serving refuses, never a leak.
  await writeSecretFile(join(config.keysDirectory, 'tls.key'), key);
  await writeSecretFile(join(config.keysDirectory, 'tls.crt'), `${certificate}\n${identityCertificate}\n`);
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new AppError('conflict', `${file} exists already`, { hint: 'choose an empty folder', cause });
  }
}

function configText({ publicUrl, listen }: InitOptions): string {
  const url = URL.canParse(publicUrl) ? new URL(publicUrl) : undefined;
  return `# oncall broker: where it listens, what it is called, where it keeps things.
# 'oncall broker check' validates this file, the catalogue and the policies; SIGHUP reloads catalogue, policies and TLS keys.

# What clients call this broker, and the only authority that their signatures may name.
publicUrl: ${JSON.stringify(publicUrl)}

# Where it listens. Without TLS only loopback is allowed.
listen: ${JSON.stringify(listen)}
tls: ${url?.protocol !== 'http:'}

# The audit log's name, in checkpoints and receipts. It can never change.
origin: ${JSON.stringify(`${url?.hostname.replace(/[^a-z0-9.-]/g, '') || 'localhost'}/oncall`)}

# One file, or a PostgreSQL that several brokers share:
#   store: { postgres: { file: secrets/store-url } }
store:
  sqlite: oncall.db

limits:
  requestsPerSecond: 200 # from each device, and from one address what no device has signed
  maxConnections: 2000

# Load balancers in front: their X-Forwarded-For says whose address counts. From anybody else it is ignored.
#   trustedProxies: [10.0.0.0/24]

logLevel: info
`;
}
