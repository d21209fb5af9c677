import { AppError } from '../protocol/errors.ts';
import { createAgentBroker } from './agent-broker.ts';
import { type AgentLine, findAgent } from './agent-line.ts';
import type { BrokerClient } from './broker.ts';
import { type ClientConfig, loadConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import { type Device, openDevice } from './device-key.ts';
import type { ClientPaths } from './paths.ts';

/** An enrolled device, ready to ask its broker. */
export interface Client {
  readonly context: ClientContext;
  readonly config: ClientConfig;
  readonly broker: BrokerClient;
  /** The device's secrets. Where an agent does the work the keystore is asked by the first call. */
  device(): Promise<Device>;
  /** Set where an agent answers for this device: it signs, and fetches credentials. */
  readonly agent?: AgentLine | undefined;
  /** An agent that was of something else has been asked to make room. */
  readonly replacesAgent?: boolean;
}

/** Throws AppError `not_enrolled` where there is no configuration. */
export async function requireConfig(context: ClientContext): Promise<ClientConfig> {
  const config = await loadConfig(context.paths);
  if (config !== undefined) return config;
  throw notEnrolled(context.paths);
}

export function notEnrolled({ profile }: ClientPaths): AppError {
  return new AppError(
    'not_enrolled',
    profile === 'default'
      ? 'this device is not enrolled'
      : `this device is not enrolled for profile ${profile}`,
    { hint: 'ask for an invitation, then: oncall enroll <invitation>' },
  );
}

/**
 * Through the agent where one answers, else straight. Throws AppError `not_enrolled` and, where it goes straight, what the
 * keystore throws.
 */
export async function openClient(context: ClientContext): Promise<Client> {
  const config = await requireConfig(context);
  const { line, wasReplaced } = await findAgent(context, config);
  if (line === undefined) return { ...(await openDirect(context, config)), replacesAgent: wasReplaced };
  let opened: Promise<Client> | undefined;
  const direct = () => {
    opened ??= openDirect(context, config);
    return opened;
  };
  const broker = createAgentBroker(line, async () => (await direct()).broker, context.warn);
  return { context, config, broker, device: async () => (await direct()).device(), agent: line };
}

/** One call to the keystore; meanwhile the connection to the broker is begun, over which nothing is said yet. */
async function openDirect(context: ClientContext, config: ClientConfig): Promise<Client> {
  const opening = openDevice(config.device, context);
  const signer = opening.then(({ signer }) => signer);
  // Reported below, whoever else waits for it.
  signer.catch(() => {});
  // The keychain's process is to be on its way while we load what an exchange needs.
  await new Promise((resolve) => setImmediate(resolve));
  const { createBroker } = await import('./broker.ts');
  const { paths, now, env, warn } = context;
  const broker = createBroker({ config, signer, paths, now, env, warn, device: config.device.id });
  try {
    const device = await opening;
    return { context, config, broker, device: async () => device };
  } catch (error) {
    broker.close();
    throw error;
  }
}
