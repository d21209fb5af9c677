// What counts as a decision and what does not, by the command line itself: whatever stands where the broker should be, a pack opens unless
// the broker itself has said something.
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseEntry } from '../../src/break-glass/journal-entry.ts';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { denied as deniedRequest } from '../cli/views.ts';
import { Raw, Refused, startTestBroker, type TestBroker } from '../client/test-broker.ts';
import { atEnd } from '../support/at-end.ts';
import { type CliResult, runCli } from '../support/process.ts';
import { type GlassDevice, givePack, glassAuthority, glassDevice } from './device.ts';
import { serveJournal } from './journal-broker.ts';

const place: PackPlace = {
  ...{ kind: 'ssh', login: 'ops', hosts: [{ name: 'db-host', host: '127.0.0.1', port: 22 }] },
  knownHosts: ['[127.0.0.1]:22 ssh-ed25519 AAAA'],
};
const authority = glassAuthority();
interface Outcome extends CliResult {
  events: string[];
  outage: string;
}

async function run(device: GlassDevice): Promise<Outcome> {
  const args = ['break-glass', 'db-host', '--reason', 'the replica is down', '--json'];
  const ran = await runCli(args, { env: { ONCALL_HOME: device.home } });
  const file = join(device.context.paths.breakGlassDir, 'journal');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const events = text
    .split('\n')
    .filter(Boolean)
    .map((line) => parseEntry(line).event);
  const outage = JSON.stringify(events.find(({ type }) => type === 'outage') ?? '');
  return Object.assign(ran, { events: events.map(({ type }) => type), outage });
}

/** A device whose broker is at that address. */
async function breakGlass(trust: object): Promise<Outcome> {
  const device = await glassDevice(authority, { trust });
  await givePack(authority, device, { place });
  return run(device);
}

/** A broker that knows the device, and what it answers to `break-glass`. */
async function atBroker(
  answer: (broker: TestBroker) => unknown,
  options: Parameters<typeof startTestBroker>[0] = {},
) {
  const broker = await startTestBroker(options);
  broker.routes.set('POST /v1/break-glass', () => answer(broker));
  const identity = { publicKey: broker.identity, privateKey: broker.identity };
  const signing = { ...authority, identity, identityKey: broker.identityKey };
  const device = await glassDevice(signing, { trust: broker.trust });
  broker.devices.set(device.keys.keyId, device.keys.signingKey);
  serveJournal(broker, device.config.device.id, device.keys.signingKey);
  await givePack(signing, device, { place });
  return Object.assign(await run(device), { device });
}

async function listening<S extends Server | ReturnType<typeof createTcp>>(server: S): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const opened = (outcome: Outcome) => {
  expect({ code: outcome.code, err: outcome.stderr }).toMatchObject({ code: 0 });
  expect(outcome.events).toEqual(['begin', 'outage', 'open', 'use']);
};

describe('a pack opens where', () => {
  it('nobody listens', async () => {
    const outcome = await breakGlass({});
    opened(outcome);
    expect(outcome.outage).toContain('refuses connections');
  });

  it('a connection hangs', async () => {
    opened(await breakGlass({ broker: await listening(createTcp(() => {})) }));
  });

  it.each([
    ['a captive portal answers 200', 200, '<html>please sign in</html>', 'text/html'],
    ['something answers 200 in JSON', 200, '{"result":{"state":"granted"},"audit":{}}', 'application/json'],
    ['a proxy answers 403', 403, '{"error":{"code":"denied","message":"no"}}', 'application/json'],
    ['a load balancer answers 502', 502, 'bad gateway', 'text/plain'],
    ['something redirects', 302, '', 'text/plain'],
  ])('%s', async (_, status, body, type) => {
    const portal = createServer((_request, response) =>
      response.writeHead(status, { 'content-type': type, location: 'http://127.0.0.1:1/' }).end(body),
    );
    opened(await breakGlass({ broker: await listening(portal) }));
  });

  it('TLS is somebody else’s', async () => {
    const [one, other] = await Promise.all([startTestBroker(), startTestBroker()]);
    const outcome = await breakGlass({
      broker: one.url,
      identityCertificate: other.identityCertificate,
    });
    opened(outcome);
    expect(other.asked).toEqual([]);
  });

  it('the store is dead behind a healthy port', async () => {
    const failed = await atBroker(() => new Refused({ status: 500, code: 'internal' }));
    opened(failed);
    expect(failed.outage).toContain('it answers');
  });

  it('the store hangs behind a healthy port', async () => {
    const hung = await atBroker(() => new Promise(() => {}));
    opened(hung);
    expect(hung.outage).toContain('it answers');
  });

  it('a refusal is not signed for this request', async () => {
    const forged = await atBroker((broker) => {
      broker.signsRefusal = () => undefined;
      return new Refused({ status: 403, code: 'denied' });
    });
    opened(forged);
  });

  it('the proof of a grant is missing', async () => {
    opened(
      await atBroker(() => new Raw(200, JSON.stringify({ result: { ...deniedRequest, state: 'granted' } }))),
    );
  });
});

describe('no pack opens where', () => {
  const nothing = ({ events }: Outcome) => expect(events).toEqual([]);

  it('the broker refuses, signed', async () => {
    const denied = await atBroker(() => new Refused({ status: 403, code: 'denied' }));
    expect(denied.code).toBe(3);
    nothing(denied);
  });

  it('the broker denies, in its log', async () => {
    const denied = await atBroker(() => deniedRequest);
    expect({ code: denied.code, err: denied.stderr }).toMatchObject({ code: 3 });
    nothing(denied);
  });

  it('the broker is slow, and then refuses', async () => {
    const denied = await atBroker(
      () =>
        new Promise((resolve) =>
          setTimeout(() => resolve(new Refused({ status: 403, code: 'denied' })), 2_500),
        ),
    );
    expect(denied.code).toBe(3);
    nothing(denied);
  });

  it('no reason is given', async () => {
    const device = await glassDevice(authority);
    await givePack(authority, device, { place });
    for (const reason of [[], ['--reason', ''], ['--reason', 'short'], ['--reason', '          ']]) {
      const ran = await runCli(['break-glass', 'db-host', ...reason], { env: { ONCALL_HOME: device.home } });
      expect(ran.code).toBe(2);
    }
    expect(existsSync(join(device.context.paths.breakGlassDir, 'journal'))).toBe(false);
  });

  it('no target is named, and nobody can be asked', async () => {
    const device = await glassDevice(authority);
    await givePack(authority, device, { place });
    const ran = await runCli(['break-glass', '--reason', 'the replica is down'], {
      env: { ONCALL_HOME: device.home },
    });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('db-host:operator');
  });
});

describe('a broker that comes back in mid-command', () => {
  it('is the one to decide', async () => {
    let asked = 0;
    const denied = await atBroker(() => {
      asked += 1;
      return new Refused(asked === 1 ? { status: 500, code: 'internal' } : { status: 403, code: 'denied' });
    });
    // Whether it was open by then or not: what the broker says counts, and what was opened is closed and accounted for.
    const isOpened = denied.events.includes('open');
    expect({ code: denied.code, err: denied.stderr }).toMatchObject({ code: 3 });
    expect(denied.events.includes('close')).toBe(isOpened);
    expect(existsSync(join(denied.device.context.paths.runDir, 'ssh_config'))).toBe(false);
  });
});
