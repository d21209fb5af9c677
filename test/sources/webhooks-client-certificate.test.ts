import { createPublicKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { createWebhookProfile } from '../../src/sources/webhook-profiles.ts';
import { alertmanagerSender } from '../support/alertmanager-sender.ts';
import { makeCa, makeClientCertificate, type TestCa } from '../support/client-certificate.ts';
import { sentIncident } from '../support/webhook-senders.ts';
import { source } from './webhook-kinds.ts';

const NOW = Date.now();
const DAY = 86_400_000;
const sent = alertmanagerSender().deliver('fire', sentIncident(), NOW);
let ca: TestCa;
beforeAll(async () => {
  ca = await makeCa('CN=our monitoring CA');
});

function profile(caPem: string, names: readonly string[], bearer?: string) {
  const clientCertificate = { caFile: 'ca.pem', names };
  const settings = {
    kind: 'alertmanager',
    bearer: bearer === undefined ? undefined : { env: 'B' },
    clientCertificate,
  };
  return createWebhookProfile(source(settings as never), { webhookSecrets: [], bearer, caPem });
}

const isTaken = (
  der: Uint8Array | undefined,
  names: readonly string[] = ['alertmanager'],
  nowMs = NOW,
  pem = ca.pem,
) => {
  try {
    profile(pem, names).verify({ ...sent, clientCertificate: der }, nowMs);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'unauthenticated' });
    return false;
  }
};

describe('a client certificate', () => {
  test('is taken when our CA issued it, it is of now, for clients, and named', async () => {
    const { der } = await makeClientCertificate(ca);
    expect(isTaken(der)).toBe(true);
    expect(isTaken(der, ['another', 'alertmanager'])).toBe(true);
    expect(isTaken((await makeClientCertificate(ca, { usages: [] })).der)).toBe(true);
  });

  test('is taken by an alternative name: DNS, e-mail or URI', async () => {
    const uri = 'spiffe://example.com/alertmanager';
    const { der } = await makeClientCertificate(ca, {
      subject: 'O=Example',
      alternatives: [
        { type: 'dns', value: 'am.example.com' },
        { type: 'email', value: 'am@example.com' },
        { type: 'url', value: uri },
      ],
    });
    for (const name of ['am.example.com', 'am@example.com', uri]) expect(isTaken(der, [name])).toBe(true);
    for (const name of ['AM.example.com', 'example.com', 'alertmanager', 'O=Example', 'Example'])
      expect(isTaken(der, [name])).toBe(false);
  });

  test('is refused under any other name, a wildcard too', async () => {
    const { der } = await makeClientCertificate(ca, {
      subject: 'CN=alertmanager.evil.example',
      alternatives: [{ type: 'dns', value: '*.example.com' }],
    });
    for (const name of ['alertmanager', 'am.example.com', '']) expect(isTaken(der, [name])).toBe(false);
  });

  test('cannot hide a name inside another', async () => {
    for (const options of [
      { alternatives: [{ type: 'dns', value: 'x, DNS:alertmanager, DNS:y' }] as const },
      { alternatives: [{ type: 'url', value: 'https://x/, DNS:alertmanager' }] as const },
      { subject: 'O=x\\0ACN=alertmanager' },
      { subject: 'CN=alertmanager, CN=another' },
    ]) {
      const { der } = await makeClientCertificate(ca, {
        subject: 'CN=another',
        ...options,
      } as Parameters<typeof makeClientCertificate>[1]);
      expect(isTaken(der)).toBe(false);
    }
  });

  test('is refused outside its time, and outside its CA’s', async () => {
    const { der } = await makeClientCertificate(ca, {
      notBefore: new Date(NOW - 1000),
      notAfter: new Date(NOW + 2000),
    });
    expect(isTaken(der)).toBe(true);
    expect(isTaken(der, ['alertmanager'], NOW + 3000)).toBe(false);
    expect(isTaken(der, ['alertmanager'], NOW - 3000)).toBe(false);
    const old = await makeCa('CN=our old CA', {
      notAfter: new Date(NOW - 1000),
      notBefore: new Date(NOW - DAY),
    });
    expect(isTaken((await makeClientCertificate(old)).der, ['alertmanager'], NOW, old.pem)).toBe(false);
  });

  test('is refused from another CA, of the same name too, from an intermediate one, and as a CA', async () => {
    const namesake = await makeCa(ca.name);
    const intermediate = await makeCa('CN=intermediate', { issuer: ca });
    const renamed = { ...ca, name: 'CN=our CA under another name' };
    for (const issuer of [await makeCa('CN=another CA'), namesake, intermediate, renamed])
      expect(isTaken((await makeClientCertificate(issuer)).der)).toBe(false);
    expect(isTaken((await makeClientCertificate(ca, { isCa: true })).der)).toBe(false);
  });

  test('is refused for servers alone', async () => {
    const { der } = await makeClientCertificate(ca, { usages: ['1.3.6.1.5.5.7.3.1'] });
    expect(isTaken(der)).toBe(false);
  });

  test('is refused when there is none, and with any byte changed', async () => {
    const { der } = await makeClientCertificate(ca);
    for (const none of [undefined, new Uint8Array(), randomBytes(400), new Uint8Array(20_000)])
      expect(isTaken(none)).toBe(false);
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Uint8Array.from(der);
        changed[at % der.length]! ^= by;
        // An ECDSA signature has no second form here: OpenSSL refuses encodings that are not DER.
        expect(isTaken(changed)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});

test('several CAs in the file are a rotation', async () => {
  const next = await makeCa('CN=our next CA');
  const both = `${ca.pem}\n${next.pem}\n`;
  for (const issuer of [ca, next])
    expect(isTaken((await makeClientCertificate(issuer)).der, ['alertmanager'], NOW, both)).toBe(true);
});

test('where a token is set too, either is enough', async () => {
  const both = profile(ca.pem, ['alertmanager'], 'token');
  const { der } = await makeClientCertificate(ca);
  const other = await makeClientCertificate(await makeCa('CN=another CA'));
  const bearing = alertmanagerSender('token').sign(sent.body, NOW);
  expect(() => both.verify({ ...sent, clientCertificate: der }, NOW)).not.toThrow();
  expect(() => both.verify({ ...bearing, clientCertificate: other.der }, NOW)).not.toThrow();
  expect(() => both.verify({ ...sent, clientCertificate: other.der }, NOW)).toThrow(
    expect.objectContaining({ code: 'unauthenticated' }),
  );
});

test('a source that nobody may deliver to, or whose CA is none, is refused at once', async () => {
  const { certificate } = await makeClientCertificate(ca);
  const key = createPublicKey(certificate).export({ type: 'spki', format: 'pem' }).toString();
  const broken = ca.pem.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA');
  for (const pem of ['', 'nonsense', key, certificate, broken])
    expect(() => profile(pem, ['alertmanager'])).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  expect(() => profile(ca.pem, [])).toThrow(expect.objectContaining({ code: 'config_invalid' }));
});
