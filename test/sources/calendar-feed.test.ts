import { describe, expect, test } from 'vitest';
import type { Validators } from '../../src/sources/shift.ts';
import { calendarOf, eventOf, startCalendar } from '../support/fakes/calendar.ts';
import { allOf, askShifts, at, DAY, failureOf, readersOf, SECRET, untilEnd } from './reader-world.ts';

const startsAtMs = at('2026-06-01T07:00:00Z');
const endsAtMs = at('2026-06-08T07:00:00Z');

async function world({ address = (url: string) => url } = {}) {
  const fake = await untilEnd(startCalendar());
  fake.setShifts([{ summary: 'Ana', startsAtMs, endsAtMs }]);
  const readers = readersOf({ kind: 'ical', feed: SECRET }, address(fake.address));
  const fetch = (validators: Validators, { day = 0, level = 1, timeZone = 'Europe/Berlin' } = {}) => {
    const fromMs = startsAtMs + day * DAY;
    const feed = { source: 'outside', id: '', level };
    const span = { fromMs, toMs: fromMs + 7 * DAY, timeZone };
    return readers.shifts!.fetchShifts(feed, span, validators, AbortSignal.timeout(20_000));
  };
  return { fake, readers, fetch };
}

test('each event is a shift at the level of the feed', async () => {
  const { fake, readers } = await world();
  expect(await askShifts(readers)).toEqual([{ outsideUser: 'Ana', level: 1, startsAtMs, endsAtMs }]);
  expect(await askShifts(readers, { level: 2 })).toMatchObject([{ level: 2 }]);
  expect(fake.complaints).toEqual([]);
});

test('a calendar without events is an empty list', async () => {
  const { fake, readers } = await world();
  fake.setShifts([]);
  expect(await askShifts(readers)).toEqual([]);
});

describe('an unchanged calendar', () => {
  const known = async (fetch: Awaited<ReturnType<typeof world>>['fetch']) => {
    const answer = await fetch({});
    if (answer.unchanged) throw new Error('unchanged, though nothing was known');
    return answer;
  };

  test('is not read again', async () => {
    const { fetch } = await world();
    const { validators } = await known(fetch);
    expect(await fetch(validators)).toEqual({ unchanged: true });
    expect(await fetch(validators, { day: 1 })).toEqual({ unchanged: true });
  });

  test('is read again for a span that the answer did not cover', async () => {
    const { fake, fetch } = await world();
    fake.setText(
      calendarOf(eventOf('DTSTART:20260601T000000Z', 'DURATION:P1D', 'RRULE:FREQ=DAILY', 'SUMMARY:Ana')),
    );
    const { shifts, validators } = await known(fetch);
    const later = await fetch(validators, { day: 9 });
    expect(later).toMatchObject({ unchanged: false });
    // What it covered beyond the span was there already.
    expect(shifts.at(-1)!.endsAtMs).toBeGreaterThanOrEqual(startsAtMs + 9 * DAY);
    expect(await fetch(validators, { day: -1 })).toMatchObject({ unchanged: false });
  });

  test('is read again for another level or another zone, which would make other shifts of it', async () => {
    const { fetch } = await world();
    const { validators } = await known(fetch);
    expect(await fetch(validators, { level: 2 })).toMatchObject({ unchanged: false });
    expect(await fetch(validators, { timeZone: 'Asia/Tokyo' })).toMatchObject({ unchanged: false });
  });

  test('is known by little text, none of it the address', async () => {
    const { fetch } = await world();
    const { validators } = await known(fetch);
    expect(JSON.stringify(validators)).not.toContain('s3cret');
    expect(JSON.stringify(validators).length).toBeLessThan(300);
  });

  test('that has changed is told', async () => {
    const { fake, fetch } = await world();
    const { validators } = await known(fetch);
    fake.setShifts([{ summary: 'Ben', startsAtMs, endsAtMs }]);
    expect(await fetch(validators)).toMatchObject({ unchanged: false, shifts: [{ outsideUser: 'Ben' }] });
  });
});

