import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort, tempDir } from '../support/temp.ts';
import { failureOf, testClient, testContext } from './fixture.ts';
import { startConnectProxy, startInterceptingProxy } from './proxies.ts';
import { makeCa, makeLeaf, Raw, Refused, startTestBroker, TestLog } from './test-broker.ts';

describe('an exchange with the broker', () => {
  test('is signed, and a read comes back as it is', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/grants', ({ path }) => ({ path }));
    const client = await testClient(broker);
    expect(await client.broker.get('/v1/grants?all=true')).toEqual({ path: '/v1/grants?all=true' });
  });

  test('works over plain http on loopback, and nowhere else', async () => {
    const broker = await startTestBroker({ plain: true });
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    const client = await testClient(broker);
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    const elsewhere = testClient(broker, testContext(), { broker: 'http://broker.example.com/' });
    expect(await failureOf(elsewhere)).toMatchObject({ code: 'config_invalid' });
  });

  test('unwraps a change and keeps its receipt and the newest checkpoint', async () => {
    const broker = await startTestBroker();
    broker.routes.set('POST /v1/incidents', ({ body }) => body);
    const client = await testClient(broker);
    const { paths } = client.context;
    expect(await client.broker.post('/v1/incidents', { id: 'P1-1' })).toEqual({ id: 'P1-1' });
    expect(await client.broker.post('/v1/incidents', { id: 'P1-2' })).toEqual({ id: 'P1-2' });
    expect(readFileSync(paths.checkpointFile, 'utf8')).toBe(await broker.log.checkpoint());
    expect(readdirSync(paths.receiptsDir)).toEqual(['000000000000.json', '000000000001.json']);
    expect(broker.asked.map(({ headers }) => headers['oncall-seen-size'])).toEqual(['0', '1']);
  });

  test('reports what the broker refused, with its hint and correlation id', async () => {
    const broker = await startTestBroker();
    const refusal = { status: 410, code: 'ended', message: 'it has ended', hint: 'oncall request' };
    broker.routes.set('POST /v1/x', () => new Refused(refusal));
    const client = await testClient(broker);
    const error = await failureOf(client.broker.post('/v1/x', {}));
    expect(error).toMatchObject({ code: 'ended', hint: 'oncall request', correlationId: 'cor_1' });
  });

  test('of a device that the broker does not know is unauthenticated', async () => {
    const broker = await startTestBroker();
    const client = await testClient(broker);
    broker.devices.clear();
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'unauthenticated' });
  });

  test('takes no page of a load balancer, no redirect and no broken JSON for an answer', async () => {
    const broker = await startTestBroker();
    const client = await testClient(broker);
    for (const raw of [new Raw(502, '<html>'), new Raw(302, ''), new Raw(200, '{"a":1,"a":2}')]) {
      broker.routes.set('GET /v1/me', () => raw);
      expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'broker_unreachable' });
    }
  });

  test('stops reading an answer that has no end', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => new Raw(200, `"${'x'.repeat(3 * 1024 * 1024)}"`));
    const client = await testClient(broker);
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'too_large' });
  });

  test('says that nobody listens, that nobody answers, and that a name is unknown', async () => {
    const broker = await startTestBroker();
    const closed = await testClient(broker, testContext(), {
      broker: `https://127.0.0.1:${await freePort()}/`,
    });
    expect(await failureOf(closed.broker.get('/v1/me'))).toMatchObject({ code: 'broker_unreachable' });
    broker.routes.set('GET /v1/me', () => new Promise(() => {}));
    const silent = await testClient(broker);
    const late = silent.broker.get('/v1/me', { timeoutMs: 100 });
    expect(await failureOf(late)).toMatchObject({ code: 'broker_unreachable' });
    const nameless = await testClient(broker, testContext(), { broker: 'https://broker.invalid/' });
    expect(await failureOf(nameless.broker.get('/v1/me'))).toMatchObject({ code: 'broker_unreachable' });
  });

  test('ends when it is interrupted', async () => {
    const broker = await startTestBroker();
    const stop = new AbortController();
    broker.routes.set('GET /v1/me', () => {
      stop.abort();
      return new Promise(() => {});
    });
    const client = await testClient(broker);
    const interrupted = client.broker.get('/v1/me', { signal: stop.signal });
    expect(await failureOf(interrupted)).toMatchObject({ code: 'interrupted' });
  });
});

