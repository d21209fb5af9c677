// Keeping packs: those that the broker plans, verified when they come, confirmed when they are on the disk, and gone when they are not
// planned any more.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { refreshPacks } from '../../src/client/break-glass/fetch.ts';
import { packsDueAt } from '../../src/client/break-glass/look-at.ts';
import { openPack } from '../../src/client/break-glass/open.ts';
import { listPacks } from '../../src/client/break-glass/packs.ts';
import { createBroker } from '../../src/client/broker.ts';
import type { Client } from '../../src/client/client.ts';
import { deviceOf } from '../../src/client/device-key.ts';
import { readStatusFile } from '../../src/client/status-file.ts';
import type { Pack, PackPlace, PlannedPack, RequestPack } from '../../src/protocol/messages.ts';
import { failureOf } from '../client/fixture.ts';
import { Refused, startTestBroker, type TestBroker } from '../client/test-broker.ts';
import { runCli } from '../support/process.ts';
import {
  type GlassAuthority,
  type GlassDevice,
  glassAuthority,
  glassDevice,
  HOUR_MS,
  packFor,
} from './device.ts';
import { serveJournal } from './journal-broker.ts';

const place: PackPlace = {
  ...{ kind: 'ssh', login: 'ops', hosts: [{ name: 'db-host', host: '127.0.0.1', port: 22 }] },
  knownHosts: ['[127.0.0.1]:22 ssh-ed25519 AAAA'],
};
const START = Date.now() - 10 * 60_000;
const planned = (more: Partial<PlannedPack> = {}): PlannedPack => ({
  ...{ resource: 'db-host', role: 'operator', material: 'ssh', epoch: 1, pack: null },
  startsAt: new Date(START).toISOString(),
  endsAt: new Date(START + 2 * HOUR_MS).toISOString(),
  ...more,
});

let broker: TestBroker;
let signing: GlassAuthority;
let device: GlassDevice;
let client: Client;
let plan: PlannedPack[];
let confirmed: string[];
const issued = new Map<string, Pack>();
const asked = () => broker.asked.map(({ method, path }) => `${method} ${path}`);
const files = () => {
  const folder = join(device.context.paths.breakGlassDir, 'packs');
  return existsSync(folder) ? readdirSync(folder).map((name) => name.replace('.json', '')) : [];
};

beforeEach(async () => {
  broker = await startTestBroker();
  const identity = { publicKey: broker.identity, privateKey: broker.identity };
  signing = { ...glassAuthority(), identity, identityKey: broker.identityKey };
  device = await glassDevice(signing, { trust: broker.trust });
  const { context, config, keys } = device;
  broker.devices.set(keys.keyId, keys.signingKey);
  [plan, confirmed] = [[planned()], []];
  broker.routes.set('GET /v1/break-glass/plan', () => ({ packs: plan }));
  broker.routes.set('POST /v1/break-glass/packs', async ({ body }) => {
    const { resource, role, startsAt, material } = body as RequestPack;
    const { epoch } = plan.find((one) => one.resource === resource) ?? { epoch: 1 };
    const options = { place, resource, role, epoch, startsAtMs: Date.parse(startsAt) };
    const pack = await packFor(signing, device, material, options);
    issued.set(pack.id, pack);
    broker.routes.set(`POST /v1/break-glass/packs/${pack.id}/confirm`, () => {
      // On the disk by now: the broker counts on it.
      expect(files()).toContain(pack.id);
      confirmed.push(pack.id);
      plan = plan.map((one) => (one.resource === resource ? { ...one, pack: pack.id } : one));
      return { id: pack.id };
    });
    return pack;
  });
  const opened = await deviceOf(config.device, context, keys.record);
  const { paths, now, env, warn } = context;
  const input = { config, signer: opened.signer, paths, now, env, warn, device: config.device.id };
  client = { context, config, device: async () => opened, broker: createBroker(input) };
});

