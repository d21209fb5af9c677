/** What several checks stand on, each found out once. */
import type { Greeting } from '../../client/agent-wire.ts';
import type { BrokerClient } from '../../client/broker.ts';
import type { ClientConfig } from '../../client/config.ts';
import type { ClientContext } from '../../client/context.ts';
import type { DeviceRecord } from '../../client/device-record.ts';
import type { BrokerWay } from '../../client/look-at-broker.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { Identity, Me } from '../../protocol/messages.ts';
import type { Context } from '../context.ts';

/** Each throws what finding it out threw; {@link secondHand} tells whoever is not to report that. */
export interface Facts {
  readonly context: Context;
  /** Throws AppError `config_invalid` where no home folder is known. */
  place(): Promise<ClientContext>;
  config(): Promise<ClientConfig>;
  /** What the keystore holds; null where that is nothing beside an ssh-agent's key. */
  keys(): Promise<DeviceRecord | null>;
  /** Whoever answers at the agent's socket; undefined where nobody does. */
  agent(): Promise<Greeting | undefined>;
  /** Where the broker is reached, best first; at least one. */
  endpoints(): Promise<readonly URL[]>;
  /** To the first of them that answers. */
  way(): Promise<BrokerWay>;
  identity(): Promise<Met>;
  /** What the broker says to a signed request of this device. */
  me(): Promise<Me>;
}

/** A broker that has proven to be the one that was pinned. */
export interface Met {
  readonly identity: Identity;
  /** The broker's clock minus ours. */
  readonly skewMs: number;
  readonly tookMs: number;
}

export type Fact = Exclude<keyof Facts, 'context'>;

/** Said by a check that could not be made. */
export class NotChecked extends Error {
  override readonly name = 'NotChecked';
  readonly why: string;
  readonly fix: string | undefined;

  constructor(why: string, fix?: string, cause?: unknown) {
    super(`not checked: ${why}`, { cause });
    this.why = why;
    this.fix = fix;
  }
}

/** One that sleeps or is far away may take this long; nothing here is worth more waiting. */
const ANSWER_MS = 5_000;
/** An unlock prompt would have to be answered in this time. */
const KEYSTORE_MS = 10_000;

export function createFacts(context: Context): Facts {
  const facts: Facts = {
    context,
    place: once(() => context.clientContext()),
    config: once(async () => {
      const place = await given(facts.place, 'place');
      const { requireConfig } = await import('../../client/client.ts');
      return requireConfig(place);
    }),
    keys: once(async () => loadKeys(await given(facts.place, 'place'), await given(facts.config, 'config'))),
    agent: once(async () => {
      const { callAgent } = await import('../../client/agent-line.ts');
      const line = await callAgent(await given(facts.place, 'place'));
      // One that greets and then says nothing more is none.
      const answered = await line?.ask({ op: 'status' }, { timeoutMs: ANSWER_MS });
      return answered && line?.greeting;
    }),
    endpoints: once(async () => {
      const { paths, now } = await given(facts.place, 'place');
      const { openEndpoints } = await import('../../client/endpoints.ts');
      return openEndpoints(await given(facts.config, 'config'), paths, now).inOrder();
    }),
    way: once(async () => findWay(facts)),
    identity: once(async () => askIdentity(facts)),
    me: once(async () => {
      await given(facts.identity, 'identity');
      const broker = await openBroker(facts);
      try {
        const { getMe } = await import('../../client/calls.ts');
        return await getMe(broker, { timeoutMs: ANSWER_MS });
      } finally {
        broker.close();
      }
    }),
  };
  return facts;
}

/** The facts for a check that reports `own` alone: whatever else is missing is somebody else's finding. */
export function secondHand(facts: Facts, own: Fact | undefined): Facts {
  const names = Object.keys(MISSING) as Fact[];
  const wrapped = names.map((name) => [
    name,
    name === own ? facts[name] : () => given<unknown>(facts[name], name),
  ]);
  return { ...facts, ...Object.fromEntries(wrapped) };
}

const MISSING: Readonly<Record<Fact, string>> = {
  place: 'there is no home folder',
  config: 'there is no configuration that can be read',
  keys: 'the keys of this device cannot be had',
  agent: 'the agent cannot be asked',
  endpoints: 'nobody knows where the broker is',
  way: 'the broker was not reached',
  identity: 'the broker did not answer as itself',
  me: 'the broker did not answer this device',
};

async function given<T>(fact: () => Promise<T>, name: Fact): Promise<T> {
  try {
    return await fact();
  } catch (cause) {
    if (cause instanceof NotChecked || isAppError(cause, 'interrupted')) throw cause;
    throw new NotChecked(MISSING[name], isAppError(cause) ? cause.hint : undefined, cause);
  }
}

