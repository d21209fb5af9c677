/** TLS as the broker serves it: its key and certificate, and whether it asks clients for one. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Server } from 'node:tls';
import type { Logger } from 'pino';
import type { Catalogue } from '../../catalogue/types.ts';
import type { BrokerConfig } from '../config.ts';
import { readSecretFile } from '../keys.ts';

const MIN_VERSION = 'TLSv1.2' as const;

export interface ServedKey {
  key: string;
  cert: string;
}

export async function readTls(config: BrokerConfig): Promise<ServedKey> {
  const [key, cert] = await Promise.all([
    readSecretFile(join(config.keysDirectory, 'tls.key')),
    readFile(join(config.keysDirectory, 'tls.crt'), 'utf8'),
  ]);
  return { key, cert };
}

export function tlsOptions(served: ServedKey, catalogue: Catalogue) {
  return {
    ...served,
    minVersion: MIN_VERSION,
    requestCert: asksForCertificates(catalogue),
    // Who shows none is none the worse for it, and whose it is the source's own profile says.
    rejectUnauthorized: false,
  };
}

/** Files that make no pair, as in the middle of a rotation, leave the old one in force: no SIGHUP ends what serves. */
export async function takeTls(
  server: Server,
  config: BrokerConfig,
  catalogue: Catalogue,
  logger: Logger,
): Promise<void> {
  // Node reads it for each connection; `setSecureContext` does not set it.
  Object.assign(server, { requestCert: asksForCertificates(catalogue) });
  try {
    server.setSecureContext({ ...(await readTls(config)), minVersion: MIN_VERSION });
  } catch (error) {
    logger.error({ err: error }, 'the new TLS key cannot be used: the old one stays in force');
  }
}

/** Only where a source is known by one: most devices and probes have none, and browsers ask people for theirs. */
function asksForCertificates({ sources }: Catalogue): boolean {
  return [...sources.values()].some(
    ({ settings }) => settings.kind === 'alertmanager' && settings.clientCertificate !== undefined,
  );
}
