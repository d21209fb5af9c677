import type { SecretRef } from '../catalogue/types.ts';
import type { Store } from '../store/store.ts';
import type { BrokerConfig } from './config.ts';

const POOL_SIZE = 10;

/** The store that broker.yaml names; the other one's driver is not even loaded. */
export async function openStore(
  config: BrokerConfig,
  resolveSecret: (ref: SecretRef) => Promise<string>,
  now: () => number,
): Promise<Store> {
  if (config.store.kind === 'sqlite') {
    const { openSqliteStore } = await import('../store/sqlite.ts');
    return openSqliteStore({ file: config.store.file, now });
  }
  const { openPostgresStore } = await import('../store/postgres.ts');
  return openPostgresStore({ connectionString: await resolveSecret(config.store.url), poolSize: POOL_SIZE });
}
