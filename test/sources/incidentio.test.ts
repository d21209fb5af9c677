import { expect, test } from 'vitest';
import { startIncidentIo } from '../support/fakes/incidentio.ts';
import { askShifts, at, DAY, failureOf, HOUR, readersOf, SECRET, untilEnd } from './reader-world.ts';

async function world() {
  const fake = await untilEnd(startIncidentIo({ entriesPerPage: 10 }));
  const readers = readersOf(
    { kind: 'incidentio', url: fake.url, token: SECRET, webhookSecrets: [] },
    'iio-token',
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

test('shifts are the final entries, whole, at the level that the feed says', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [{ user: '01ANA', startsAtMs, endsAtMs }]);
  const span = { fromMs: startsAtMs + DAY, toMs: startsAtMs + 2 * DAY };
  expect(await askShifts(readers, span)).toEqual([{ outsideUser: '01ANA', level: 1, startsAtMs, endsAtMs }]);
  expect(await askShifts(readers, { ...span, level: 2 })).toMatchObject([{ level: 2 }]);
  expect(fake.complaints).toEqual([]);
});

test('all pages are read by their cursor, and never from the address that the answer names', async () => {
  const { fake, readers } = await world();
  const hours = Array.from({ length: 25 }, (_, index) => ({
    user: `01U${index}`,
    startsAtMs: startsAtMs + index * HOUR,
    endsAtMs: startsAtMs + (index + 1) * HOUR,
  }));
  fake.setShifts('S1', hours);
  expect(await askShifts(readers)).toHaveLength(25);
  expect(fake.requests).toHaveLength(3);
  expect(fake.complaints).toEqual([]);
});

test('a gap puts nobody on call', async () => {
  const { fake, readers } = await world();
  fake.setShifts('S1', [{ user: undefined, startsAtMs, endsAtMs }]);
  expect(await askShifts(readers)).toEqual([]);
});

test('a schedule that is not there is a failure, not nobody', async () => {
  const { readers } = await world();
  expect(await failureOf(askShifts(readers, { id: 'S9' }))).toMatchObject({
    code: 'source_failed',
    details: { status: 404 },
  });
});

test('cursors without an end are given up', async () => {
  const { fake, readers } = await world();
  fake.answerWith({ body: { schedule_entries: { final: [] }, pagination_meta: { after: 'again' } } });
  expect(await failureOf(askShifts(readers))).toMatchObject({ code: 'source_failed' });
  expect(fake.requests.length).toBeLessThanOrEqual(40);
});

const incident = {
  id: '01INCIDENT',
  number: 12,
  category: 'live' as const,
  name: 'orders are down',
  severity: 'Critical',
  service: '01ORDERS',
  createdAtMs: at('2026-06-02T02:14:00Z'),
  updatedAtMs: at('2026-06-02T02:15:00Z'),
};

test('an incident is told in our words', async () => {
  const { fake, fetchOne } = await world();
  fake.setIncidents([{ ...incident, declaredBy: '01ANA', assignees: ['01BEN'] }]);
  expect(await fetchOne('01INCIDENT')).toEqual({
    externalId: '01INCIDENT',
    aliases: ['INC-12', 'https://app.incident.io/acme/incidents/12'],
    occurredAtMs: incident.updatedAtMs,
    status: 'open',
    priority: 'Critical',
    outsideService: '01ORDERS',
    title: 'orders are down',
    startedAtMs: incident.createdAtMs,
    outsideDeclarer: '01ANA',
    outsideAssignees: ['01BEN'],
    url: 'https://app.incident.io/acme/incidents/12',
    labels: {},
  });
  expect(fake.complaints).toEqual([]);
});

test('an incident from an alert was declared by nobody; one without severity or service has none', async () => {
  const { fake, fetchOne } = await world();
  const { severity: _severity, service: _service, ...plain } = incident;
  fake.setIncidents([plain]);
  expect(await fetchOne('01INCIDENT')).toMatchObject({
    outsideDeclarer: '',
    priority: '',
    outsideService: '',
  });
});

test.each([
  ['triage', 'open'],
  ['live', 'open'],
  ['paused', 'open'],
  ['learning', 'resolved'],
  ['closed', 'resolved'],
  ['declined', 'resolved'],
  ['canceled', 'resolved'],
  ['merged', 'resolved'],
] as const)('a status of category %s is %s', async (category, status) => {
  const { fake, fetchOne } = await world();
  fake.setIncidents([{ ...incident, category }]);
  expect(await fetchOne('01INCIDENT')).toMatchObject({ status });
});

test.each(['constructor', 'novel'])('a category %s, which we do not know, is refused', async (category) => {
  const { fake, fetchOne } = await world();
  fake.setIncidents([{ ...incident, category: category as 'live' }]);
  expect(await failureOf(fetchOne('01INCIDENT'))).toMatchObject({ code: 'source_failed' });
});

test.each(['test', 'tutorial', 'retrospective'] as const)(
  'in an incident of a %s nothing burns',
  async (mode) => {
    const { fake, fetchOne } = await world();
    fake.setIncidents([{ ...incident, mode }]);
    expect(await fetchOne('01INCIDENT')).toMatchObject({ status: 'resolved' });
  },
);

test('an incident that is not there is none', async () => {
  const { fetchOne } = await world();
  expect(await fetchOne('01OTHER')).toBeUndefined();
});

test('open incidents are listed however old, the others by when they changed', async () => {
  const { fake, fetchSince } = await world();
  const old = { createdAtMs: at('2025-01-01T00:00:00Z'), updatedAtMs: at('2025-01-01T00:00:00Z') };
  fake.setIncidents([
    { ...incident, ...old, id: 'OLD-OPEN' },
    { ...incident, ...old, id: 'OLD-TRIAGE', category: 'triage' },
    { ...incident, ...old, id: 'CLOSED', category: 'closed', updatedAtMs: at('2026-06-02T03:00:00Z') },
    { ...incident, id: 'CLOSED-BEFORE', category: 'closed', updatedAtMs: at('2026-06-02T01:00:00Z') },
    { ...incident, ...old, id: 'LONG-CLOSED', category: 'closed' },
  ]);
  const found = await fetchSince('2026-06-02T02:00:00Z');
  expect(found.map(({ externalId }) => externalId).sort()).toEqual(['CLOSED', 'OLD-OPEN', 'OLD-TRIAGE']);
  expect(fake.complaints).toEqual([]);
});

test('all pages of incidents are read', async () => {
  const { fake, fetchSince } = await world();
  fake.setIncidents(
    Array.from({ length: 600 }, (_, index) => ({ ...incident, id: `01I${index}`, number: index })),
  );
  expect(await fetchSince('2026-06-01T00:00:00Z')).toHaveLength(600);
  expect(fake.complaints).toEqual([]);
});
