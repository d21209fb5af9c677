// Several brokers behind one name: which of them is asked, and what happens when one of them is half dead.
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { describe, expect, test } from 'vitest';
import { readEndpointFile, saveEndpoints } from '../../src/client/endpoints.ts';
import { ensureDir } from '../../src/client/files.ts';
import { atEnd } from '../support/at-end.ts';
import { freePort } from '../support/temp.ts';
import { failureOf, testClient, testContext } from './fixture.ts';
import { Refused, startTestBroker, type TestBroker } from './test-broker.ts';

interface Way {
  url: string;
  /** How many connections came. */
  taken(): number;
}

async function listening(server: Server, scheme: string): Promise<Way> {
  let count = 0;
  server.on('connection', () => count++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => void server.close());
  return { url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/`, taken: () => count };
}

/** Leads to the broker by another address. */
function startRelay(broker: TestBroker): Promise<Way> {
  const port = Number(new URL(broker.url).port);
  const relay = createServer((socket) => {
    const on = connect(port, '127.0.0.1');
    socket.on('error', () => on.destroy());
    on.on('error', () => socket.destroy());
    on.on('close', () => socket.destroy());
    socket.pipe(on).pipe(socket);
  });
  return listening(relay, new URL(broker.url).protocol.slice(0, -1));
}

/** Takes connections and says nothing. */
function startHung(scheme = 'https'): Promise<Way> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    atEnd(() => void socket.destroy());
  });
  return listening(server, scheme);
}

async function startInstallation(options: { plain?: boolean } = {}) {
  const broker = await startTestBroker(options);
  broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
  broker.routes.set('POST /v1/incidents', ({ body }) => body);
  const context = testContext();
  const client = await testClient(broker, context);
  /** What comes after it: a client begins to connect as soon as it is made. */
  const learn = async (...urls: string[]) => {
    await saveEndpoints(context.paths, client.config, urls);
    return testClient(broker, context);
  };
  return { broker, context, client, learn, file: () => readEndpointFile(context.paths) };
}

describe('with several brokers', () => {
  test('one that takes connections and says nothing holds nobody up, and is asked last from then on', async () => {
    const { broker, learn, file } = await startInstallation();
    const [hung, relay] = [await startHung(), await startRelay(broker)];
    const client = await learn(hung.url, relay.url);
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect([hung.taken(), relay.taken()]).toEqual([1, 1]);
    expect(file().unreachableSince).toBeNull();
  });

  test('one that refuses is passed over at once, and noted', async () => {
    const { broker, context, learn, file } = await startInstallation();
    const dead = `https://127.0.0.1:${await freePort()}/`;
    const relay = await startRelay(broker);
    const client = await learn(dead, relay.url);
    await client.broker.get('/v1/me');
    expect(Object.keys(file().failing)).toEqual([dead]);
    const again = await testClient(broker, context);
    await again.broker.get('/v1/me');
    expect(relay.taken()).toBe(2);
  });

  test('what one did before its connection died is not done again at another', async () => {
    const { broker, learn } = await startInstallation();
    const client = await learn((await startRelay(broker)).url, (await startRelay(broker)).url);
    broker.cuts = 1;
    expect(await client.broker.post('/v1/incidents', { id: 'P1-1' })).toEqual({ id: 'P1-1' });
    const keys = broker.asked.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys).size).toBe(1);
    expect(broker.log.size).toBe(1);
  });

  test('a page of something else sends a request to the next one, under the same key', async () => {
    const { broker, learn, file } = await startInstallation({ plain: true });
    const keys: unknown[] = [];
    const page = await listening(
      createHttpServer((request, response) => {
        keys.push(request.headers['idempotency-key']);
        response.writeHead(502, { 'content-type': 'text/html' }).end('<html>');
      }),
      'http',
    );
    const client = await learn(page.url, broker.url);
    expect(await client.broker.post('/v1/incidents', { id: 'P1-1' })).toEqual({ id: 'P1-1' });
    expect(broker.asked.map(({ headers }) => headers['idempotency-key'])).toEqual(keys);
    expect(Object.keys(file().failing)).toEqual([page.url]);
  });

  test('none that answers is written down, and so is the one that does again', async () => {
    const { broker, context, client, learn, file } = await startInstallation();
    const gone = `https://127.0.0.1:${await freePort()}/`;
    await learn(gone);
    const lost = await testClient(broker, context, { broker: gone });
    expect(await failureOf(lost.broker.get('/v1/me'))).toMatchObject({ code: 'broker_unreachable' });
    const since = file().unreachableSince;
    expect(since).not.toBeNull();
    expect(await failureOf(lost.broker.get('/v1/me'))).toMatchObject({ code: 'broker_unreachable' });
    expect(file().unreachableSince).toBe(since);
    await (await testClient(broker, context, client.config)).broker.get('/v1/me').catch(() => {});
    await (await testClient(broker, context)).broker.get('/v1/me');
    expect(file().unreachableSince).toBeNull();
  });

  test('a refusal is an answer', async () => {
    const { broker, client, file } = await startInstallation();
    broker.routes.set('GET /v1/me', () => new Refused({ status: 403, code: 'forbidden' }));
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'forbidden' });
    expect(file().unreachableSince).toBeNull();
  });
});

describe('what is not believed', () => {
  test('an address of another scheme, one that is none, and more than ten', async () => {
    const { broker, learn, file } = await startInstallation();
    const relay = await startRelay(broker);
    const client = await learn('http://127.0.0.1:1/', 'file:///etc/passwd', 'nonsense', relay.url);
    expect(file().endpoints).toEqual([relay.url]);
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    await learn(...Array.from({ length: 30 }, (_, at) => `https://127.0.0.1:${at + 1}/`));
    expect(file().endpoints).toHaveLength(10);
  });

  test('a broker at a listed address that is not the one that was pinned', async () => {
    const { learn, broker } = await startInstallation();
    const other = await startTestBroker();
    const client = await learn(other.url);
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect(other.asked).toEqual([]);
    expect(broker.asked).toHaveLength(1);
  });

  test('a damaged file: the name itself is left', async () => {
    const { client, context } = await startInstallation();
    for (const text of ['', 'nonsense', '{"version":2}', '{"version":1,"endpoints":3}', '[]', 'null']) {
      ensureDir(context.paths.stateDir);
      writeFileSync(context.paths.endpointsFile, text, { mode: 0o600 });
      expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    }
  });
});

test('a broker whose log is behind is shown what was seen of it', async () => {
  const { broker, client } = await startInstallation();
  await client.broker.post('/v1/incidents', { id: 'P1-1' });
  const seen = await broker.log.checkpoint();
  broker.routes.set('POST /v1/requests', () => new Refused({ status: 503, code: 'log_behind' }));
  broker.routes.set('POST /v1/audit/seen', () => ({}));
  expect(await failureOf(client.broker.post('/v1/requests', {}))).toMatchObject({ code: 'log_behind' });
  expect(broker.asked.at(-1)).toMatchObject({ path: '/v1/audit/seen', body: { checkpoint: seen } });
});