describe('packs', () => {
  it('are fetched as planned, confirmed once they are on the disk, and then left alone', async () => {
    const { fetched, failure } = await refreshPacks(client);
    expect({ fetched: fetched.length, failure }).toEqual({ fetched: 1, failure: undefined });
    expect([files(), confirmed]).toEqual([fetched, fetched]);
    expect(readStatusFile(device.context.paths)?.breakGlass.packs).toMatchObject([{ id: fetched[0] }]);
    const before = broker.asked.length;
    expect(await refreshPacks(client)).toMatchObject({ fetched: [], removed: [] });
    expect(asked().slice(before)).toEqual(['GET /v1/break-glass/plan']);
    expect(packsDueAt(device.context)).toBeGreaterThan(Date.now());
  });

  it('open, and are sealed for the key that this device made', async () => {
    await refreshPacks(client);
    const target = { resource: 'db-host', role: 'operator' };
    const input = { reason: 'the replica is down', incident: null, drill: false, tool: 'ssh', probes: [] };
    const { credential } = await openPack(client, { target, ...input });
    expect(credential.publicPart).toMatchObject({
      kind: 'ssh',
      certificate: expect.stringMatching(/^ssh-ed25519-cert/),
    });
  });

  it('are confirmed by the next look where that was lost', async () => {
    const confirm = broker.routes;
    const { get } = confirm;
    confirm.get = (name: string) =>
      name.endsWith('/confirm') && confirmed.length === 0 ? undefined : get.call(confirm, name);
    expect((await refreshPacks(client)).failure).toMatchObject({ code: 'not_found' });
    expect(files()).toHaveLength(1);
    confirm.get = get;
    plan = plan.map((one) => ({ ...one, pack: files()[0] ?? null }));
    await refreshPacks(client);
    expect(confirmed).toEqual(files());
  });

  it('that are not planned any more go, and so do those of an older epoch', async () => {
    const { fetched } = await refreshPacks(client);
    plan = [planned({ epoch: 2 })];
    const second = await refreshPacks(client);
    expect(second).toMatchObject({ removed: fetched });
    expect(files()).toEqual(second.fetched);
    plan = [];
    await refreshPacks(client);
    expect(files()).toEqual([]);
  });

  it('that were opened stay as long as the journal speaks of them', async () => {
    serveJournal(broker, device.config.device.id, device.keys.signingKey);
    const { fetched } = await refreshPacks(client);
    const target = { resource: 'db-host', role: 'operator' };
    await openPack(client, {
      target,
      reason: 'it is down',
      incident: null,
      drill: false,
      tool: 'ssh',
      probes: [],
    });
    plan = [];
    expect((await refreshPacks(client)).removed).toEqual([]);
    expect(files()).toEqual(fetched);
  });

  it('that are not as the broker signs them are not kept, and the others are', async () => {
    plan = [planned({ resource: 'db-replica' }), planned()];
    const issue = broker.routes.get('POST /v1/break-glass/packs')!;
    broker.routes.set('POST /v1/break-glass/packs', async (ask) => {
      const pack = (await issue(ask)) as Pack;
      return pack.resource === 'db-host' ? pack : { ...pack, endsAt: new Date().toISOString() };
    });
    const { fetched, failure } = await refreshPacks(client);
    expect(failure).toMatchObject({ code: 'corrupt_file' });
    expect(listPacks(device.context.paths, device.config).packs.map(({ pack }) => pack.resource)).toEqual([
      'db-host',
    ]);
    expect(fetched).toHaveLength(1);
    // Sooner than if all had been well.
    expect(packsDueAt(device.context) - Date.now()).toBeLessThan(6 * 60_000);
  });

  it('for another key than this device made are not kept', async () => {
    broker.routes.set('POST /v1/break-glass/packs', async ({ body }) => {
      const { startsAt } = body as RequestPack;
      const { createSshKey } = await import('../../src/client/targets/ssh.ts');
      const { publicKey } = await createSshKey();
      return packFor(
        signing,
        device,
        { kind: 'ssh', publicKey },
        { place, startsAtMs: Date.parse(startsAt) },
      );
    });
    expect((await refreshPacks(client)).failure).toMatchObject({ code: 'corrupt_file' });
    expect(files()).toEqual([]);
  });

  it('stay where the broker cannot be asked, and where it is an older one that knows of none', async () => {
    await refreshPacks(client);
    const before = files();
    broker.routes.set('GET /v1/break-glass/plan', () => new Refused({ status: 500, code: 'internal' }));
    expect(await failureOf(refreshPacks(client))).toMatchObject({ code: 'internal' });
    expect(files()).toEqual(before);
  });
});

describe('a command that reaches the broker, without an agent', () => {
  it('fetches packs once its result is written, and not each time', async () => {
    broker.routes.set('GET /v1/me', () => ({
      user: 'ana',
      groups: [],
      shifts: [],
      notices: [],
      devices: [],
    }));
    const env = { ONCALL_HOME: device.home };
    await runCli(['whoami'], { env });
    expect([files().length, confirmed.length]).toEqual([1, 1]);
    const before = broker.asked.length;
    await runCli(['whoami'], { env });
    expect(asked().slice(before)).toEqual(['GET /v1/me']);
  });
});
