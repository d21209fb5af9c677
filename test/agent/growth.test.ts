// Two hundred grants that renew every minute: the keeper, the sealed credentials and the session files are real, the broker's
// answers are made here, and time is moved. ONCALL_TEST_AGENT_MINUTES=60 makes it the hour that is promised.

import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { startKeeper } from '../../src/agent/keeper.ts';
import { openLog } from '../../src/agent/log.ts';
import type { BrokerClient } from '../../src/client/broker.ts';
import type { Client } from '../../src/client/client.ts';
import type { ClientConfig } from '../../src/client/config.ts';
import { createDeviceKeys, createSigner } from '../../src/client/device-key.ts';
import { ensureCredentials } from '../../src/client/hold.ts';
import { createId } from '../../src/protocol/ids.ts';
import type { GrantView } from '../../src/protocol/messages.ts';
import { formatInstant } from '../../src/protocol/time.ts';
import { statusReply } from '../cli/views.ts';
import { testContext, testGrant } from '../client/fixture.ts';

const GRANTS = 200;
const MINUTES = Number(process.env.ONCALL_TEST_AGENT_MINUTES ?? 4);
/** A life of two minutes is renewed after one. */
const LIFE_MS = 120_000;
const DAY_MS = 86_400_000;
const SSH = { kind: 'ssh', certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA', login: 'ops' } as const;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heap(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

it(`keeps ${GRANTS} grants for ${MINUTES} minutes and does not grow`, async () => {
  const at = { now: Date.now() };
  const now = () => at.now;
  const context = testContext({ now });
  const keys = await createDeviceKeys();
  const grants = Array.from({ length: GRANTS }, (_, index): GrantView => {
    const target = { resource: `host-${index}`, role: 'operator' };
    const endsAt = formatInstant(now() + DAY_MS);
    return testGrant({ id: createId('gr', now()), kind: 'ssh', target, endsAt, hardEndsAt: endsAt });
  });
  let issued = 0;
  const answer = async (path: string): Promise<unknown> => {
    if (path === '/v1/status')
      return {
        ...statusReply,
        grants,
        pending: [],
        me: { ...statusReply.me, brokerTime: formatInstant(now()) },
      };
    const grant = grants.find(({ id }) => path === `/v1/grants/${id}/credentials`);
    if (grant === undefined) throw new Error(`nobody answers ${path}`);
    issued += 1;
    const index = grants.indexOf(grant);
    return {
      ...{ credentialId: `cr_${issued}`, grant, prolonged: false, handle: String(issued) },
      publicPart: { ...SSH, hosts: [{ name: `host-${index}`, host: '127.0.0.1', port: 22 }], knownHosts: [] },
      issuedAt: formatInstant(now()),
      expiresAt: formatInstant(now() + LIFE_MS),
    };
  };
  const broker = {
    get: answer,
    post: answer,
    skewMs: 0,
    close: () => {},
  } as unknown as BrokerClient;
  const device = {
    ...{ signer: createSigner(keys.record), sealing: undefined, record: keys.record },
    cacheKey: Buffer.from(keys.record.cache, 'base64'),
  };
  const config: ClientConfig = {
    version: 1,
    ...{ broker: 'https://b/', identityKey: '', logKey: '', origin: '', ca: 'pinned', user: 'ana' },
    device: { id: 'dev_1', keyId: keys.keyId, name: 'laptop', keystore: 'file' },
  };
  const client: Client = { context, config, broker, device: async () => device };
  for (let from = 0; from < GRANTS; from += 20)
    await ensureCredentials(client, grants.slice(from, from + 20));

  const ending = new AbortController();
  const keeper = startKeeper({
    ...{ client, random: Math.random, graceMs: undefined, network: () => '', isBusy: () => false },
    log: openLog(join(context.paths.stateDir, 'agent.log'), now),
    clocks: { now, monotonic: now, uptime: now },
    notify: () => {},
    signal: ending.signal,
    // Nothing is told.
    hear: (signal) => ({
      take: () => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      close: async () => {},
    }),
    reconnect: () => {},
  });
  const minute = async () => {
    for (let second = 0; second < 60; second += 4) {
      at.now += 4_000;
      await keeper.wake();
    }
  };
  await minute();
  await minute();
  const [before, issuedBefore] = [heap(), issued];
  for (let count = 0; count < MINUTES; count += 1) await minute();
  const renewals = issued - issuedBefore;
  expect(renewals).toBeGreaterThan(GRANTS * MINUTES * 0.8);
  // What a renewal leaves behind, if it left anything, would be a credential: a thousand bytes and more.
  expect((heap() - before) / renewals).toBeLessThan(100 + 2_000_000 / renewals);
  ending.abort();
  await keeper.ended;
}, 1_800_000);
