// What a client's test starts from: a context with folders of its own, and a device that the test's broker knows.
import { join } from 'node:path';
import { type BrokerClient, createBroker } from '../../src/client/broker.ts';
import type { Client } from '../../src/client/client.ts';
import type { ClientConfig } from '../../src/client/config.ts';
import {
  type ClientContext,
  type ClientContextInput,
  createClientContext,
} from '../../src/client/context.ts';
import { createDeviceKeys, createSigner, type DeviceSigner } from '../../src/client/device-key.ts';
import type { GrantView } from '../../src/protocol/messages.ts';
import { formatInstant } from '../../src/protocol/time.ts';
import { tempDir } from '../support/temp.ts';
import type { TestBroker } from './test-broker.ts';

export type TestContext = ClientContext & { warnings: string[] };

export function testContext(more: Partial<ClientContextInput> = {}): TestContext {
  const warnings: string[] = [];
  const context = createClientContext({
    profile: 'default',
    now: Date.now,
    warn: (message) => void warnings.push(message),
    interactive: false,
    askPassphrase: undefined,
    keychainChild: ['/nowhere'],
    ...more,
    env: { ONCALL_HOME: join(tempDir(), 'oncall'), ...more.env },
  });
  return Object.assign(context, { warnings });
}

export interface TestClient extends Client {
  context: TestContext;
  signer: DeviceSigner;
  broker: BrokerClient;
}

/** An enrolled device, without the enrolment. */
export async function testClient(
  broker: TestBroker,
  context = testContext(),
  trust: Partial<ClientConfig> = {},
): Promise<TestClient> {
  const keys = await createDeviceKeys();
  broker.devices.set(keys.keyId, keys.signingKey);
  const signer = createSigner(keys.record);
  const config: ClientConfig = {
    version: 1,
    ...broker.trust,
    user: 'ana',
    device: { id: 'dev_1', keyId: keys.keyId, name: 'laptop', keystore: 'file' },
    ...trust,
  };
  const { paths, now, env, warn } = context;
  const client = createBroker({ config, signer, paths, now, env, warn });
  const cacheKey = Buffer.from(keys.record.cache, 'base64');
  const device = async () => ({ signer, cacheKey, sealing: undefined, record: keys.record });
  return { context, config, device, signer, broker: client };
}

export const GRANT_ID = 'gr_0123456789abcdefghj';

export function testGrant(more: Partial<GrantView> = {}): GrantView {
  return {
    id: GRANT_ID,
    requestId: 'req_0123456789abcdefghj',
    user: 'ana',
    target: { resource: 'db-replica', role: 'read' },
    kind: 'postgres',
    state: 'active',
    via: 'policy',
    rule: null,
    incidents: ['P1-123'],
    startsAt: formatInstant(Date.now()),
    endsAt: formatInstant(Date.now() + 7_200_000),
    hardEndsAt: formatInstant(Date.now() + 14_400_000),
    graceEndsAt: null,
    graceCause: null,
    extensionsLeft: 2,
    endCause: null,
    endedAt: null,
    held: false,
    credentials: [],
    ...more,
  };
}

/** The error that a promise is rejected with, or that a function throws; anything else fails the test. */
export async function failureOf(
  work: Promise<unknown> | (() => unknown),
): Promise<{ code: string; message: string; hint?: string }> {
  const promise = typeof work === 'function' ? Promise.resolve().then(work) : work;
  return promise.then(
    (value) => {
      throw new Error(`no failure but ${JSON.stringify(value)}`);
    },
    (error) => error,
  );
}