describe('a wrong clock', () => {
  test('is named, corrected, and the request is done', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    broker.skewMs = 252_000;
    const client = await testClient(broker);
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect(client.context.warnings).toEqual([expect.stringMatching(/^your clock is 4m1[12]s slow$/)]);
    await client.broker.get('/v1/me');
    expect(client.context.warnings).toHaveLength(1);
  });

  test('is corrected for calls that run side by side, and after a connection that died', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    broker.skewMs = -252_000;
    const client = await testClient(broker);
    await Promise.all(Array.from({ length: 5 }, () => client.broker.get('/v1/me')));
    expect(client.context.warnings).toHaveLength(1);
    const other = await testClient(broker);
    broker.cuts = 1;
    expect(await other.broker.get('/v1/me')).toEqual({ user: 'ana' });
  });

  test('is not believed without the signature of the identity key', async () => {
    const broker = await startTestBroker();
    const other = await startTestBroker();
    broker.time = (nonce) => other.time(nonce);
    other.skewMs = -400_000;
    broker.skewMs = 252_000;
    const client = await testClient(broker);
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'unauthenticated' });
    expect(client.context.warnings).toEqual([]);
  });

  test('is not believed for another nonce, and is corrected once only', async () => {
    const broker = await startTestBroker();
    broker.skewMs = 252_000;
    const { time } = broker;
    broker.time = () => time.call(broker, 'A'.repeat(22));
    const replayed = await testClient(broker);
    expect(await failureOf(replayed.broker.get('/v1/me'))).toMatchObject({ code: 'unauthenticated' });
    expect(replayed.context.warnings).toEqual([]);
    broker.time = time;
    const revoked = await testClient(broker);
    broker.devices.clear();
    for (let call = 0; call < 2; call++) {
      expect(await failureOf(revoked.broker.get('/v1/me'))).toMatchObject({ code: 'unauthenticated' });
    }
    expect(revoked.context.warnings).toHaveLength(1);
  });
});

describe('a connection that dies before the answer', () => {
  test('is tried once more under the same idempotency key, and the thing is done once', async () => {
    const broker = await startTestBroker();
    let done = 0;
    broker.routes.set('POST /v1/requests', () => ({ done: ++done }));
    const client = await testClient(broker);
    broker.cuts = 1;
    expect(await client.broker.post('/v1/requests', {})).toEqual({ done: 1 });
    const keys = broker.asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
  });

  test('twice is reported', async () => {
    const broker = await startTestBroker();
    broker.routes.set('POST /v1/requests', () => ({}));
    const client = await testClient(broker);
    broker.cuts = 2;
    expect(await failureOf(client.broker.post('/v1/requests', {}))).toMatchObject({
      code: 'broker_unreachable',
    });
  });
});

