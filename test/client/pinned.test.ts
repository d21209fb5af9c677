// The door that the pinned identity key guards, knocked at by servers that are not quite the broker: what counts is that the
// call fails as untrusted, and that not one byte of it was sent.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { describe, expect, test } from 'vitest';
import { atEnd } from '../support/at-end.ts';
import { failureOf, testClient, testContext } from './fixture.ts';
import { startConnectProxy } from './proxies.ts';
import { makeCa, makeIssued, makeLeaf, startTestBroker, type TestCa } from './test-broker.ts';

const SERVER = x509.ExtendedKeyUsage.serverAuth;
const CLIENT = x509.ExtendedKeyUsage.clientAuth;

/** What it was sent, and over how many handshakes. It answers everything with 200. */
async function startServer(options: TlsOptions, host = '127.0.0.1') {
  const seen = { bytes: 0, handshakes: 0, resumed: 0, port: 0 };
  const server = createServer(options, (socket: TLSSocket) => {
    seen.handshakes += 1;
    if (socket.isSessionReused()) seen.resumed += 1;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      seen.bytes += chunk.length;
      const body = '{"user":"ana"}';
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  atEnd(() => void server.close());
  seen.port = (server.address() as AddressInfo).port;
  return seen;
}

async function clientOf(ca: TestCa, port: number, { host = '127.0.0.1', env = {} } = {}) {
  const context = testContext({ env });
  return testClient(await startTestBroker(), context, {
    broker: `https://${host}:${port}/`,
    identityCertificate: ca.pem,
  });
}

const impostors: readonly (readonly [string, (ca: TestCa) => Promise<TlsOptions>])[] = [
  ['another authority of the same name', async () => makeLeaf(await makeCa('oncall broker identity'))],
  ['a leaf that vouches for itself', async (ca) => selfSigned(ca)],
  ['a leaf of one of our leaves', async (ca) => makeLeaf(await makeIssued(ca))],
  ['a leaf of ours that has expired', (ca) => makeLeaf(ca, { days: [-2, -0.001] })],
  ['a leaf of ours that is not yet in force', (ca) => makeLeaf(ca, { days: [0.01, 1] })],
  ['a leaf of ours for another name', (ca) => makeLeaf(ca, { host: 'elsewhere.example.com' })],
  [
    'a leaf of ours for clients alone',
    (ca) => makeLeaf(ca, { more: [new x509.ExtendedKeyUsageExtension([CLIENT])] }),
  ],
  [
    'a leaf of ours that is an authority itself',
    (ca) => makeLeaf(ca, { more: [new x509.BasicConstraintsExtension(true, 0, true)] }),
  ],
  ['the pinned certificate itself', ownCertificate],
];

describe('a broker that is pinned', () => {
  test.each(impostors)('is not %s', async (_, present) => {
    const ca = await makeCa('oncall broker identity');
    const server = await startServer(await present(ca));
    const client = await clientOf(ca, server.port);
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'tls_untrusted' });
    expect(server.bytes).toBe(0);
  });

  test.each(impostors)('is not %s behind a proxy either', async (_, present) => {
    const ca = await makeCa('oncall broker identity');
    const [server, proxy] = [await startServer(await present(ca)), await startConnectProxy({})];
    const env = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const client = await clientOf(ca, server.port, { env });
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'tls_untrusted' });
    expect(server.bytes).toBe(0);
    expect(new Set(proxy.asked)).toEqual(new Set([`127.0.0.1:${server.port}`]));
  });

  test('is not believed once the pinned certificate has expired, and the clock is named', async () => {
    const ca = await makeCa('oncall broker identity', undefined, { days: [-2, -0.001] });
    const server = await startServer(await makeLeaf(ca));
    const error = await failureOf((await clientOf(ca, server.port)).broker.get('/v1/me'));
    expect(error).toMatchObject({ code: 'tls_untrusted', hint: expect.stringContaining('clock') });
    expect(server.bytes).toBe(0);
  });

  test('is not a leaf that was pinned by mistake', async () => {
    const leaf = await makeIssued(await makeCa('oncall broker identity'));
    const server = await startServer(await makeLeaf(leaf));
    expect(await failureOf((await clientOf(leaf, server.port)).broker.get('/v1/me'))).toMatchObject({
      code: 'tls_untrusted',
    });
    expect(server.bytes).toBe(0);
  });

  test.each(['127.0.0.1', 'localhost'])('is met as %s', async (host) => {
    const ca = await makeCa('oncall broker identity');
    const more = [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([SERVER, CLIENT]),
    ];
    const server = await startServer(await makeLeaf(ca, { more }), host);
    const client = await clientOf(ca, server.port, { host });
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
  });

  test('shows its certificate anew on every connection', async () => {
    const ca = await makeCa('oncall broker identity');
    const server = await startServer({ ...(await makeLeaf(ca)), maxVersion: 'TLSv1.2' });
    const client = await clientOf(ca, server.port);
    for (let i = 0; i < 3; i += 1) await client.broker.get('/v1/me');
    expect(server).toMatchObject({ handshakes: 3, resumed: 0 });
  });

  test('is spoken to in TLS 1.2 at least', async () => {
    const ca = await makeCa('oncall broker identity');
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const server = await startServer({ ...(await makeLeaf(ca)), ...old });
    const client = await clientOf(ca, server.port);
    expect(await failureOf(client.broker.get('/v1/me'))).toMatchObject({ code: 'broker_unreachable' });
    expect(server).toMatchObject({ handshakes: 0, bytes: 0 });
  });
});

/** A certificate with the authority's name as its issuer, signed by its own key. */
async function selfSigned(ca: TestCa): Promise<TlsOptions> {
  const keys = await webcrypto.subtle.generateKey({ name: 'Ed25519' }, true, ['sign', 'verify']);
  return makeLeaf({ ...ca, keys: keys as webcrypto.CryptoKeyPair });
}

async function ownCertificate(ca: TestCa): Promise<TlsOptions> {
  const der = await webcrypto.subtle.exportKey('pkcs8', ca.keys.privateKey);
  return { key: x509.PemConverter.encode(der, 'PRIVATE KEY'), cert: ca.pem };
}
