import { expect, test } from 'vitest';
import { startPagerDuty } from '../support/fakes/pagerduty.ts';
import { askShifts, at, DAY, failureOf, readersOf, SECRET, untilEnd } from './reader-world.ts';

async function world() {
  const fake = await untilEnd(startPagerDuty());
  const readers = readersOf(
    { kind: 'pagerduty', url: fake.url, token: SECRET, webhookSecrets: [] },
    'pd-token',
  );
  const incidents = readers.incidents!;
  const signal = AbortSignal.timeout(20_000);
  return {
    fake,
    readers,
    fetchSince: (text: string) => incidents.fetchIncidents(at(text), signal),
    fetchOne: (id: string) => incidents.fetchIncident(id, signal),
  };
}

const startsAtMs = at('2026-06-01T07:00:00Z');
const endsAtMs = at('2026-06-08T07:00:00Z');

test('shifts are whole, though they began before the span and end after it', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [{ user: 'PANA', level: 2, startsAtMs, endsAtMs }]);
  const span = { fromMs: startsAtMs + DAY, toMs: startsAtMs + 2 * DAY };
  expect(await askShifts(readers, span)).toEqual([{ outsideUser: 'PANA', level: 2, startsAtMs, endsAtMs }]);
  expect(fake.complaints).toEqual([]);
});

test('the level is the escalation level, the best of several policies', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [
    { user: 'PANA', level: 3, startsAtMs, endsAtMs, policy: 'P1' },
    { user: 'PANA', level: 1, startsAtMs, endsAtMs, policy: 'P2' },
    { user: 'PBEN', level: 2, startsAtMs, endsAtMs },
  ]);
  expect((await askShifts(readers)).map(({ outsideUser, level }) => [outsideUser, level])).toEqual([
    ['PANA', 1],
    ['PBEN', 2],
  ]);
});

test('the level is what the feed says, where it says one', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [{ user: 'PANA', level: 3, startsAtMs, endsAtMs }]);
  expect(await askShifts(readers, { level: 1 })).toMatchObject([{ level: 1 }]);
});

test('somebody who is on call for ever has no end', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [{ user: 'PANA', level: 1, startsAtMs, endsAtMs: null }]);
  expect(await askShifts(readers)).toMatchObject([{ endsAtMs: null }]);
});

test('all pages are read', async () => {
  const { fake, readers } = await world();
  const shifts = Array.from({ length: 250 }, (_, index) => ({
    user: `P${index}`,
    level: 1,
    startsAtMs,
    endsAtMs,
  }));
  fake.setShifts('S1', shifts);
  expect(await askShifts(readers)).toHaveLength(250);
  expect(fake.requests.map(({ query }) => query.get('offset'))).toEqual(['0', '100', '200']);
  expect(fake.complaints).toEqual([]);
});

test('pages without an end are refused', async () => {
  const { fake, readers } = await world();
  fake.answerWith({ body: { oncalls: [], more: true } });
  expect(await failureOf(askShifts(readers))).toMatchObject({ code: 'source_failed' });
  expect(fake.requests.length).toBeLessThanOrEqual(100);
});

test('nobody on call is an empty list', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', []);
  expect(await askShifts(readers)).toEqual([]);
});

const oncall = {
  schedule: { id: 'S1' },
  user: { id: 'PANA' },
  escalation_level: 1,
  start: '2026-06-01T07:00:00Z',
  end: '2026-06-08T07:00:00Z',
};

test.each([
  ['of another schedule', { ...oncall, schedule: { id: 'S2' } }],
  ['of no schedule', { ...oncall, schedule: null }],
  ['of nobody', { ...oncall, user: null }],
  ['of a user without an id', { ...oncall, user: { id: '' } }],
  ['at no level', { ...oncall, escalation_level: null }],
  ['at half a level', { ...oncall, escalation_level: 1.5 }],
  ['from no instant', { ...oncall, start: 'yesterday' }],
  ['from a time without an offset', { ...oncall, start: '2026-06-01T07:00:00' }],
])('one entry %s spoils the whole answer', async (_, entry) => {
  const { fake, readers } = await world();
  fake.answerWith({ body: { oncalls: [oncall, entry], more: false } });
  expect(await failureOf(askShifts(readers))).toMatchObject({ code: 'source_failed' });
});

