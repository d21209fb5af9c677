// What holds for every kind of source, each against its fake: faults are failures, never an empty list, and keep secrets.
import { describe, expect, test } from 'vitest';
import type { SourceSettings } from '../../src/catalogue/types.ts';
import type { HttpTiming } from '../../src/sources/http.ts';
import { startCalendar } from '../support/fakes/calendar.ts';
import { type FakeVendor, startFakeVendor } from '../support/fakes/fake-vendor.ts';
import { startIncidentIo } from '../support/fakes/incidentio.ts';
import { startJsm } from '../support/fakes/jsm.ts';
import { startPagerDuty } from '../support/fakes/pagerduty.ts';
import { waitFor } from '../support/temp.ts';
import { allOf, askShifts, at, failureOf, IMPATIENT, readersOf, SECRET, untilEnd } from './reader-world.ts';

const TOKEN = 's3cret-token';
const startsAtMs = at('2026-06-01T07:00:00Z');
const endsAtMs = at('2026-06-08T07:00:00Z');

interface Stand {
  fake: FakeVendor;
  settings: SourceSettings;
  secret: string;
}

/** Each kind with one shift of one person on schedule S1. */
const KINDS: Readonly<Record<string, () => Promise<Stand>>> = {
  ical: async () => {
    const fake = await untilEnd(startCalendar());
    fake.setShifts([{ summary: 'Ana', startsAtMs, endsAtMs }]);
    return { fake, settings: { kind: 'ical', feed: SECRET }, secret: fake.address };
  },
  pagerduty: async () => {
    const fake = await untilEnd(startPagerDuty({ token: TOKEN }));
    fake.setShifts('S1', [{ user: 'PANA', level: 1, startsAtMs, endsAtMs }]);
    return {
      fake,
      settings: { kind: 'pagerduty', url: fake.url, token: SECRET, webhookSecrets: [] },
      secret: TOKEN,
    };
  },
  jsm: async () => {
    const fake = await untilEnd(startJsm({ token: TOKEN }));
    fake.setShifts('S1', [{ responder: 'ana', startsAtMs, endsAtMs }]);
    return {
      fake,
      settings: { kind: 'jsm', url: fake.url, user: 'bot@example.com', token: SECRET },
      secret: TOKEN,
    };
  },
  incidentio: async () => {
    const fake = await untilEnd(startIncidentIo({ token: TOKEN }));
    fake.setShifts('S1', [{ user: '01ANA', startsAtMs, endsAtMs }]);
    return {
      fake,
      settings: { kind: 'incidentio', url: fake.url, token: SECRET, webhookSecrets: [] },
      secret: TOKEN,
    };
  },
};

describe.each(Object.keys(KINDS))('shifts from %s', (kind) => {
  const world = async (timing?: HttpTiming) => {
    const { fake, settings, secret } = await KINDS[kind]!();
    const readers = readersOf(settings, secret, timing);
    const fail = async (signal?: AbortSignal) => {
      const error = await failureOf(askShifts(readers, signal ? { signal } : {}));
      expect(error).toMatchObject({ code: 'source_failed', details: { source: 'outside' } });
      expect(error.message).toMatch(/^outside /);
      for (const word of ['s3cret', Buffer.from(`bot@example.com:${TOKEN}`).toString('base64')])
        expect(allOf(error)).not.toContain(word);
      return error;
    };
    return { fake, settings, readers, fail };
  };

  test('arrive, asked for as documented', async () => {
    const { fake, readers } = await world();
    expect(await askShifts(readers)).toMatchObject([{ level: 1, startsAtMs, endsAtMs }]);
    expect(fake.complaints).toEqual([]);
  });

  test.each([401, 403, 500, 503])('a %i is a failure', async (status) => {
    const { fake, fail } = await world();
    fake.fail(status);
    expect(await fail()).toMatchObject({ details: { status } });
  });

  test('a wrong credential is a failure', async () => {
    const { settings } = await world();
    const readers = readersOf(settings, kind === 'ical' ? 'http://127.0.0.1:1/' : 'another');
    expect(await failureOf(askShifts(readers))).toMatchObject({ code: 'source_failed' });
  });

  test('a 429 is waited out', async () => {
    const { fake, readers } = await world();
    fake.fail(429, { times: 1, retryAfter: '1' });
    expect(await askShifts(readers)).toHaveLength(1);
  });

  test('one that hangs is ended by the signal', async () => {
    const { fake, fail } = await world({ ...IMPATIENT, attemptMs: 60_000 });
    fake.hang();
    const abort = new AbortController();
    const failed = fail(abort.signal);
    await waitFor(() => fake.requests.length === 1, { what: 'the request' });
    abort.abort();
    await failed;
  });

  test.each([
    ['an empty answer', ''],
    ['a page', '<html>sign in s3cret</html>'],
    ['half a JSON', '{"oncalls": ["s3cret'],
    ['a JSON null', 'null'],
    ['a JSON list', '[]'],
    ['another JSON', '{"error": "s3cret"}'],
    ['a nest', '['.repeat(100_000)],
    ['too much', 'x'.repeat(5_000_001)],
  ])('%s is a failure', async (_, body) => {
    const { fake, fail } = await world();
    fake.answerWith({ body });
    await fail();
  });

  test('an answer that breaks off is a failure', async () => {
    const { fake, fail } = await world();
    fake.truncate();
    await fail();
  });

  test('a redirect to another host is a failure, and that host hears nothing', async () => {
    const { fake, fail } = await world();
    const elsewhere = await untilEnd(startFakeVendor(() => ({ body: {} })));
    fake.answerWith({ status: 307, headers: { location: elsewhere.url } });
    await fail();
    expect(elsewhere.requests).toEqual([]);
  });
});

test.each(['pagerduty', 'jsm', 'incidentio'])(
  'a token of %s with a line break in it is not sent',
  async (kind) => {
    const { fake, settings } = await KINDS[kind]!();
    const readers = readersOf(settings, 's3cret\r\nx-more: header');
    const error = await failureOf(askShifts(readers));
    expect(error).toMatchObject({ code: 'source_failed' });
    expect(allOf(error)).not.toContain('s3cret');
    expect(fake.requests).toEqual([]);
  },
);

test('an address with plain http is for loopback alone', async () => {
  const settings = { kind: 'jsm' as const, url: 'http://jsm.example.com', user: 'bot', token: SECRET };
  expect(await failureOf(askShifts(readersOf(settings, TOKEN)))).toMatchObject({ code: 'source_failed' });
});

test.each<[string, SourceSettings]>([
  [
    'PagerDuty without a token',
    { kind: 'pagerduty', url: 'https://x', token: undefined, webhookSecrets: [] },
  ],
  [
    'incident.io without a token',
    { kind: 'incidentio', url: 'https://x', token: undefined, webhookSecrets: [] },
  ],
  ['Rootly', { kind: 'rootly', webhookSecrets: [SECRET] }],
  ['Alertmanager', { kind: 'alertmanager', bearer: SECRET, clientCertificate: undefined }],
])('%s only delivers', (_, settings) => {
  expect(readersOf(settings, TOKEN)).toMatchObject({ shifts: undefined, incidents: undefined });
});