describe('the audit log', () => {
  test('that does not extend what was seen is refused, and both checkpoints are kept', async () => {
    const broker = await startTestBroker();
    broker.routes.set('POST /v1/x', () => ({}));
    const client = await testClient(broker);
    await client.broker.post('/v1/x', { n: 1 });
    const seen = readFileSync(client.context.paths.checkpointFile, 'utf8');
    const rewritten = new TestLog();
    await rewritten.append('another history');
    broker.proof = async (since, entry) => {
      const honest = await Object.getPrototypeOf(broker).proof.call(broker, since, entry);
      await rewritten.append(entry);
      Object.defineProperty(rewritten, 'keys', { value: broker.log.keys });
      return {
        ...honest,
        checkpoint: await rewritten.checkpoint(),
        consistency: await rewritten.consistency(1),
      };
    };
    const error = await failureOf(client.broker.post('/v1/x', { n: 2 }));
    expect(error).toMatchObject({ code: 'log_inconsistent' });
    const [file = ''] = readdirSync(client.context.paths.evidenceDir);
    const evidence = JSON.parse(readFileSync(join(client.context.paths.evidenceDir, file), 'utf8'));
    expect(evidence).toMatchObject({ older: seen, newer: await rewritten.checkpoint() });
    expect(error.hint).toContain(file);
    expect(readFileSync(client.context.paths.checkpointFile, 'utf8')).toBe(seen);
  });

  test.each([
    ['no proof', () => undefined],
    [
      'a receipt that somebody else signed',
      (proof: object) => ({
        ...proof,
        receipt: { ...Object(proof).receipt, at: '2020-01-01T00:00:00.000Z' },
      }),
    ],
    [
      'an edited checkpoint',
      (proof: object) => ({
        ...proof,
        checkpoint: String(Object(proof).checkpoint).replace('\n1\n', '\n2\n'),
      }),
    ],
  ])('with %s makes the answer unusable', async (_, spoil) => {
    const broker = await startTestBroker();
    broker.routes.set('POST /v1/x', () => ({}));
    broker.proof = async (since, entry) =>
      spoil(await Object.getPrototypeOf(broker).proof.call(broker, since, entry)) as never;
    const client = await testClient(broker);
    expect(await failureOf(client.broker.post('/v1/x', {}))).toMatchObject({ code: 'audit_invalid' });
  });

  test('is followed by many commands at once, each of which sees another piece of it', async () => {
    const broker = await startTestBroker();
    broker.routes.set('POST /v1/x', () => ({}));
    const client = await testClient(broker);
    await Promise.all(Array.from({ length: 12 }, (_, n) => client.broker.post('/v1/x', { n })));
    expect(readdirSync(client.context.paths.receiptsDir)).toHaveLength(12);
    expect(readFileSync(client.context.paths.checkpointFile, 'utf8')).toBe(await broker.log.checkpoint());
  });

  test.each([0, 3])(
    'that shows two commands two histories at once is caught (the other %i longer)',
    async (longer) => {
      const broker = await startTestBroker();
      broker.routes.set('POST /v1/x', () => ({}));
      const client = await testClient(broker);
      await client.broker.post('/v1/x', { n: 1 });
      const fork = broker.log.fork();
      const arrived: (() => void)[] = [];
      broker.routes.set('POST /v1/y', async () => {
        // Both have said what they have seen before either gets its answer.
        const both = new Promise<void>((resolve) => arrived.push(resolve));
        if (arrived.length === 2) for (const go of arrived) go();
        await both;
        return {};
      });
      const honest = broker.proof.bind(broker);
      broker.proof = async (since, entry) => {
        if (!entry.includes('forked')) return honest(since, entry);
        for (let n = 0; n < longer; n++) await fork.append(`more ${n}`);
        return honest(since, entry, fork);
      };
      const results = await Promise.allSettled(
        ['honest', 'forked'].map((kind) => client.broker.post('/v1/y', { kind })),
      );
      const failures = results
        .filter((result) => result.status === 'rejected')
        .map(({ reason }) => reason.code);
      expect(failures).toEqual(['log_inconsistent']);
      expect(readdirSync(client.context.paths.evidenceDir)).toHaveLength(1);
    },
  );

  test('is not begun anew over a damaged memory', async () => {
    const broker = await startTestBroker();
    broker.routes.set('POST /v1/x', () => ({}));
    const client = await testClient(broker);
    await client.broker.post('/v1/x', {});
    writeFileSync(client.context.paths.checkpointFile, 'torn');
    expect(await failureOf(client.broker.post('/v1/x', {}))).toMatchObject({ code: 'corrupt_file' });
  });

  test('has nothing to say about a dry run', async () => {
    const broker = await startTestBroker();
    broker.routes.set('POST /v1/explain', () => new Raw(200, '{"user":"ana"}'));
    const client = await testClient(broker);
    expect(await client.broker.post('/v1/explain', {}, { recordsNothing: true })).toEqual({ user: 'ana' });
  });
});