async function loadKeys(place: ClientContext, { device }: ClientConfig): Promise<DeviceRecord | null> {
  const kind = device.keystore === 'ssh-agent' ? device.secondKeystore : device.keystore;
  if (device.keystore === 'ssh-agent') await requireAgentKey(place, device.sshAgentKey);
  if (kind === undefined) return null;
  if (kind === 'keychain') {
    const { createKeychainKeystore } = await import('../../client/keystore-keychain.ts');
    return createKeychainKeystore(place, KEYSTORE_MS).load(device.keyId);
  }
  const { openKeystore } = await import('../../client/keystore.ts');
  return (await openKeystore(kind, place)).load(device.keyId);
}

async function requireAgentKey({ env }: ClientContext, line: string | undefined): Promise<void> {
  const { listAgentKeys } = await import('../../client/keystore-ssh-agent.ts');
  const keys = await listAgentKeys(env, KEYSTORE_MS);
  if (keys.some((key) => key.line === line)) return;
  throw new AppError('keychain_locked', 'the ssh-agent does not hold the key of this device', {
    hint: 'ssh-add',
  });
}

async function findWay(facts: Facts): Promise<BrokerWay> {
  const { context } = facts;
  const config = await given(facts.config, 'config');
  const { lookAtBroker } = await import('../../client/look-at-broker.ts');
  let first: unknown;
  for (const endpoint of await given(facts.endpoints, 'endpoints')) {
    try {
      return await lookAtBroker(config, endpoint, context.env, context.now);
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

async function askIdentity(facts: Facts): Promise<Met> {
  const config = await given(facts.config, 'config');
  await untilTrusted(facts);
  return meetAt((await facts.way()).endpoint, config, facts.context);
}

/** The broker at this one of its addresses. Throws AppError `broker_unreachable`, `tls_untrusted`. */
export async function meetAt(endpoint: URL, config: ClientConfig, context: Context): Promise<Met> {
  const { fetchIdentity } = await import('../../client/invitation.ts');
  const startedAt = context.now();
  const options = { timeoutMs: ANSWER_MS, at: endpoint };
  const identity = await fetchIdentity(new URL(config.broker), config, context, options);
  const tookMs = context.now() - startedAt;
  const isPinned = (['identityKey', 'logKey', 'origin'] as const).every(
    (name) => identity[name] === config[name],
  );
  if (!isPinned) {
    throw new AppError(
      'tls_untrusted',
      'another broker answers than the one that this device was enrolled at',
      { hint: 'tell who runs the broker; enrol again only where they say that its keys are new' },
    );
  }
  // What it said was so when it was said, which is half of the way ago.
  const skewMs = Date.parse(identity.time.now) - (startedAt + tookMs / 2);
  return { identity, skewMs, tookMs };
}

/** That it cannot be reached is what whoever asks reports; that what answers is not trusted is another check's. */
async function untilTrusted(facts: Facts): Promise<void> {
  try {
    await facts.way();
  } catch (error) {
    if (isAppError(error, 'broker_unreachable')) throw error;
    await given(facts.way, 'way');
  }
}

/** With the device's own keys, or through the agent where it has them and we do not. */
async function openBroker(facts: Facts): Promise<BrokerClient> {
  const [place, config] = [await facts.place(), await facts.config()];
  const record = await facts.keys().catch((error: unknown) => {
    if (isAppError(error, 'interrupted')) throw error;
    return undefined;
  });
  if (record === undefined) return openThroughAgent(facts, place, config);
  const { deviceOf } = await import('../../client/device-key.ts');
  const { createBroker } = await import('../../client/broker.ts');
  const { signer } = await deviceOf(config.device, place, record);
  const { paths, now, env } = place;
  return createBroker({ config, signer, paths, now, env, warn: () => {} });
}

async function openThroughAgent(
  facts: Facts,
  place: ClientContext,
  config: ClientConfig,
): Promise<BrokerClient> {
  const { callAgent, isOurs } = await import('../../client/agent-line.ts');
  const missing = async (): Promise<never> => {
    await given(facts.keys, 'keys');
    throw new NotChecked(MISSING.keys);
  };
  const greeting = place.agent && (await facts.agent().catch(() => undefined));
  const isUsable = greeting?.holdsKey === true && isOurs(greeting, place, config);
  const line = isUsable ? await callAgent(place) : undefined;
  if (line === undefined) return missing();
  const { createAgentBroker } = await import('../../client/agent-broker.ts');
  return createAgentBroker(line, missing, () => {});
}

function once<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | undefined;
  return () => {
    found ??= find();
    return found;
  };
}
