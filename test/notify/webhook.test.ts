import { describe, expect, test } from 'vitest';
import { atEnd } from '../support/at-end.ts';
import { Fault } from '../support/http-receiver.ts';
import { startWebhookReceiver, verifyStandardWebhook } from '../support/receivers.ts';
import { failureOf, NEVER, openChannel, sampleNotice, startHttp, WEBHOOK_SECRET } from './fixture.ts';

async function startAt(nowMs: number, secret = WEBHOOK_SECRET) {
  const receiver = await startWebhookReceiver({ secret, now: () => nowMs });
  atEnd(receiver.close);
  return receiver;
}

describe('a signed webhook', () => {
  test('carries the notice as oncall.notice/v1, without names or addresses of those it is for', async () => {
    const { receiver, channel } = await startHttp('webhook');
    const notice = sampleNotice();
    await channel.send(notice, NEVER);
    const { to, ...words } = notice;
    expect(JSON.parse(receiver.accepted[0]!.body)).toEqual({
      schema: 'oncall.notice/v1',
      ...words,
      to: to.map(({ user, ids }) => ({ user, ids })),
    });
  });

  test('repeated an hour later is signed for that moment, and the receiver sees one notice', async () => {
    let nowMs = Date.parse('2026-01-05T02:14:00.700Z');
    const receiver = await startWebhookReceiver({ secret: WEBHOOK_SECRET, now: () => nowMs });
    atEnd(receiver.close);
    const settings = { kind: 'webhook', url: receiver.url, secret: { env: WEBHOOK_SECRET } } as const;
    const channel = await openChannel(settings, () => nowMs);
    await channel.send(sampleNotice(), NEVER);
    nowMs += 3_600_000;
    await channel.send(sampleNotice(), NEVER);
    expect(receiver.accepted.map(({ headers }) => headers['webhook-timestamp'])).toEqual([
      '1767579240',
      '1767582840',
    ]);
    expect([...receiver.ids]).toEqual([sampleNotice().id]);
  });

  test('under another secret is refused, for good', async () => {
    const receiver = await startAt(Date.now(), `whsec_${Buffer.alloc(32, 1).toString('base64')}`);
    const settings = { kind: 'webhook', url: receiver.url, secret: { env: WEBHOOK_SECRET } } as const;
    const error = await failureOf((await openChannel(settings)).send(sampleNotice(), NEVER), WEBHOOK_SECRET);
    expect(error.details).toEqual({ permanent: true, status: 400 });
    expect(receiver.faults).toEqual(['no signature matches']);
  });

  test('tells an id that has no place in a header by its digest, which no other id has', async () => {
    const { receiver, channel, ids } = await startHttp('webhook');
    for (const id of ['a.b', 'a\r\nx: y', 'ü', 'x'.repeat(5000), ''])
      await channel.send(sampleNotice({ id }), NEVER);
    expect(receiver.faults).toEqual([]);
    expect(ids().every((id) => /^[0-9a-f]{64}$/.test(String(id)))).toBe(true);
    expect(new Set(ids()).size).toBe(5);
  });
});

describe('the receiver of these tests', () => {
  // The example of the specification's own libraries.
  const post = {
    path: '/',
    headers: {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    body: '{"test": 2432232314}',
  };
  const nowMs = 1_614_265_330_000;

  test('verifies the known example', () => {
    expect(() => verifyStandardWebhook(post, WEBHOOK_SECRET, nowMs)).not.toThrow();
  });

  test.each([
    ['another body', { ...post, body: `${post.body} ` }, nowMs],
    ['another id', { ...post, headers: { ...post.headers, 'webhook-id': 'msg_2' } }, nowMs],
    ['no signature', { ...post, headers: { ...post.headers, 'webhook-signature': 'v1a,x' } }, nowMs],
    ['a time long ago', post, nowMs + 301_000],
  ])('refuses %s', (_what, changed, atMs) => {
    expect(() => verifyStandardWebhook(changed, WEBHOOK_SECRET, atMs)).toThrow(Fault);
  });
});

describe('the secret of a webhook', () => {
  test.each([
    ['without its prefix', WEBHOOK_SECRET.slice('whsec_'.length)],
    ['of 23 bytes', `whsec_${Buffer.alloc(23, 7).toString('base64')}`],
    ['of 65 bytes', `whsec_${Buffer.alloc(65, 7).toString('base64')}`],
    ['not in base64', 'whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!'],
    ['missing', ''],
  ])('%s is refused, without being told', async (_what, secret) => {
    const settings = { kind: 'webhook', url: 'https://example.com/hook', secret: { env: secret } } as const;
    expect(await failureOf(openChannel(settings), secret || WEBHOOK_SECRET)).toMatchObject({
      code: 'config_invalid',
    });
  });
});
