import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createSourceHttp, type HttpTiming, type Question } from '../../src/sources/http.ts';
import { atEnd } from '../support/at-end.ts';
import { startFakeVendor } from '../support/fakes/fake-vendor.ts';
import { waitFor } from '../support/temp.ts';
import { allOf, failureOf, IMPATIENT, untilEnd } from './reader-world.ts';

const SECRETS = ['s3cret-path', 's3cret-query', 's3cret-token'];

async function world(timing: Partial<HttpTiming> = {}) {
  const vendor = await untilEnd(
    startFakeVendor(({ headers }) =>
      headers['if-none-match'] === '"one"'
        ? { status: 304 }
        : { headers: { etag: '"one"', 'last-modified': 'Mon, 01 Jun 2026 00:00:00 GMT' }, body: 'hello' },
    ),
  );
  const http = createSourceHttp('outside', { ...IMPATIENT, ...timing });
  atEnd(() => http.close());
  const get = (question: Partial<Question> = {}) =>
    http.get({
      url: new URL(`${vendor.url}/s3cret-path?q=s3cret-query`),
      headers: { authorization: 's3cret-token' },
      signal: AbortSignal.timeout(20_000),
      ...question,
    });
  const fail = async (question?: Partial<Question>) => {
    const error = await failureOf(get(question));
    for (const secret of SECRETS) expect(allOf(error)).not.toContain(secret);
    expect(error).toMatchObject({ code: 'source_failed', details: { source: 'outside' } });
    return error;
  };
  return { vendor, http, get, fail };
}

test('an answer comes with its validators, which then ask for nothing where nothing changed', async () => {
  const { vendor, get } = await world();
  const answer = await get();
  expect(answer).toMatchObject({
    kind: 'body',
    validators: { etag: '"one"', lastModified: 'Mon, 01 Jun 2026 00:00:00 GMT' },
  });
  expect(await get({ validators: { etag: '"one"', lastModified: 'x' } })).toEqual({ kind: 'unchanged' });
  expect(vendor.requests.at(-1)?.headers).toMatchObject({
    'if-none-match': '"one"',
    'if-modified-since': 'x',
  });
});

test('"not modified" is a failure where nothing was known', async () => {
  const { vendor, fail } = await world();
  vendor.answerWith({ status: 304 });
  expect(await fail()).toMatchObject({ details: { status: 304 } });
});

test('what is not there is told apart from failures', async () => {
  const { vendor, get } = await world();
  vendor.fail(404);
  expect(await get()).toEqual({ kind: 'absent' });
  expect(vendor.requests).toHaveLength(1);
});

test.each([429, 500, 502, 503])('a passing %i is survived', async (status) => {
  const { vendor, get } = await world();
  vendor.fail(status, { times: 1 });
  expect(await get()).toMatchObject({ kind: 'body' });
  expect(vendor.requests).toHaveLength(2);
});

test('a lasting 500 is given up', async () => {
  const { vendor, fail } = await world({ attempts: 3 });
  vendor.fail(500);
  expect(await fail()).toMatchObject({ details: { status: 500 } });
  expect(vendor.requests).toHaveLength(3);
});

test.each([400, 401, 403, 410, 422])('%i is not asked again', async (status) => {
  const { vendor, fail } = await world();
  vendor.fail(status);
  expect(await fail()).toMatchObject({ details: { status } });
  expect(vendor.requests).toHaveLength(1);
});

test('refused credentials say what to do', async () => {
  const { vendor, fail } = await world();
  vendor.fail(401);
  expect((await fail()).hint).toContain('renew the secret');
});

test('Retry-After is waited for', async () => {
  const { vendor, get } = await world();
  vendor.fail(429, { times: 1, retryAfter: '1' });
  const start = performance.now();
  await get();
  expect(performance.now() - start).toBeGreaterThanOrEqual(990);
});

test('Retry-After may be a date, on the clock of who wrote it', async () => {
  const { vendor, fail } = await world();
  vendor.answerWith({
    status: 503,
    headers: { date: 'Mon, 01 Jun 2026 00:00:00 GMT', 'retry-after': 'Mon, 01 Jun 2026 00:10:00 GMT' },
  });
  expect(await fail()).toMatchObject({ details: { status: 503, retryAfterSeconds: 600 } });
});

