import { expect, test } from 'vitest';
import { startJsm } from '../support/fakes/jsm.ts';
import { askShifts, at, DAY, failureOf, readersOf, SECRET, untilEnd } from './reader-world.ts';

async function world() {
  const fake = await untilEnd(startJsm());
  const settings = { kind: 'jsm' as const, url: fake.url, user: 'bot@example.com', token: SECRET };
  return { fake, readers: readersOf(settings, 'jsm-token') };
}

const startsAtMs = at('2026-06-01T07:00:00Z');
const endsAtMs = at('2026-06-08T07:00:00Z');
const ana = { responder: '5b2b0e011b3a756623f4e25e', startsAtMs, endsAtMs };

test('shifts are whole, though the API cuts them at the edges of what it is asked', async () => {
  const { fake, readers } = await world();
  const month = { responder: 'ben', startsAtMs: startsAtMs - 14 * DAY, endsAtMs: startsAtMs + 14 * DAY };
  fake.setShifts('S1', [ana, month]);
  const span = { fromMs: startsAtMs + DAY, toMs: startsAtMs + 2 * DAY };
  expect(await askShifts(readers, span)).toEqual([
    { outsideUser: ana.responder, level: 1, startsAtMs, endsAtMs },
    { outsideUser: 'ben', level: 1, startsAtMs: month.startsAtMs, endsAtMs: month.endsAtMs },
  ]);
  expect(fake.complaints).toEqual([]);
});

test('shifts outside the span are left out, though they were asked for', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [ana, { ...ana, startsAtMs: endsAtMs, endsAtMs: endsAtMs + 7 * DAY }]);
  expect(await askShifts(readers, { fromMs: startsAtMs, toMs: endsAtMs })).toHaveLength(1);
});

test('the level is what the feed says', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [ana]);
  expect(await askShifts(readers, { level: 3 })).toMatchObject([{ level: 3 }]);
});

test('a team is its people, and itself where the API does not say who they are', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [
    { ...ana, responder: 'team-1', type: 'team', flattened: ['ana', 'ben'] },
    { ...ana, responder: 'team-2', type: 'team' },
  ]);
  expect((await askShifts(readers)).map(({ outsideUser }) => outsideUser)).toEqual(['ana', 'ben', 'team-2']);
});

test('a slot of no one and a rotation that was deleted put nobody on call', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [{ ...ana, responder: undefined, type: 'noone' }]);
  expect(await askShifts(readers)).toEqual([]);
  fake.setShifts('S1', [ana], { deleted: true });
  expect(await askShifts(readers)).toEqual([]);
});

test('a schedule that is not there is a failure, not nobody', async () => {
  const { readers } = await world();
  expect(await failureOf(askShifts(readers, { id: 'S9' }))).toMatchObject({
    code: 'source_failed',
    details: { status: 404 },
  });
});

test.each([
  ['without a timeline', {}],
  ['without rotations', { finalTimeline: {} }],
  ['with a period of nobody', { finalTimeline: { rotations: [{ periods: [{ ...iso(), responder: {} }] }] } }],
  [
    'with a period without an end',
    { finalTimeline: { rotations: [{ periods: [{ ...iso(), endDate: null }] }] } },
  ],
])('an answer %s is refused', async (_, body) => {
  const { fake, readers } = await world();
  fake.answerWith({ body });
  expect(await failureOf(askShifts(readers))).toMatchObject({ code: 'source_failed' });
});

function iso() {
  return {
    startDate: '2026-06-01T07:00:00Z',
    endDate: '2026-06-08T07:00:00Z',
    responder: { type: 'user', id: 'ana' },
  };
}