test('members that we do not know are passed over', async () => {
  const { fake, readers } = await world();
  fake.answerWith({
    body: { oncalls: [{ ...oncall, novelty: { constructor: 1 } }], more: false, cursor: 'x' },
  });
  expect(await askShifts(readers)).toHaveLength(1);
});

const incident = {
  id: 'Q1',
  number: 4711,
  status: 'triggered' as const,
  title: 'orders are down',
  priority: 'P1',
  service: 'PSVC1',
  createdAtMs: at('2026-06-02T02:14:00Z'),
  changedAtMs: at('2026-06-02T02:15:00Z'),
};

test('an incident is told in our words', async () => {
  const { fake, fetchOne } = await world();
  fake.setIncidents([{ ...incident, declaredBy: 'PANA', assignees: ['PBEN'] }]);
  expect(await fetchOne('Q1')).toEqual({
    externalId: 'Q1',
    aliases: ['4711', 'https://acme.pagerduty.com/incidents/Q1'],
    occurredAtMs: incident.changedAtMs,
    status: 'open',
    priority: 'P1',
    outsideService: 'PSVC1',
    title: 'orders are down',
    startedAtMs: incident.createdAtMs,
    outsideDeclarer: 'PANA',
    outsideAssignees: ['PBEN'],
    url: 'https://acme.pagerduty.com/incidents/Q1',
    labels: {},
  });
  expect(fake.complaints).toEqual([]);
});

test('an incident that a service opened was declared by nobody, and may have no priority', async () => {
  const { fake, fetchOne } = await world();
  const { priority: _, ...plain } = incident;
  fake.setIncidents([plain]);
  expect(await fetchOne('Q1')).toMatchObject({ outsideDeclarer: '', priority: '', status: 'open' });
});

test('an incident that is not there is none, and none is asked for by what is no id', async () => {
  const { fake, fetchOne } = await world();
  expect(await fetchOne('Q9')).toBeUndefined();
  const asked = fake.requests.length;
  for (const id of ['../users/PANA', '..', '', 'a?b'])
    expect(await failureOf(fetchOne(id))).toMatchObject({ code: 'source_failed' });
  expect(fake.requests).toHaveLength(asked);
});

test('open incidents are listed however old, resolved ones by when they were resolved', async () => {
  const { fake, fetchSince } = await world();
  const old = { createdAtMs: at('2025-01-01T00:00:00Z'), changedAtMs: at('2025-01-01T00:00:00Z') };
  const resolved = { ...incident, status: 'resolved' as const };
  fake.setIncidents([
    { ...incident, ...old, id: 'OLD-OPEN' },
    { ...incident, id: 'ACKED', status: 'acknowledged' },
    // Created long ago, resolved since.
    { ...resolved, ...old, id: 'RESOLVED', changedAtMs: at('2026-06-02T03:00:00Z') },
    { ...resolved, ...old, id: 'LONG-RESOLVED' },
  ]);
  const found = await fetchSince('2026-06-02T02:00:00Z');
  expect(found.map(({ externalId, status }) => [externalId, status])).toEqual([
    ['OLD-OPEN', 'open'],
    ['ACKED', 'open'],
    ['RESOLVED', 'resolved'],
  ]);
  expect(fake.complaints).toEqual([]);
});

test('resolved incidents are read back to where they were resolved before, and no further', async () => {
  const { fake, fetchSince } = await world();
  fake.setIncidents(
    Array.from({ length: 1000 }, (_, index) => ({
      ...incident,
      id: `Q${index}`,
      status: 'resolved' as const,
      changedAtMs: at('2026-06-02T12:00:00Z') - index * 60_000,
    })),
  );
  expect(await fetchSince('2026-06-02T10:00:00Z')).toHaveLength(121);
  expect(fake.requests).toHaveLength(3);
});

test('a status that we do not know is not taken for an open one', async () => {
  const { fake, fetchOne } = await world();
  fake.setIncidents([{ ...incident, status: 'snoozed' as 'triggered' }]);
  expect(await failureOf(fetchOne('Q1'))).toMatchObject({ code: 'source_failed' });
});
