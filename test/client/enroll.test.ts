import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openClient } from '../../src/client/client.ts';
import { type EnrollInput, enroll } from '../../src/client/enroll.ts';
import { parseInvitation } from '../../src/client/invitation.ts';
import { readStatusFile } from '../../src/client/status-file.ts';
import { keyThumbprint } from '../../src/protocol/keys.ts';
import { tempDir } from '../support/temp.ts';
import { failureOf, testClient, testContext } from './fixture.ts';
import { Refused, startTestBroker, type TestBroker } from './test-broker.ts';

function inputOf(broker: TestBroker, more: Partial<EnrollInput> = {}): EnrollInput {
  return { invitation: broker.invitation(), deviceName: 'laptop', keystore: 'file', ca: 'pinned', ...more };
}

/** A broker whose one invitation works once: a second time only under the same idempotency key. */
async function startInviting(options: Parameters<typeof startTestBroker>[0] = {}): Promise<TestBroker> {
  const broker = await startTestBroker(options);
  let used = false;
  broker.routes.set('POST /v1/enroll', ({ body }) => {
    if (used) return new Refused({ status: 403, code: 'invite_invalid' });
    used = true;
    const { signingKey, deviceName, keystore } = body as Record<string, string>;
    broker.devices.set(keyThumbprint(signingKey!), signingKey!);
    const device = { id: 'dev_1', user: 'ana', name: deviceName, keystore, state: 'active' };
    return { device, user: 'ana' };
  });
  broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
  return broker;
}