test('a longer Retry-After than we would wait ends it at once, and is told', async () => {
  const { vendor, fail } = await world();
  vendor.fail(429, { retryAfter: '3600' });
  expect(await fail()).toMatchObject({ details: { status: 429, retryAfterSeconds: 3600 } });
  expect(vendor.requests).toHaveLength(1);
});

test('the signal ends the wait for a retry', async () => {
  const { vendor, fail } = await world({ maxWaitMs: 60_000 });
  vendor.fail(429, { retryAfter: '50' });
  const start = performance.now();
  await fail({ signal: AbortSignal.timeout(1_000) });
  expect(performance.now() - start).toBeLessThan(20_000);
  expect(vendor.requests).toHaveLength(1);
});

test('the signal ends a request that hangs', async () => {
  const { vendor, fail } = await world({ attemptMs: 60_000 });
  vendor.hang();
  const abort = new AbortController();
  const failed = fail({ signal: abort.signal });
  await waitFor(() => vendor.requests.length === 1, { what: 'the request' });
  abort.abort();
  expect((await failed).message).toBe('outside did not answer in time');
  expect(vendor.requests).toHaveLength(1);
});

test('a signal that was aborted before asks nobody', async () => {
  const { vendor, fail } = await world();
  await fail({ signal: AbortSignal.abort() });
  expect(vendor.requests).toHaveLength(0);
});

test('an attempt that hangs is given up and made again', async () => {
  const { vendor, get } = await world({ attemptMs: 100 });
  vendor.hang({ times: 1 });
  expect(await get()).toMatchObject({ kind: 'body' });
  expect(vendor.requests).toHaveLength(2);
});

test('an answer that breaks off is no answer', async () => {
  const { vendor, get, fail } = await world();
  vendor.truncate({ times: 1 });
  expect(await get()).toMatchObject({ kind: 'body' });
  vendor.truncate();
  await fail();
  expect(vendor.requests).toHaveLength(4);
  // Never mended with the rest of another answer.
  expect(vendor.requests.some(({ headers }) => headers.range)).toBe(false);
});

test.each([
  ['with its length', { 'content-length': '5000001' }],
  ['in chunks', { 'transfer-encoding': 'chunked' }],
])('an answer that is too large is cut off (%s)', async (_, headers) => {
  const { vendor, fail } = await world();
  vendor.answerWith({ headers, body: Buffer.alloc(5_000_001, 'x') });
  expect((await fail()).message).toBe('outside answered with too much');
  expect(vendor.requests).toHaveLength(1);
});

test('an answer just below that arrives', async () => {
  const { vendor, get } = await world();
  vendor.answerWith({ body: Buffer.alloc(5_000_000, 'x') });
  const answer = await get();
  expect(answer.kind === 'body' && answer.body.length).toBe(5_000_000);
});

test('a compressed answer, which was not asked for, stays as it is: no parser takes it', async () => {
  const { vendor, get } = await world();
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  vendor.answerWith({ headers: { 'content-encoding': 'gzip' }, body: bomb });
  const answer = await get();
  expect(answer.kind === 'body' && answer.body.length).toBe(bomb.length);
  expect(vendor.requests[0]?.headers['accept-encoding']).toBe('identity');
});

test('a redirect is not followed, wherever it leads', async () => {
  const { vendor, fail } = await world();
  const elsewhere = await untilEnd(startFakeVendor(() => ({ body: 'mine now' })));
  for (const location of [`${elsewhere.url}/`, `${vendor.url}/other`]) {
    vendor.answerWith({ status: 302, headers: { location } });
    expect((await fail()).message).toContain('redirect');
  }
  expect(elsewhere.requests).toEqual([]);
  expect(vendor.requests).toHaveLength(2);
});

test('an address where nobody listens is a failure', async () => {
  const { vendor, fail } = await world();
  await vendor.close();
  expect((await fail()).message).toBe('outside could not be reached');
});

test('closing ends what hangs', async () => {
  const { vendor, http, fail } = await world();
  vendor.hang();
  const failed = fail();
  await waitFor(() => vendor.requests.length === 1, { what: 'the request' });
  await http.close();
  await failed;
});
