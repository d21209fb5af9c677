// Incidents as people type them.
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findIncident } from '../../src/broker/incident-refs.ts';
import type { IncidentRow } from '../../src/store/rows.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import { tempDir } from '../support/temp.ts';

let store: Store;

beforeAll(async () => {
  store = await openSqliteStore({ file: join(tempDir(), 'oncall.db'), now: () => 1000 });
  await store.migrate();
  atEnd(() => store.close());
  await insert('P1-123', { source: 'manual' });
  const address = 'https://acme.pagerduty.com/incidents/Q1ORDERSDOWN';
  await insert('Q1ORDERSDOWN', { source: 'pagerduty' }, ['4711', address]);
  await insert('01IIO', { source: 'incidentio' }, ['INC-12', 'https://app.incident.io/acme/incidents/12']);
  await insert('rootly-a', { source: 'rootly' }, ['77', 'shared']);
  await insert('rootly-b', { source: 'rootly', state: 'resolved' }, ['77']);
  await insert('am-a', { source: 'alertmanager' }, ['shared', 'P1-123']);
});

async function insert(id: string, fields: Partial<IncidentRow>, aliases: readonly string[] = []) {
  const row: IncidentRow = {
    ...{ id, source: 'manual', externalId: id, state: 'open', priority: 'P1', service: 'orders', title: '' },
    ...{ declaredBy: '', assignees: [], url: '', labels: {}, startedAt: 1, openedAt: 1, changedAt: 1 },
    ...{ confirmedAt: null, resolvedAt: null, resolvedBy: null, reopenedBy: null },
    ...fields,
  };
  await store.write(async (tx) => {
    await tx.insertIncident(row);
    await tx.addIncidentAliases(id, aliases);
  });
}

const find = (typed: string) => store.read(async (tx) => (await findIncident(tx, typed)).id);

describe('an incident is found', () => {
  it.each([
    ['P1-123', 'P1-123'],
    ['  p1-123 ', 'P1-123'],
    ['#4711', 'Q1ORDERSDOWN'],
    ['4711', 'Q1ORDERSDOWN'],
    ['inc-12', '01IIO'],
    ['#INC-12', '01IIO'],
    ['https://acme.pagerduty.com/incidents/Q1ORDERSDOWN', 'Q1ORDERSDOWN'],
    ['https://ACME.pagerduty.com/incidents/Q1ORDERSDOWN/?utm=mail&x=1#timeline', 'Q1ORDERSDOWN'],
    ['HTTPS://acme.pagerduty.com/incidents/Q1ORDERSDOWN/', 'Q1ORDERSDOWN'],
    ['https://app.incident.io/acme/incidents/12?tab=all', '01IIO'],
    ['https://wiki.example.com/postmortems/inc-12', '01IIO'],
  ])('by %j', async (typed, id) => {
    expect(await find(typed)).toBe(id);
  });

  it('by the name of several where one alone is open', async () => {
    expect(await find('77')).toBe('rootly-a');
  });

  it('by its own id, whatever another one says it is called too', async () => {
    expect(await find('P1-123')).toBe('P1-123');
  });
});

describe('no incident is found', () => {
  it('by a name of several open ones: they are named', async () => {
    await expect(find('shared')).rejects.toMatchObject({
      code: 'ambiguous',
      hint: expect.stringMatching(/(?=.*rootly-a)(?=.*am-a)/),
    });
  });

  it.each([
    '',
    ' ',
    '#',
    '##4711',
    '4711 OR 1=1',
    "'; DROP TABLE incidents; --",
    '%',
    '../4711',
    'https://',
    'https:///',
    'https://acme.pagerduty.com',
    'https://user:pass@acme.pagerduty.com/incidents/Q1ORDERSDOWN',
    'javascript:4711',
    `https://acme.pagerduty.com/${'x'.repeat(480)}`,
    '\u0000',
    '\u202e1174',
    '__proto__',
  ])('by %j', async (typed) => {
    await expect(find(typed)).rejects.toMatchObject({ code: 'not_found' });
  });
});