describe('TLS', () => {
  test('refuses another broker and names who issued its certificate', async () => {
    const broker = await startTestBroker();
    const other = await startTestBroker();
    const client = await testClient(broker, testContext(), {
      identityCertificate: other.identityCertificate,
    });
    const error = await failureOf(client.broker.get('/v1/me'));
    expect(error.code).toBe('tls_untrusted');
    expect(error.message).toContain("'oncall broker identity'");
  });

  test.each([
    ['an expired certificate', { expired: true }],
    ['a certificate for another name', { host: 'elsewhere.example.com' }],
  ])('refuses %s', async (_, options) => {
    const broker = await startTestBroker(options);
    const client = await testClient(broker);
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'tls_untrusted' });
    expect(broker.asked).toEqual([]);
  });

  test('trusts a company CA from a file where the configuration says so, and refuses a file without one', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    const ca = join(tempDir(), 'ca.pem');
    writeFileSync(ca, broker.identityCertificate, { mode: 0o600 });
    const client = await testClient(broker, testContext(), { ca });
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    writeFileSync(ca, 'nothing', { mode: 0o600 });
    expect(await failureOf(testClient(broker, testContext(), { ca }))).toMatchObject({
      code: 'config_invalid',
    });
  });

  test('takes the roots of the system where the configuration says so', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    const bundle = join(tempDir(), 'bundle.pem');
    writeFileSync(bundle, broker.identityCertificate, { mode: 0o600 });
    const context = testContext({ env: { SSL_CERT_FILE: bundle } });
    const client = await testClient(broker, context, { ca: 'system' });
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
  });
});

describe('a proxy', () => {
  test('is gone through with a CONNECT tunnel, and sees nothing but the name', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    const proxy = await startConnectProxy({ user: 'ana:pass word' });
    const env = { HTTPS_PROXY: `http://ana:pass%20word@127.0.0.1:${proxy.port}` };
    const client = await testClient(broker, testContext({ env }));
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect(proxy.asked).toEqual([new URL(broker.url).host]);
  });

  test.each(['*', '127.0.0.1', '127.0.0.1:PORT', 'example.com, 127.0.0.1', '.0.0.1'])(
    'is left out for NO_PROXY=%s',
    async (list) => {
      const broker = await startTestBroker();
      broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
      const proxy = await startConnectProxy({});
      const no_proxy = list.replace('PORT', new URL(broker.url).port);
      const env = { https_proxy: `127.0.0.1:${proxy.port}`, no_proxy };
      const client = await testClient(broker, testContext({ env }));
      expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
      expect(proxy.asked).toEqual([]);
    },
  );

  test('is not left out for another port or another host', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    const proxy = await startConnectProxy({});
    const env = { https_proxy: `127.0.0.1:${proxy.port}`, NO_PROXY: '127.0.0.1:1, 10.127.0.0.1, localhost' };
    const client = await testClient(broker, testContext({ env }));
    await client.broker.get('/v1/me');
    expect(proxy.asked).toHaveLength(1);
  });

  test('that wants a password, refuses, or is not there is named', async () => {
    const broker = await startTestBroker();
    const strict = await startConnectProxy({ user: 'ana:secret' });
    const forbidding = await startConnectProxy({ refuse: 403 });
    for (const [port, words] of [
      [strict.port, 'password'],
      [forbidding.port, '403'],
      [await freePort(), 'cannot be reached'],
    ]) {
      const env = { HTTPS_PROXY: `http://bob:wrong-secret@127.0.0.1:${port}` };
      const client = await testClient(broker, testContext({ env }));
      const error = await failureOf(client.broker.get('/v1/me'));
      expect(error).toMatchObject({ code: 'broker_unreachable' });
      expect(error.message).toContain(words);
      expect(error.message).not.toContain('wrong-secret');
    }
  });

  test('that intercepts TLS is named by its CA, and can be lived with where the configuration says so', async () => {
    const broker = await startTestBroker();
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    const company = await makeCa('Example Corp TLS Inspection', {
      name: 'ECDSA',
      namedCurve: 'P-256',
      hash: 'SHA-256',
    } as never);
    const port = await startInterceptingProxy(
      await makeLeaf(company),
      broker.url,
      broker.identityCertificate,
    );
    const env = { HTTPS_PROXY: `http://127.0.0.1:${port}` };
    const refused = await testClient(broker, testContext({ env }));
    const error = await failureOf(refused.broker.get('/v1/me'));
    expect(error.code).toBe('tls_untrusted');
    expect(error.message).toContain('Example Corp TLS Inspection');
    const ca = join(tempDir(), 'company.pem');
    writeFileSync(ca, company.pem, { mode: 0o600 });
    const client = await testClient(broker, testContext({ env }), { ca });
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
  });
});