test.each([
  ['plain http to somewhere else', () => 'http://calendar.example.com/s3cret-path.ics'],
  ['another scheme', () => 'file:///etc/s3cret-path'],
  ['a user in it', (url: string) => url.replace('//', '//ana:s3cret-path@')],
  ['no address', () => 's3cret-path'],
])('an address with %s is not asked, nor shown', async (_, address) => {
  const { fake, readers } = await world({ address });
  const error = await failureOf(askShifts(readers));
  expect(error).toMatchObject({ code: 'source_failed' });
  expect(allOf(error)).not.toContain('s3cret-path');
  expect(fake.requests).toEqual([]);
});

test('webcal is https', async () => {
  const { readers } = await world({ address: () => 'webcal://127.0.0.1:1/s3cret-path.ics' });
  expect((await failureOf(askShifts(readers))).message).toBe('outside could not be reached');
});

test('a calendar that is not there is a failure, not nobody', async () => {
  const { readers } = await world({ address: (url) => `${url}x` });
  expect(await failureOf(askShifts(readers))).toMatchObject({
    code: 'source_failed',
    details: { status: 404 },
  });
});

test.each([
  ['a page to sign in', '<html><title>s3cret-title</title></html>'],
  [
    'cut off',
    calendarOf(eventOf('DTSTART:20260601T000000Z', 'DURATION:P1D', 'SUMMARY:s3cret-title')).slice(0, -20),
  ],
  ['malformed', calendarOf(eventOf('DTSTART:s3cret-title', 'SUMMARY:Ana'))],
  [
    'malformed in its rule',
    calendarOf(eventOf('DTSTART:20260601T000000Z', 'RRULE:FREQ=s3cret-title', 'SUMMARY:Ana')),
  ],
  ['malformed in its zone', calendarOf(eventOf('DTSTART;TZID=s3cret-title:20260601T000000', 'SUMMARY:Ana'))],
])('a calendar that is %s is refused, and nothing of it is quoted', async (_, text) => {
  const { fake, readers } = await world();
  fake.setText(text);
  const error = await failureOf(askShifts(readers));
  expect(error).toMatchObject({ code: 'source_failed' });
  expect(allOf(error)).not.toContain('s3cret-title');
});

test('a calendar that is not text is refused', async () => {
  const { fake, readers } = await world();
  fake.answerWith({ body: Buffer.from([0x42, 0xff, 0xfe]) });
  expect((await failureOf(askShifts(readers))).message).toContain('not UTF-8');
});

test('a rule that never matches is given up, and the process goes on', async () => {
  const { fake, readers } = await world();
  const endless = eventOf(
    'DTSTART:20260601T000000Z',
    'DURATION:P1D',
    'RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30',
    'SUMMARY:Ana',
  );
  fake.setText(calendarOf(endless));
  const start = performance.now();
  expect((await failureOf(askShifts(readers))).message).toContain('too long to read');
  expect(performance.now() - start).toBeLessThan(10_000);
  fake.setShifts([{ summary: 'Ana', startsAtMs, endsAtMs }]);
  expect(await askShifts(readers)).toHaveLength(1);
});

test('a zone whose rule repeats each second is given up', async () => {
  const { fake, readers } = await world();
  const zone = [
    ...['BEGIN:VTIMEZONE', 'TZID:mine', 'BEGIN:STANDARD', 'DTSTART:16010101T000000'],
    ...['TZOFFSETFROM:+0100', 'TZOFFSETTO:+0100', 'RRULE:FREQ=SECONDLY', 'END:STANDARD', 'END:VTIMEZONE'],
  ].join('\n');
  fake.setText(calendarOf(zone, eventOf('DTSTART;TZID=mine:20260601T000000', 'DURATION:P1D', 'SUMMARY:Ana')));
  expect(await failureOf(askShifts(readers))).toMatchObject({ code: 'source_failed' });
});
