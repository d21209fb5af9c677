import { AppError } from '../protocol/errors.ts';
import { type BrokerClient, createBroker } from './broker.ts';
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

/** One call to the keystore, none to the network. Throws AppError `not_enrolled` and what the keystore throws. */
export async function openClient(context: ClientContext): Promise<Client> {
  const config = await requireConfig(context);
  const device = await openDevice(config.device, context);
  const { paths, now, env, warn } = context;
  const broker = await createBroker({ config, signer: device.signer, paths, now, env, warn });
  return { context, config, device, broker };
}