describe('an enrolment', () => {
  test('pins the broker, registers both keys with proof of possession, and the device works', async () => {
    const broker = await startInviting();
    const context = testContext();
    const { config, cachesAtRest } = await enroll(context, inputOf(broker));
    const { identityCertificate, ...trust } = broker.trust;
    expect(config).toMatchObject({ ...trust, user: 'ana', device: { id: 'dev_1', keystore: 'file' } });
    expect(config.identityCertificate?.trim()).toBe(identityCertificate);
    expect(cachesAtRest).toBe(true);
    expect(broker.asked[0]?.body).toMatchObject({
      secret: parseInvitation(broker.invitation()).secret,
      signingKey: expect.stringMatching(/^ed25519:/),
      sealingKey: expect.stringMatching(/^x25519:/),
    });
    const client = await openClient(context);
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect(await readStatusFile(context.paths)).toMatchObject({ user: 'ana', grants: [] });
    expect(existsSync(context.paths.enrollingFile)).toBe(false);
  });

  test('happens once for a profile; another profile is another device', async () => {
    const broker = await startInviting();
    const context = testContext();
    await enroll(context, inputOf(broker));
    expect(await failureOf(enroll(context, inputOf(broker)))).toMatchObject({ code: 'conflict' });
    const other = await startInviting();
    const staging = testContext({ env: context.env, profile: 'staging' });
    expect(await enroll(staging, inputOf(other))).toMatchObject({ config: { broker: other.url } });
    expect((await openClient(context)).config.broker).toBe(broker.url);
  });

  test('whose answer was lost is finished by a second try with the same invitation', async () => {
    const broker = await startInviting();
    const context = testContext();
    broker.cuts = 2;
    const { log } = broker;
    // The identity is asked for first: let that through.
    const handle = broker.handle.bind(broker);
    broker.handle = async (request, response) => {
      if (request.url !== '/v1/identity') return handle(request, response);
      const { cuts } = broker;
      broker.cuts = 0;
      await handle(request, response);
      broker.cuts = cuts;
    };
    expect(await failureOf(enroll(context, inputOf(broker)))).toMatchObject({ code: 'broker_unreachable' });
    expect(existsSync(context.paths.configFile)).toBe(false);
    expect(log.size).toBe(1);
    expect(await enroll(context, inputOf(broker))).toMatchObject({ device: { id: 'dev_1' } });
    expect(log.size).toBe(1);
    expect(readdirSync(context.paths.keysDir)).toHaveLength(1);
  });

  test('that the broker refuses leaves no keys behind, and the next invitation works', async () => {
    const broker = await startInviting();
    const context = testContext();
    await enroll(testContext(), inputOf(broker));
    expect(await failureOf(enroll(context, inputOf(broker)))).toMatchObject({ code: 'invite_invalid' });
    expect(readdirSync(context.paths.keysDir)).toEqual([]);
    expect(existsSync(context.paths.enrollingFile)).toBe(false);
    const next = await startInviting();
    expect(await enroll(context, inputOf(next))).toMatchObject({ config: { user: 'ana' } });
  });

  test('does not reach the broker when the keys cannot be kept', async () => {
    const broker = await startInviting();
    const context = testContext();
    mkdirSync(context.paths.keysDir, { recursive: true });
    chmodSync(context.paths.keysDir, 0o777);
    expect(await failureOf(enroll(context, inputOf(broker)))).toMatchObject({ code: 'unsafe_file' });
    expect(broker.asked).toEqual([]);
    const unavailable = enroll(testContext(), inputOf(broker, { keystore: 'keychain' }));
    expect(await failureOf(unavailable)).toMatchObject({ code: 'keychain_unavailable' });
    expect(broker.asked).toEqual([]);
  });

  test('at a broker that the invitation does not name is refused before the secret is sent', async () => {
    const [broker, impostor] = [await startInviting(), await startInviting()];
    const invitation = broker.invitation().replace(broker.url, impostor.url);
    const error = await failureOf(enroll(testContext(), inputOf(broker, { invitation })));
    expect(error).toMatchObject({ code: 'tls_untrusted' });
    expect(impostor.asked).toEqual([]);
  });

  test('through somebody who relays the identity under a CA of his own is refused', async () => {
    const [broker, relay] = [await startInviting(), await startInviting()];
    Object.defineProperty(relay, 'identityKey', { value: broker.identityKey });
    relay.time = (nonce) => broker.time(nonce);
    const invitation = broker.invitation().replace(broker.url, relay.url);
    const error = await failureOf(enroll(testContext(), inputOf(broker, { invitation })));
    expect(error).toMatchObject({ code: 'tls_untrusted' });
    expect(relay.asked).toEqual([]);
  });

  test('over a company CA still knows the broker by its signed identity', async () => {
    const broker = await startInviting();
    const ca = join(tempDir(), 'ca.pem');
    writeFileSync(ca, broker.identityCertificate, { mode: 0o600 });
    const context = testContext();
    expect(await enroll(context, inputOf(broker, { ca }))).toMatchObject({ config: { ca } });
    expect(await (await openClient(context)).broker.get('/v1/me')).toEqual({ user: 'ana' });
    const impostor = await startInviting();
    writeFileSync(ca, impostor.identityCertificate, { mode: 0o600 });
    const invitation = broker.invitation().replace(broker.url, impostor.url);
    const error = await failureOf(enroll(testContext(), inputOf(broker, { invitation, ca })));
    expect(error).toMatchObject({ code: 'tls_untrusted' });
    expect(impostor.asked).toEqual([]);
  });

  test('refuses an identity whose time was signed for another nonce', async () => {
    const broker = await startInviting();
    const { time } = broker;
    broker.time = () => time.call(broker, 'A'.repeat(22));
    expect(await failureOf(enroll(testContext(), inputOf(broker)))).toMatchObject({ code: 'tls_untrusted' });
    expect(broker.asked).toEqual([]);
  });

  test('works over loopback without TLS, and with a clock that is wrong', async () => {
    const broker = await startInviting({ plain: true });
    broker.skewMs = -600_000;
    const context = testContext();
    await enroll(context, inputOf(broker));
    expect(context.warnings).toEqual([expect.stringContaining('fast')]);
    expect(await (await openClient(context)).broker.get('/v1/me')).toEqual({ user: 'ana' });
  });

  test('at a new broker sets the memory of an earlier audit log aside', async () => {
    const earlier = await startTestBroker();
    earlier.routes.set('POST /v1/x', () => ({}));
    const { context } = await testClient(earlier);
    const client = await testClient(earlier, context);
    await client.broker.post('/v1/x', {});
    const note = readFileSync(context.paths.checkpointFile, 'utf8');
    const broker = await startInviting();
    await enroll(context, inputOf(broker));
    const [kept = ''] = readdirSync(context.paths.evidenceDir);
    expect(readFileSync(join(context.paths.evidenceDir, kept), 'utf8')).toBe(note);
    expect(readFileSync(context.paths.checkpointFile, 'utf8')).toBe(await broker.log.checkpoint());
  });

  test('is asked for where there is none', async () => {
    expect(await failureOf(openClient(testContext()))).toMatchObject({ code: 'not_enrolled' });
  });
});

const CODE = `${'0'.repeat(26)}-${'z'.repeat(26)}`;

test.each([
  '',
  'hello',
  'https://broker:7443/',
  `https://broker:7443/#${CODE.slice(1)}`,
  `https://broker:7443/#${CODE}-more`,
  `https://broker:7443/#${CODE.replace('z', 'u')}`,
  `https://broker:7443/?x=1#${CODE}`,
  `https://user:pw@broker:7443/#${CODE}`,
])('%j is not an invitation', (text) => {
  expect(() => parseInvitation(text)).toThrow(expect.objectContaining({ code: 'invite_invalid' }));
});

test('an invitation is read with spaces around it, in capitals, and with a path', () => {
  const { url, secret, fingerprint } = parseInvitation(` https://broker:7443/oncall#${CODE.toUpperCase()}\n`);
  expect([url.href, secret, fingerprint]).toEqual(['https://broker:7443/oncall/', ...CODE.split('-')]);
});
