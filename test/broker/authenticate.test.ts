import { createHash, verify } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyEnrolment } from '../../src/audit/embedded.ts';
import type { AuditEntry } from '../../src/audit/entry.ts';
import { parsePublicKey } from '../../src/protocol/keys.ts';
import type { ErrorReply, Me } from '../../src/protocol/messages.ts';
import { refusalStatement } from '../../src/protocol/refusal.ts';
import { parseInstant, timeStatement } from '../../src/protocol/time.ts';
import { enrolled, type Sent, send, TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { readLog } from '../support/one-life.ts';

let installation: Installation;
let ana: TestDevice;
let dora: TestDevice;
let identityKey: string;

function header(name: string, change: (text: string) => string): (sent: Sent) => void {
  return (sent) => {
    sent.headers[name] = change(sent.headers[name] ?? '');
  };
}

const INCIDENT = { id: 'P1-1', service: 'orders', priority: 'P1' };

beforeAll(async () => {
  installation = await install();
  await installation.start();
  ana = await enrolled(installation, 'ana');
  dora = await enrolled(installation, 'dora');
  const identity = (await (await fetch(`${installation.url}/v1/identity`)).json()) as { identityKey: string };
  identityKey = identity.identityKey;
});

describe('a request that is not properly signed', () => {
  const tampering: [string, (sent: Sent) => void][] = [
    [
      'another body',
      (sent) => Object.assign(sent, { body: JSON.stringify({ ...INCIDENT, priority: 'P2' }) }),
    ],
    ['another path', (sent) => Object.assign(sent, { url: new URL('/v1/incidents/P1-1/resolve', sent.url) })],
    ['a query that was not signed', (sent) => Object.assign(sent, { url: new URL('?x=1', sent.url) })],
    ['another method', (sent) => Object.assign(sent, { method: 'PUT' })],
    ['another idempotency key', header('idempotency-key', () => 'another-key-0001')],
    ['another digest', header('content-digest', () => `sha-256=:${'A'.repeat(43)}=:`)],
    ['no signature', (sent) => void delete sent.headers.signature],
    ['no signature input', (sent) => void delete sent.headers['signature-input']],
    ['a signature that is nonsense', header('signature', () => 'sig1=:bm9uc2Vuc2U=:')],
    ['a longer life', header('signature-input', (text) => text.replace(/expires=\d+/, 'expires=9999999999'))],
  ];
  it.each(tampering)('is refused with %s, and nothing is done', async (_name, tamper) => {
    const answer = await ana.call('POST', '/v1/incidents', INCIDENT, { tamper });
    expect([401, 404]).toContain(answer.status);
    expect((await ana.get<{ incidents: unknown[] }>('/v1/incidents')).result.incidents).toEqual([]);
  });

  it('names another authority in vain', async () => {
    const elsewhere = new TestDevice('http://localhost:1');
    Object.assign(elsewhere, { keys: ana.keys, keyId: ana.keyId });
    const sent = await elsewhere.prepare('GET', '/v1/me', undefined);
    sent.url = new URL('/v1/me', installation.url);
    expect((await send(sent)).error?.code).toBe('unauthenticated');
  });

  it.each([
    ['expired', -120],
    ['from the future', 120],
  ])('is refused when it is %s', async (_name, offset) => {
    const createdSeconds = Math.floor(Date.now() / 1000) + offset;
    expect((await ana.get('/v1/me', { createdSeconds })).status).toBe(401);
  });

  it('is refused from a device that nobody registered', async () => {
    expect((await new TestDevice(installation.url).get('/v1/me')).status).toBe(401);
  });

  it('is refused from a device that was revoked', async () => {
    const second = await enrolled(installation, 'ana');
    expect((await second.get('/v1/me')).status).toBe(200);
    expect((await ana.post(`/v1/devices/${second.id}/revoke`)).status).toBe(200);
    expect((await second.get('/v1/me')).status).toBe(401);
  });

  it('from a device that was revoked is refused before a word about its shape', async () => {
    const second = await enrolled(installation, 'ana');
    await ana.post(`/v1/devices/${second.id}/revoke`);
    const answers = await Promise.all([
      second.get('/v1/me'),
      second.get('/v1/grants?all=perhaps'),
      second.post('/v1/requests', { targets: 'none' }),
      second.post('/v1/explain', { targets: 'none' }),
      second.post('/v1/requests', {}, { idempotencyKey: '!' }),
    ]);
    expect(answers.map(({ status, error }) => [status, error?.code])).toEqual(
      Array(5).fill([401, 'unauthenticated']),
    );
  });

  it('of the wrong shape is refused, and used up by that', async () => {
    const sent = await ana.prepare('POST', '/v1/requests', { targets: 'none' });
    expect((await send(sent)).error?.code).toBe('invalid_request');
    expect((await send(sent)).error?.code).toBe('unauthenticated');
  });

  it('is refused when the signature was made for enrolling', async () => {
    expect((await ana.get('/v1/me', { tag: 'oncall-enroll' })).status).toBe(401);
  });

  it('gets one shape of answer, whatever was wrong', async () => {
    const wrong = await Promise.all([
      new TestDevice(installation.url).get('/v1/me'),
      ana.get('/v1/me', { createdSeconds: 1 }),
      ana.get('/v1/me', { tamper: (sent) => void delete sent.headers.signature }),
    ]);
    const shapes = wrong.map(({ status, error }) => JSON.stringify({ status, error }));
    expect(new Set(shapes).size).toBe(1);
  });
});

describe('a replay', () => {
  it('of a read is refused', async () => {
    const sent = await ana.prepare('GET', '/v1/me', undefined);
    expect((await send(sent)).status).toBe(200);
    expect((await send(sent)).status).toBe(401);
  });

  it('of a change is refused', async () => {
    const sent = await ana.prepare('POST', '/v1/incidents', { ...INCIDENT, id: 'P1-replay' });
    expect((await send(sent)).status).toBe(200);
    expect((await send(sent)).status).toBe(401);
  });

  it('of a change that was refused is refused too, when its cause is gone', async () => {
    const sent = await ana.prepare('POST', '/v1/incidents/P1-later/resolve', {});
    expect((await send(sent)).status).toBe(404);
    expect((await ana.post('/v1/incidents', { ...INCIDENT, id: 'P1-later' })).status).toBe(200);
    expect((await send(sent)).status).toBe(401);
  });
});

describe('the same change sent twice', () => {
  it('under one idempotency key is done once', async () => {
    const body = { ...INCIDENT, id: 'P1-twice' };
    const idempotencyKey = 'twice-0123456789';
    const [one, two] = [
      await ana.post('/v1/incidents', body, { idempotencyKey }),
      await ana.post('/v1/incidents', body, { idempotencyKey }),
    ];
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(two.audit?.receipt.index).toBe(one.audit?.receipt.index);
  });

  it('at the same moment is done once', async () => {
    const body = { ...INCIDENT, id: 'P1-race' };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => ana.post('/v1/incidents', body, { idempotencyKey: 'race-0123456789' })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(new Set(answers.map(({ audit }) => audit?.receipt.index)).size).toBe(1);
  });

  it('with another body under the same key is a conflict', async () => {
    const idempotencyKey = 'conflict-0123456789';
    await ana.post('/v1/incidents', { ...INCIDENT, id: 'P1-c1' }, { idempotencyKey });
    const second = await ana.post('/v1/incidents', { ...INCIDENT, id: 'P1-c2' }, { idempotencyKey });
    expect(second.error?.code).toBe('conflict');
  });

  it('without a key is refused', async () => {
    const tamper = (sent: Sent) => void delete sent.headers['idempotency-key'];
    expect((await ana.call('POST', '/v1/incidents', INCIDENT, { tamper })).status).toBe(401);
  });
});

describe('a refusal', () => {
  it("carries the broker's time, signed over the request's nonce", async () => {
    const nonce = 'AAAAAAAAAAAAAAAAAAAAAA';
    const { raw } = await ana.get('/v1/me', { nonce, createdSeconds: 1 });
    const { time } = raw as { time: { now: string; nonce: string; signature: string } };
    expect(time.nonce).toBe(nonce);
    expect(Math.abs(parseInstant(time.now) - Date.now())).toBeLessThan(5000);
    const signed = (text: string) =>
      verify(
        null,
        timeStatement(nonce, text),
        parsePublicKey(identityKey),
        Buffer.from(time.signature, 'base64url'),
      );
    expect(signed(time.now)).toBe(true);
    expect(signed('2026-01-01T00:00:00.000Z')).toBe(false);
  });

  it('is signed as a whole, for the request and the key that it answers', async () => {
    const nonce = 'BBBBBBBBBBBBBBBBBBBBBB';
    const { raw } = await ana.post('/v1/incidents', INCIDENT, { nonce, createdSeconds: 1 });
    const { error, time, signature } = raw as ErrorReply;
    const { code, message, hint } = error;
    const statement = { code, message, hint, nonce, keyId: ana.keyId, now: time.now };
    const signed = (said: Parameters<typeof refusalStatement>[0]) =>
      verify(
        null,
        refusalStatement(said),
        parsePublicKey(identityKey),
        Buffer.from(signature ?? '', 'base64url'),
      );
    expect(signed(statement)).toBe(true);
    expect(signed({ ...statement, keyId: dora.keyId })).toBe(false);
    expect(signed({ ...statement, code: 'denied' })).toBe(false);
  });
});

describe('a body', () => {
  it.each([
    ['unknown members', JSON.stringify({ ...INCIDENT, extra: 1 }), 'invalid_request'],
    ['a member twice', '{"id":"P1-9","id":"P1-8","service":"orders","priority":"P1"}', 'invalid_request'],
    ['no JSON at all', 'not json', 'invalid_request'],
    ['a name with a terminal escape', JSON.stringify({ ...INCIDENT, id: 'P1\u001b[31m' }), 'invalid_request'],
    [
      'a name with SQL',
      JSON.stringify({ ...INCIDENT, id: "x'; DROP TABLE incidents;--" }),
      'invalid_request',
    ],
    ['a title with NUL', JSON.stringify({ ...INCIDENT, title: 'a\u0000b' }), 'invalid_request'],
    ['a service that nobody knows', JSON.stringify({ ...INCIDENT, service: 'nothing' }), 'not_found'],
    ['a priority that does not exist', JSON.stringify({ ...INCIDENT, priority: 'P9' }), 'invalid_request'],
  ])('with %s is refused', async (_name, body, code) => {
    expect((await ana.post('/v1/incidents', body)).error?.code).toBe(code);
  });

  it('of ten megabytes is refused before it is read', async () => {
    const answer = await ana
      .post('/v1/incidents', 'x'.repeat(10 * 1024 * 1024))
      .catch((error: Error) => error);
    // The broker may hang up while we still send.
    if (!(answer instanceof Error)) expect(answer.error?.code).toBe('too_large');
    expect((await ana.get<Me>('/v1/me')).result.user).toBe('ana');
  });
});

describe('an invitation', () => {
  it('works once', async () => {
    const invitation = await installation.invite('ben');
    expect((await new TestDevice(installation.url).enroll(invitation)).status).toBe(200);
    expect((await new TestDevice(installation.url).enroll(invitation)).error?.code).toBe('invite_invalid');
  });

  it('enrols nobody whose request another key signed', async () => {
    const invitation = await installation.invite('ben');
    const other = new TestDevice(installation.url);
    expect(
      (await new TestDevice(installation.url).enroll(invitation, { signingKey: other.signingKey })).status,
    ).toBe(401);
    expect((await other.enroll(invitation)).status).toBe(200);
  });

  it('leaves in the log the proof that its device held the key, and nothing of its code', async () => {
    const invitation = await installation.invite('ben');
    const device = new TestDevice(installation.url);
    expect((await device.enroll(invitation)).status).toBe(200);
    const texts = (await readLog(dora)).map(({ entry }) => entry);
    const entries = texts.map((text) => JSON.parse(text) as AuditEntry);
    const entry = entries.find(
      ({ event, subject }) => event === 'device.enrolled' && subject?.device === device.id,
    );
    expect(entry?.embedded).toMatchObject({ path: '/v1/enroll', body: null, publicKey: device.signingKey });
    verifyEnrolment(entry!.embedded!);

    const secret = new URL(invitation).hash.slice(1).split('-')[0]!;
    const hash = createHash('sha256').update(secret.toLowerCase()).digest();
    const forms = [secret, ...(['hex', 'base64', 'base64url'] as const).map((form) => hash.toString(form))];
    for (const form of forms) expect(texts.join('\n').toLowerCase()).not.toContain(form.toLowerCase());
  });

  it('that was answered into the void is answered again to the same key', async () => {
    const invitation = await installation.invite('ben');
    const device = new TestDevice(installation.url);
    const [first, second] = [await device.enroll(invitation), await device.enroll(invitation)];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.result.device.id).toBe(first.result.device.id);
    expect(second.audit?.receipt.index).toBe(first.audit?.receipt.index);
  });

  it('is given out by a device for its own person only, and all devices are told', async () => {
    const { result } = await dora.post<{ url: string }>('/v1/devices/invite');
    const next = new TestDevice(installation.url);
    expect((await next.enroll(result.url)).result.user).toBe('dora');
    const { notices } = (await dora.get<Me>('/v1/me')).result;
    expect(notices.some(({ text }) => text.includes(next.id))).toBe(true);
  });

  it('cannot be guessed for long from one address', async () => {
    const other = await install();
    await other.start();
    const good = await other.invite('ben');
    const guess = (i: number) => good.replace(/#.{26}/, `#${String(i).padStart(26, '0')}`);
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < 12; i++) codes.push((await new TestDevice(other.url).enroll(guess(i))).error?.code);
    expect(codes[0]).toBe('invite_invalid');
    expect(codes.at(-1)).toBe('rate_limited');
    expect((await new TestDevice(other.url).enroll(good)).error?.code).toBe('rate_limited');
  });
});
