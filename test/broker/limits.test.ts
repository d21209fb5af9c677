// What one client can take from a broker, and how it is spoken to at all.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBroker } from '../../src/broker/broker.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';

interface Conversation {
  socket: Socket;
  received(): string;
  /** Milliseconds until the broker hung up. */
  closed: Promise<number>;
}

function converse(url: string, text = ''): Conversation {
  const { hostname, port } = new URL(url);
  const startedAt = performance.now();
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk;
  });
  socket.on('error', () => undefined);
  if (text !== '') socket.write(text);
  const closed = new Promise<number>((resolve) =>
    socket.once('close', () => resolve(performance.now() - startedAt)),
  );
  return { socket, received: () => received, closed };
}

describe('a broker', () => {
  let installation: Installation;
  let ana: TestDevice;
  let slow: Conversation;

  beforeAll(async () => {
    installation = await install();
    await installation.start();
    ana = await enrolled(installation, 'ana');
    // Looked at in the last case: it takes its time.
    const head = [
      'POST /v1/enroll HTTP/1.1',
      'host: x',
      'content-type: application/json',
      'content-length: 99',
    ];
    slow = converse(installation.url, `${head.join('\r\n')}\r\n\r\n{`);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16', ''])(
    'refuses a body of type %j, signed or not',
    async (type) => {
      const tamper = ({ headers }: { headers: Record<string, string> }) => {
        if (type === '') delete headers['content-type'];
        else headers['content-type'] = type;
      };
      const body = { id: 'P1-type', service: 'orders', priority: 'P1' };
      const answer = await ana.call('POST', '/v1/incidents', body, { tamper });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(['invalid_request', 'unauthenticated']).toContain(answer.error?.code);
      expect((await ana.get('/v1/incidents/P1-type')).status).toBe(404);
    },
  );

  it('refuses headers beyond all measure, and goes on serving', async () => {
    const { received, closed } = converse(
      installation.url,
      `GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(100_000)}\r\n\r\n`,
    );
    await closed;
    expect(received()).toMatch(/^(HTTP\/1\.1 4\d\d |$)/);
    expect((await fetch(`${installation.url}/healthz`)).status).toBe(200);
  });

  it.each([
    'NONSENSE\r\n\r\n',
    'GET /healthz HTTP/1.1\r\n\r\n',
    'POST /v1/enroll HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ])('refuses %j, which is no HTTP or two readings of it', async (text) => {
    const { received, closed } = converse(installation.url, text);
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('refuses names in a path that are longer than any name', async () => {
    expect((await ana.get(`/v1/requests/${'x'.repeat(5_000)}`)).status).toBeGreaterThanOrEqual(400);
  });

  it('takes no more connections than it was told to, and others again when some have gone', async () => {
    const other = await install();
    other.write('broker.yaml', other.read('broker.yaml').replace(/maxConnections: \d+/, 'maxConnections: 3'));
    await other.start();
    const held = Array.from({ length: 3 }, () => converse(other.url));
    await Promise.all(held.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
    const extra = converse(other.url, 'GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await extra.closed;
    expect(extra.received()).toBe('');
    for (const { socket } of held) socket.destroy();
    const works = async () => (await fetch(`${other.url}/healthz`)).status === 200;
    await waitFor(works, { what: 'a free connection' });
  });

  it('is not served in the clear beyond loopback, nor twice on one port', async () => {
    const other = await install();
    const config = other.read('broker.yaml');
    other.write('broker.yaml', config.replace(/^listen: .*$/m, 'listen: "0.0.0.0:7443"'));
    await expect(other.start()).rejects.toMatchObject({ code: 'config_invalid' });
    other.write('broker.yaml', config);
    await other.start();
    const again = startBroker({
      directory: other.directory,
      version: '0',
      env: {},
      now: Date.now,
      log: () => undefined,
    });
    await expect(again).rejects.toMatchObject({ code: 'busy' });
  });

  it('hangs up on a request that never ends', async () => {
    expect(await slow.closed).toBeLessThan(30_000);
    expect(slow.received()).toMatch(/^HTTP\/1\.1 408 /);
  }, 40_000);

  it('stops even while a request never ends', async () => {
    const other = await install();
    const broker = await other.start();
    const { closed } = converse(
      other.url,
      'POST /v1/enroll HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{',
    );
    await fetch(`${other.url}/healthz`);
    const startedAt = performance.now();
    await broker.stop();
    expect(performance.now() - startedAt).toBeLessThan(25_000);
    await closed;
  }, 40_000);
});

describe('over TLS, a broker', () => {
  let installation: Installation;
  let identity: string;

  beforeAll(async () => {
    installation = await install({ tls: true });
    await installation.start();
    identity = readFileSync(join(installation.directory, 'keys', 'identity.crt'), 'utf8');
  });

  const get = (ca: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request(`${installation.url}/healthz`, { ca, agent: false }, (reply) => {
        reply.resume();
        resolve(reply.statusCode ?? 0);
      });
      sent.once('error', reject).end();
    });

  it('shows a chain that ends at its identity key', async () => {
    expect(await get(identity)).toBe(200);
  });

  it('is not believed by who trusts another identity', async () => {
    const stranger = await install({ tls: true });
    const other = readFileSync(join(stranger.directory, 'keys', 'identity.crt'), 'utf8');
    await expect(get(other)).rejects.toThrow();
  });

  it('speaks nothing older than TLS 1.2, and no plain HTTP', async () => {
    const { hostname, port } = new URL(installation.url);
    const old = new Promise((resolve, reject) => {
      const options = { ca: identity, minVersion: 'TLSv1' as const, maxVersion: 'TLSv1.1' as const };
      const ciphers = 'DEFAULT:@SECLEVEL=0';
      const socket = connectTls(Number(port), hostname, { ...options, ciphers }, () => resolve(socket.end()));
      socket.once('error', reject);
    });
    await expect(old).rejects.toThrow();
    const plain = converse(installation.url, 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    await plain.closed;
    expect(plain.received()).not.toContain('200 OK');
  });
});
