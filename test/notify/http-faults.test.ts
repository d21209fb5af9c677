// What every channel over HTTP owes, whatever its receiver: each fault, on a real connection.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { waitFor } from '../support/temp.ts';
import {
  failureOf,
  HTTP_KINDS,
  type HttpKind,
  hostileNotice,
  NEVER,
  sampleNotice,
  startHttp,
  UNSEEN,
} from './fixture.ts';

const KINDS = Object.keys(HTTP_KINDS) as HttpKind[];

afterEach(() => {
  vi.useRealTimers();
});

describe.each(KINDS)('a %s channel', (kind) => {
  test('is taken by its receiver, in the documented form', async () => {
    const { receiver, channel } = await startHttp(kind);
    await channel.send(sampleNotice(), NEVER);
    await channel.send(sampleNotice({ kind: 'settled', command: '', why: '', to: [] }), NEVER);
    expect(receiver.faults).toEqual([]);
    expect(receiver.accepted).toHaveLength(2);
    expect(channel.canReach(sampleNotice().to[0]!)).toBe(true);
  });

  test('is taken with hostile names, a reason of 10 kB and control characters', async () => {
    const { receiver, channel } = await startHttp(kind);
    await channel.send(hostileNotice(), NEVER);
    expect(receiver.faults).toEqual([]);
    const { body } = receiver.accepted[0]!;
    expect(body.length).toBeLessThan(20_000);
    const texts: string[] = [];
    JSON.parse(body, (_key, value) => (typeof value === 'string' ? texts.push(value) : value));
    expect(texts.length).toBeGreaterThan(8);
    expect(texts.filter((text) => UNSEEN.test(text))).toEqual([]);
  });

  test('tells the same id for a repeat, and another for another notice', async () => {
    const { receiver, channel, ids } = await startHttp(kind);
    receiver.meet('break');
    await failureOf(channel.send(sampleNotice(), NEVER));
    await channel.send(sampleNotice(), NEVER);
    await channel.send(sampleNotice({ id: 'other' }), NEVER);
    const [first, second, third] = ids();
    expect(second).toBe(first);
    if (kind !== 'slack') expect([first, third]).toEqual([sampleNotice().id, 'other']);
    expect(receiver.accepted).toHaveLength(2);
  });

  test('fails for now where nobody listens', async () => {
    const { receiver, channel, secret } = await startHttp(kind);
    await receiver.close();
    const error = await failureOf(channel.send(sampleNotice(), NEVER), secret);
    expect(error).toMatchObject({ code: 'notice_failed', details: { permanent: false } });
  });

  test('is cut by its signal where the receiver says nothing', async () => {
    const { receiver, channel, secret } = await startHttp(kind);
    receiver.meet('silence');
    const stop = new AbortController();
    const failure = failureOf(channel.send(sampleNotice(), stop.signal), secret);
    await waitFor(() => receiver.posts.length === 1, { what: 'the post' });
    stop.abort();
    expect(await failure).toMatchObject({ code: 'notice_failed', details: { permanent: false } });
  });

  test('waits ten seconds for an answer, and no longer', async () => {
    const { receiver, channel, secret } = await startHttp(kind);
    receiver.meet('silence');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let failed = false;
    const failure = failureOf(channel.send(sampleNotice(), NEVER), secret).finally(() => {
      failed = true;
    });
    await vi.waitUntil(() => receiver.posts.length === 1, { timeout: 10_000 });
    await vi.advanceTimersByTimeAsync(9_000);
    expect(failed).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await failure).toMatchObject({ code: 'notice_failed', details: { permanent: false } });
  });

  test('is cut when it is closed', async () => {
    const { receiver, channel } = await startHttp(kind);
    receiver.meet('silence');
    const failure = failureOf(channel.send(sampleNotice(), NEVER));
    await waitFor(() => receiver.posts.length === 1, { what: 'the post' });
    await channel.close();
    expect((await failure).details).toEqual({ permanent: false });
  });

  test.each([
    [400, true],
    [403, true],
    [404, true],
    [410, true],
    [408, false],
    [429, false],
    [500, false],
    [503, false],
  ])('answered with %i fails, for good: %s', async (status, permanent) => {
    const { receiver, channel, secret } = await startHttp(kind);
    receiver.meet({ status, body: secret });
    const error = await failureOf(channel.send(sampleNotice(), NEVER), secret);
    expect(error).toMatchObject({ code: 'notice_failed', details: { permanent, status } });
  });

  test('follows no redirect', async () => {
    const elsewhere = await startHttp(kind);
    const { receiver, channel, secret } = await startHttp(kind);
    for (const status of [301, 302, 307, 308]) {
      receiver.meet({ status, headers: { location: elsewhere.receiver.url } });
      const error = await failureOf(channel.send(sampleNotice(), NEVER), secret);
      expect(error).toMatchObject({ code: 'notice_failed', details: { permanent: false, status } });
    }
    expect(elsewhere.receiver.posts).toEqual([]);
  });

  test('reads no more than the start of an answer that never ends', async () => {
    const { receiver, channel } = await startHttp(kind);
    receiver.meet({ status: 500, endless: true });
    const error = await failureOf(channel.send(sampleNotice(), NEVER));
    expect(error.details).toEqual({ permanent: false, status: 500 });
  });
});
