import { AppError } from '../protocol/errors.ts';
import type { BrokerClient } from './broker.ts';
import { type ClientConfig, loadConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import { type Device, openDevice } from './device-key.ts';

/** An enrolled device, ready to ask its broker. */
export interface Client {
  readonly context: ClientContext;
  readonly config: ClientConfig;
  readonly device: Device;
  readonly broker: BrokerClient;
}

/** Throws AppError `not_enrolled` where there is no configuration. */
export async function requireConfig(context: ClientContext): Promise<ClientConfig> {
  const config = await loadConfig(context.paths);
  if (config !== undefined) return config;
  const { profile } = context.paths;
  throw new AppError(
    'not_enrolled',
    profile === 'default'
      ? 'this device is not enrolled'
      : `this device is not enrolled for profile ${profile}`,
    { hint: 'ask for an invitation, then: oncall enroll <invitation>' },
  );
}

/**
 * One call to the keystore; meanwhile the connection to the broker is begun, over which nothing is said yet. Throws AppError
 * `not_enrolled` and what the keystore throws.
 */
export async function openClient(context: ClientContext): Promise<Client> {
  const config = await requireConfig(context);
  const opening = openDevice(config.device, context);
  const signer = opening.then(({ signer }) => signer);
  // Reported below, whoever else waits for it.
  signer.catch(() => {});
  // The keychain's process is to be on its way while we load what an exchange needs.
  await new Promise((resolve) => setImmediate(resolve));
  const { createBroker } = await import('./broker.ts');
  const { paths, now, env, warn } = context;
  const broker = createBroker({ config, signer, paths, now, env, warn });
  try {
    return { context, config, device: await opening, broker };
  } catch (error) {
    broker.close();
    throw error;
  }
}
