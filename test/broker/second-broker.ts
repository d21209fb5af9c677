// More than one broker for one installation: a copy of its folder that listens on a port of its own, as behind a load
// balancer, where every signature names the one public address.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerOptions, startBroker } from '../../src/broker/broker.ts';
import { openPostgresStore } from '../../src/store/postgres.ts';
import { atEnd } from '../support/at-end.ts';
import { type Answer, type CallOptions, send, type TestDevice } from '../support/device.ts';
import type { Installation } from '../support/installation.ts';
import { testDatabase } from '../support/postgres.ts';
import { freePort, tempDir } from '../support/temp.ts';

/** For `install({ store })`; `migrateStore` must follow before anything starts. */
export const POSTGRES_STORE = 'store: { postgres: { file: secrets/store-url } }';

/** A fresh PostgreSQL database behind an installation made with `POSTGRES_STORE`. */
export async function migrateStore({ directory }: Installation): Promise<void> {
  const { url } = await testDatabase('store');
  mkdirSync(join(directory, 'secrets'), { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'secrets', 'store-url'), url, { mode: 0o600 });
  const store = await openPostgresStore({ connectionString: url, poolSize: 1 });
  await store.migrate();
  await store.close();
}

export interface SecondBroker {
  directory: string;
  /** Where it listens. What it is called is the installation's `url`. */
  url: string;
}

/** Copies the folder; a SQLite store stays where it is, shared by both. */
export async function copyInstallation(installation: Installation): Promise<SecondBroker> {
  const directory = join(tempDir(), 'second');
  cpSync(installation.directory, directory, { recursive: true });
  const port = await freePort();
  const config = installation
    .read('broker.yaml')
    .replace(/^listen: .*$/m, `listen: "127.0.0.1:${port}"`)
    .replace('sqlite: oncall.db', `sqlite: ${JSON.stringify(join(installation.directory, 'oncall.db'))}`);
  writeFileSync(join(directory, 'broker.yaml'), config, { mode: 0o600 });
  return { directory, url: `http://127.0.0.1:${port}` };
}

/** Starts it in this process; stopped at the end of the file. */
export async function startSecond(
  { directory }: SecondBroker,
  more: Partial<BrokerOptions> = {},
): Promise<void> {
  const broker = await startBroker({
    directory,
    version: '0.0.0-test',
    env: {},
    now: Date.now,
    log: () => undefined,
    ...more,
  });
  atEnd(() => broker.stop());
}

/** Signed for the public address, sent to the broker at `url`. */
export async function callAt<T>(
  url: string,
  device: TestDevice,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  options?: CallOptions,
): Promise<Answer<T>> {
  const sent = await device.prepare(method, path, body, options);
  return send<T>({ ...sent, url: new URL(path, url) });
}
