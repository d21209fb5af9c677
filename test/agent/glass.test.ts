// What the agent does about break-glass, one look at a time, by a clock of its own.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createGlass, type Glass } from '../../src/agent/glass.ts';
import { type OpenInput, openPack } from '../../src/client/break-glass/open.ts';
import { createBroker } from '../../src/client/broker.ts';
import type { Client } from '../../src/client/client.ts';
import { deviceOf } from '../../src/client/device-key.ts';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { type GlassDevice, givePack, glassAuthority, glassDevice } from '../break-glass/device.ts';
import { serveJournal } from '../break-glass/journal-broker.ts';
import { testGrant } from '../client/fixture.ts';
import { startTestBroker, type TestBroker } from '../client/test-broker.ts';

const place: PackPlace = {
  ...{ kind: 'ssh', login: 'ops', hosts: [{ name: 'db-host', host: '127.0.0.1', port: 22 }] },
  knownHosts: ['[127.0.0.1]:22 ssh-ed25519 AAAA'],
};
const target = { resource: 'db-host', role: 'operator' };
const input: OpenInput = {
  ...{ target, reason: 'the replica is down', incident: null, drill: false, tool: 'ssh', probes: [] },
};

let broker: TestBroker;
let device: GlassDevice;
let client: Client;
let glass: Glass;
let nowMs: number;
let log: string[];
const asked = () => broker.asked.map(({ method, path }) => `${method} ${path}`);
const placed = () => {
  const folder = join(device.context.paths.runDir, 'grants');
  return existsSync(folder) ? readdirSync(folder) : [];
};

beforeEach(async () => {
  nowMs = Date.now();
  broker = await startTestBroker();
  const identity = { publicKey: broker.identity, privateKey: broker.identity };
  const signing = { ...glassAuthority(), identity, identityKey: broker.identityKey };
  device = await glassDevice(signing, { trust: broker.trust, now: () => nowMs });
  const { context, config, keys } = device;
  broker.devices.set(keys.keyId, keys.signingKey);
  broker.routes.set('GET /v1/break-glass/plan', () => ({ packs: [] }));
  broker.routes.set('GET /v1/me', () => ({}));
  serveJournal(broker, config.device.id, keys.signingKey);
  const opened = await deviceOf(config.device, context, keys.record);
  const { paths, env, warn } = context;
  const through = {
    config,
    signer: opened.signer,
    paths,
    now: Date.now,
    env,
    warn,
    device: config.device.id,
  };
  client = { context, config, device: async () => opened, broker: createBroker(through) };
  await givePack(signing, device, { place, nowMs });
  log = [];
  const write = (event: string) => void log.push(event);
  const signal = new AbortController().signal;
  glass = createGlass({ client, now: () => nowMs, random: () => 0.5, log: { write }, signal });
});

describe('the agent', () => {
  it('looks for packs while the broker is there, at its time, and at once when the rules change', async () => {
    await glass.look(undefined);
    expect([asked(), glass.nextAt()]).toEqual([[], undefined]);
    await glass.look([]);
    await glass.look([]);
    expect(asked()).toEqual(['GET /v1/break-glass/plan']);
    expect(glass.nextAt()).toBeGreaterThan(nowMs + 60_000);
    glass.rulesChanged();
    expect(glass.nextAt()).toBeLessThanOrEqual(nowMs);
    await glass.look([]);
    expect(asked()).toHaveLength(2);
    nowMs += 31 * 60_000;
    await glass.look([]);
    expect(asked()).toHaveLength(3);
  });

  it('wipes what was opened when its certificate has run out, the broker being away', async () => {
    const { credential } = await openPack(client, input);
    await glass.look(undefined);
    expect([glass.isBusy, glass.nextAt()]).toEqual([true, Date.parse(credential.expiresAt)]);
    nowMs = Date.parse(credential.expiresAt);
    await glass.look(undefined);
    expect([placed(), glass.isBusy, log]).toEqual([[], false, ['break-glass.closed']]);
  });

  it('gives up what the broker grants again, once it has been told', async () => {
    await openPack(client, input);
    const grant = testGrant({ target });
    await glass.look(undefined);
    expect(placed()).toHaveLength(1);
    await client.broker.get('/v1/me');
    await glass.look([testGrant()]);
    expect(placed()).toHaveLength(1);
    await glass.look([grant]);
    expect([placed(), log]).toEqual([[], ['break-glass.closed']]);
  });
});
