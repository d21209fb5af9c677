// The device's own word to the webhook: signed by a key that its receiver can make again, the same however often it is told, and told until
// it is heard.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { deviceWebhookKey } from '../../src/break-glass/pack.ts';
import { closeTarget } from '../../src/client/break-glass/close.ts';
import { type OpenInput, openPack } from '../../src/client/break-glass/open.ts';
import { isSomethingUntold, tellOpenings } from '../../src/client/break-glass/tell.ts';
import type { Client } from '../../src/client/client.ts';
import { deviceOf } from '../../src/client/device-key.ts';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { createStandardWebhook } from '../../src/sources/standard-webhook.ts';
import { atEnd } from '../support/at-end.ts';
import { runCli } from '../support/process.ts';
import { type GlassDevice, givePack, glassAuthority, glassDevice, WEBHOOK_SECRET } from './device.ts';

const authority = glassAuthority();
const place: PackPlace = {
  ...{ kind: 'ssh', login: 'ops', hosts: [{ name: 'db-host', host: '127.0.0.1', port: 22 }] },
  knownHosts: ['[127.0.0.1]:22 ssh-ed25519 AAAA'],
};
const input: OpenInput = {
  ...{ target: { resource: 'db-host', role: 'operator' }, reason: 'the replica is down', incident: 'P1-1' },
  ...{ drill: false, tool: 'ssh', probes: [] },
};

interface Heard {
  id: string;
  body: Record<string, unknown>;
}

/** Believes only what this device's own key has signed. */
async function receiver(device: GlassDevice) {
  const key = Buffer.from(deviceWebhookKey(WEBHOOK_SECRET, device.config.device.id)).toString('base64');
  const profile = createStandardWebhook('break-glass', [`whsec_${key}`], () => []);
  const heard: Heard[] = [];
  const state = { status: 200, isSilent: false };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (state.isSilent) return;
      const body = Buffer.concat(chunks);
      const headers = request.headers as Record<string, string>;
      profile.verify({ headers, body, clientCertificate: undefined }, Date.now());
      if (state.status === 200)
        heard.push({ id: String(request.headers['webhook-id']), body: JSON.parse(body.toString()) });
      response.writeHead(state.status, { location: 'http://127.0.0.1:1/' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  atEnd(close);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return { url, heard, state, close };
}

let device: GlassDevice;
let client: Client;
let hook: Awaited<ReturnType<typeof receiver>>;

beforeEach(async () => {
  device = await glassDevice(authority);
  hook = await receiver(device);
  const { context, config, keys } = device;
  const opened = await deviceOf(config.device, context, keys.record);
  client = { context, config, device: async () => opened, broker: undefined as never };
  await givePack(authority, device, { place, webhookUrl: hook.url });
});

describe('an opening', () => {
  it('is told once, as Standard Webhooks says, by a key of this device', async () => {
    const { use } = await openPack(client, input);
    expect(isSomethingUntold(client)).toBe(true);
    expect(await tellOpenings(client)).toMatchObject({ told: [use.entry], waiting: 0 });
    expect(hook.heard).toEqual([
      {
        id: `${use.pack}-${use.slot}-${use.entry}`,
        body: expect.objectContaining({
          ...{ schema: 'oncall.break-glass-opened/v1', user: 'ana', device: device.config.device.id },
          ...{ resource: 'db-host', role: 'operator', reason: input.reason, incident: 'P1-1', drill: false },
          ...{ pack: use.pack, slot: use.slot, entry: use.entry },
        }),
      },
    ]);
    expect([isSomethingUntold(client), (await tellOpenings(client)).told]).toEqual([false, []]);
  });

  it.each([500, 302, 429])('is told again while the receiver answers %i', async (status) => {
    await openPack(client, input);
    hook.state.status = status;
    expect(await tellOpenings(client)).toMatchObject({ told: [], waiting: 1 });
    hook.state.status = 200;
    expect(await tellOpenings(client)).toMatchObject({ waiting: 0 });
    expect(hook.heard).toHaveLength(1);
  });

  it('is told later where nobody answers, in order, and none is left out', async () => {
    hook.state.isSilent = true;
    const first = await openPack(client, input);
    expect(await tellOpenings(client, AbortSignal.timeout(50))).toMatchObject({ told: [], waiting: 1 });
    await closeTarget(client, input.target, 'released');
    await givePack(authority, device, { place, webhookUrl: hook.url });
    const second = await openPack(client, input);
    hook.state.isSilent = false;
    await tellOpenings(client);
    expect(hook.heard.map(({ body }) => body.entry)).toEqual([first.use.entry, second.use.entry]);
  });

  it('is told by the command itself, and by the next one where it was not heard', async () => {
    hook.state.status = 503;
    const env = { ONCALL_HOME: device.home };
    const ran = await runCli(['break-glass', 'db-host', '--reason', 'the replica is down'], { env });
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('told later') });
    hook.state.status = 200;
    await runCli(['run', 'db-host', '--', 'true'], { env });
    expect(hook.heard).toHaveLength(1);
  });

  it('goes to nobody where the pack names no webhook', async () => {
    const other = await glassDevice(authority);
    await givePack(authority, other, { place });
    const opened = await deviceOf(other.config.device, other.context, other.keys.record);
    const quiet: Client = {
      ...client,
      context: other.context,
      config: other.config,
      device: async () => opened,
    };
    await openPack(quiet, input);
    expect(await tellOpenings(quiet)).toMatchObject({ waiting: 0 });
    expect([isSomethingUntold(quiet), hook.heard]).toEqual([false, []]);
  });
});
