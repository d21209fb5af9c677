// Whether the broker has decided: what is a decision, and what only looks like one.
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { outcomeOf, outcomeWithin } from '../../src/client/outcome.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { freePort } from '../support/temp.ts';
import { testClient, testContext } from './fixture.ts';
import { Raw, Refused, startTestBroker, type TestBroker, TestLog } from './test-broker.ts';

const PATH = '/v1/break-glass';
const DENIED = { status: 403, code: 'denied', message: 'policy refuses', hint: 'oncall explain' };

async function outcomeWith(prepare: (broker: TestBroker) => void) {
  const broker = await startTestBroker();
  broker.routes.set(`POST ${PATH}`, () => new Refused(DENIED));
  const client = await testClient(broker);
  prepare(broker);
  return outcomeOf(client.broker.post(PATH, {}));
}

const stranger = generateKeyPairSync('ed25519').privateKey;

describe('the broker has decided', () => {
  test('where it did what was asked, and proved it', async () => {
    const outcome = await outcomeWith((broker) => broker.routes.set(`POST ${PATH}`, () => ({ done: true })));
    expect(outcome).toEqual({ kind: 'decided', value: { done: true } });
  });

  test.each([
    ['denied', 403],
    ['forbidden', 403],
    ['not_found', 404],
    ['ended', 410],
    ['invalid_request', 422],
  ])('where it signed a refusal: %s', async (code, status) => {
    const outcome = await outcomeWith((broker) =>
      broker.routes.set(`POST ${PATH}`, () => new Refused({ status, code })),
    );
    expect(outcome).toMatchObject({ kind: 'refused', error: { code } });
  });

  test('where it does not know the device any more', async () => {
    const outcome = await outcomeWith((broker) => broker.devices.clear());
    expect(outcome).toMatchObject({ kind: 'refused', error: { code: 'unauthenticated' } });
  });
});

describe('the broker has not decided', () => {
  test.each<[string, TestBroker['signsRefusal']]>([
    ['not signed', () => undefined],
    ['signed by another key', (said) => ({ said, key: stranger })],
    ['of another request', (said) => ({ said: { ...said, nonce: 'AAAAAAAAAAAAAAAAAAAAAA' } })],
    ['of another device', (said) => ({ said: { ...said, keyId: 'somebody-else' } })],
    ['with another code', (said) => ({ said: { ...said, code: 'not_found' } })],
    ['with other words', (said) => ({ said: { ...said, message: 'all is well' } })],
    ['with another hint', (said) => ({ said: { ...said, hint: 'rm -rf /' } })],
    ['of another time', (said) => ({ said: { ...said, now: '2020-01-01T00:00:00.000Z' } })],
  ])('where a refusal is %s', async (_, signsRefusal) => {
    const outcome = await outcomeWith((broker) => {
      broker.signsRefusal = signsRefusal;
    });
    expect(outcome).toMatchObject({ kind: 'undecided', because: expect.stringContaining('denied') });
  });

  test.each([
    [500, 'internal'],
    [409, 'busy'],
    [507, 'disk_full'],
    [429, 'rate_limited'],
    [504, 'target_unreachable'],
  ])('where it says itself that it cannot: %i %s', async (status, code) => {
    const outcome = await outcomeWith((broker) =>
      broker.routes.set(`POST ${PATH}`, () => new Refused({ status, code })),
    );
    expect(outcome.kind).toBe('undecided');
  });

  test.each([
    ['a login page', new Raw(200, '<html>')],
    ['an object that says yes', new Raw(200, '{"result":{"state":"granted"}}')],
    [
      'an object with a proof of nothing',
      new Raw(200, '{"result":{},"audit":{"checkpoint":"","consistency":[]}}'),
    ],
    ['a refusal of its own', new Raw(403, '{"error":{"code":"denied","message":"no"}}')],
    ['a redirect', new Raw(302, '')],
  ])('where a captive portal answers %s', async (_, raw) => {
    const outcome = await outcomeWith((broker) => broker.routes.set(`POST ${PATH}`, () => raw));
    expect(outcome.kind).toBe('undecided');
  });

  test('where nobody listens, and where its identity is another', async () => {
    const broker = await startTestBroker();
    const absent = await testClient(broker, testContext(), {
      broker: `https://127.0.0.1:${await freePort()}/`,
    });
    expect(await outcomeOf(absent.broker.post(PATH, {}))).toMatchObject({
      kind: 'undecided',
      error: { code: 'broker_unreachable' },
    });
    const { identityKey, identityCertificate } = await startTestBroker();
    const other = await testClient(broker, testContext(), { identityKey, identityCertificate });
    expect(await outcomeOf(other.broker.post(PATH, {}))).toMatchObject({
      kind: 'undecided',
      error: { code: 'tls_untrusted' },
    });
  });

  test('where its log is not the one that this device knows', async () => {
    const broker = await startTestBroker();
    broker.routes.set(`POST ${PATH}`, () => ({ done: true }));
    const client = await testClient(broker);
    await client.broker.post(PATH, {});
    const fork = new TestLog(broker.log.keys);
    const proof = async () => ({ result: {}, audit: await broker.proof(0, 'other', fork) });
    const text = JSON.stringify(await proof());
    broker.routes.set(`POST ${PATH}`, () => new Raw(200, text));
    expect(await outcomeOf(client.broker.post(PATH, {}))).toMatchObject({ kind: 'undecided' });
  });

  test('where nobody answers in the time that one waits', async () => {
    const broker = await startTestBroker();
    broker.routes.set(`POST ${PATH}`, () => new Promise(() => {}));
    const client = await testClient(broker);
    const call = client.broker.post(PATH, {}, { timeoutMs: 60_000 });
    expect(await outcomeWithin(call, 50)).toMatchObject({
      kind: 'undecided',
      error: { code: 'broker_unreachable' },
    });
    client.broker.close();
  });
});

test.each(['interrupted', 'keychain_locked', 'not_enrolled', 'corrupt_file'] as const)(
  'what is neither of the two passes: %s',
  async (code) => {
    await expect(outcomeOf(Promise.reject(new AppError(code, 'no')))).rejects.toMatchObject({ code });
    await expect(outcomeOf(Promise.reject(new TypeError('a fault')))).rejects.toBeInstanceOf(TypeError);
  },
);
