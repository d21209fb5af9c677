import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alertmanagerSender, sentAlert, sentNotification } from '../support/alertmanager-sender.ts';
import { type SentIncident, sentIncident } from '../support/webhook-senders.ts';
import { profileOf, receive } from './webhook-kinds.ts';

const FIRED = Date.parse('2026-01-05T02:14:00.000Z');
const NOW = FIRED + 3_600_000;
const MINUTE = 60_000;
const profile = profileOf('alertmanager', 'token');
const sender = alertmanagerSender('token');

type SentAlert = ReturnType<typeof sentAlert>;

const firing = (fields: Partial<SentIncident> = {}, startedAtMs = FIRED) =>
  sentAlert(
    sentIncident({ id: 'OrdersDown', service: 'orders', priority: 'critical', ...fields }),
    undefined,
    startedAtMs,
  );
const resolved = (endedAtMs: number, fields: Partial<SentIncident> = {}, startedAtMs = FIRED) =>
  sentAlert(
    sentIncident({ id: 'OrdersDown', service: 'orders', priority: 'critical', ...fields }),
    endedAtMs,
    startedAtMs,
  );
const pod = (name: string) => ({ labels: { pod: name } });
const receiveAlerts = (
  alerts: readonly SentAlert[],
  { truncated = 0, group = 'OrdersDown', atMs = NOW } = {},
) => receive(profile, sender.sign(sentNotification(group, alerts, truncated), atMs), atMs);
const changed = (change: (body: Record<string, unknown>) => void) => {
  const body = JSON.parse(sentNotification('OrdersDown', [firing()]));
  change(body);
  return receive(profile, sender.sign(JSON.stringify(body), NOW), NOW);
};
const refused = expect.objectContaining({ code: 'invalid_request' });

describe('a notification of Alertmanager', () => {
  test('is an incident of its service and priority, with what its alerts have in common', () => {
    const alerts = [firing(pod('a'), FIRED + MINUTE), firing(pod('b'))];
    expect(receiveAlerts(alerts).incidents).toEqual([
      {
        externalId: expect.stringMatching(/^[0-9a-f]{16}$/),
        aliases: alerts.map(({ fingerprint }) => fingerprint),
        occurredAtMs: FIRED + MINUTE,
        status: 'open',
        priority: 'critical',
        outsideService: 'orders',
        title: 'orders are down',
        startedAtMs: FIRED,
        outsideDeclarer: '',
        outsideAssignees: [],
        url: 'http://prometheus.example.com:9090/graph?g0.expr=OrdersDown&g0.tab=1',
        labels: { alertname: 'OrdersDown', service: 'orders', severity: 'critical' },
      },
    ]);
  });

  test('takes the label priority before severity, and none for none', () => {
    const labelled = firing({ labels: { priority: 'P1' } });
    expect(receiveAlerts([labelled]).incidents[0]!.priority).toBe('P1');
    const { service, severity, ...labels } = firing().labels;
    expect([service, severity]).toEqual(['orders', 'critical']);
    expect(receiveAlerts([{ ...firing(), labels }]).incidents[0]).toMatchObject({
      priority: '',
      outsideService: '',
    });
  });

  test('is several incidents where its group spans services or priorities, so that none hides another', () => {
    const { incidents } = receiveAlerts([
      firing(),
      firing({ service: 'payments' }),
      firing({ priority: 'warning' }),
    ]);
    expect(incidents.map(({ outsideService, priority }) => [outsideService, priority])).toEqual([
      ['orders', 'critical'],
      ['payments', 'critical'],
      ['orders', 'warning'],
    ]);
    expect(new Set(incidents.map(({ externalId }) => externalId)).size).toBe(3);
    // A warning that joined took nothing from the critical one.
    expect(incidents[0]!.externalId).toBe(receiveAlerts([firing()]).incidents[0]!.externalId);
  });

  test('is of another group another incident', () => {
    const [one] = receiveAlerts([firing()]).incidents;
    const [other] = receiveAlerts([firing()], { group: 'Other' }).incidents;
    expect(one!.externalId).not.toBe(other!.externalId);
  });

  test('is open while one of its alerts fires, and over when the last is resolved', () => {
    const steps: readonly (readonly [SentAlert[], string, number])[] = [
      [[firing(pod('a'))], 'open', FIRED],
      [[firing(pod('a')), firing(pod('b'), FIRED + MINUTE)], 'open', FIRED + MINUTE],
      [
        [resolved(FIRED + 2 * MINUTE, pod('a')), firing(pod('b'), FIRED + MINUTE)],
        'open',
        FIRED + 2 * MINUTE,
      ],
      [[resolved(FIRED + 3 * MINUTE, pod('b'), FIRED + MINUTE)], 'resolved', FIRED + 3 * MINUTE],
      [[firing(pod('a'), FIRED + 4 * MINUTE)], 'open', FIRED + 4 * MINUTE],
    ];
    for (const [alerts, status, occurredAtMs] of steps)
      expect(receiveAlerts(alerts).incidents).toEqual([expect.objectContaining({ status, occurredAtMs })]);
  });

  test('that was truncated opens, and never resolves: what it leaves out may fire on', () => {
    const over = resolved(FIRED + MINUTE, pod('a'));
    expect(receiveAlerts([over], { truncated: 1 }).incidents).toEqual([]);
    expect(receiveAlerts([over], { truncated: 0 }).incidents).toHaveLength(1);
    expect(receiveAlerts([over, firing(pod('b'))], { truncated: 1 }).incidents[0]!.status).toBe('open');
    // Of the two incidents in it, the one that shows no firing alert stays as it was.
    const both = receiveAlerts([over, firing({ service: 'payments' })], { truncated: 7 });
    expect(both.incidents.map(({ outsideService }) => outsideService)).toEqual(['payments']);
  });

  test('says nothing that is newer than its arrival, though Prometheus’ clock be ahead', () => {
    const [incident] = receiveAlerts([firing({}, NOW + 10 * MINUTE)]).incidents;
    expect(incident).toMatchObject({ occurredAtMs: NOW, startedAtMs: NOW });
  });
});

describe('its id', () => {
  const alerts = [firing(pod('a')), firing(pod('b')), resolved(FIRED + MINUTE, pod('c'))];
  const { id } = receiveAlerts(alerts);

  test('is the same for a repetition, in another order, and with another guess of when alerts end', () => {
    expect(receiveAlerts(alerts, { atMs: NOW + MINUTE }).id).toBe(id);
    expect(receiveAlerts(alerts.toReversed()).id).toBe(id);
    const guessed = alerts.map((alert) =>
      alert.status === 'firing' ? { ...alert, endsAt: '2026-01-05T03:14:00Z' } : alert,
    );
    expect(receiveAlerts(guessed).id).toBe(id);
  });

  test('is another for everything that happens', () => {
    const others = [
      alerts.slice(1),
      [...alerts, firing(pod('d'))],
      [resolved(FIRED + MINUTE, pod('a')), ...alerts.slice(1)],
      [firing(pod('a'), FIRED + 1), ...alerts.slice(1)],
      [...alerts.slice(0, 2), resolved(FIRED + MINUTE + 1, pod('c'))],
    ].map((other) => receiveAlerts(other).id);
    const ids = [
      id,
      ...others,
      receiveAlerts(alerts, { group: 'x' }).id,
      receiveAlerts(alerts, { truncated: 1 }).id,
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('a body of another form', () => {
  test('is refused in another version', () => {
    for (const version of ['3', '5', 4, null, undefined])
      expect(() => changed((body) => Object.assign(body, { version }))).toThrow(refused);
  });

  test('is refused with above a thousand alerts', () => {
    const many = (count: number) =>
      changed((body) => (body.alerts = Array(count).fill((body.alerts as unknown[])[0])));
    expect(many(1000).incidents).toHaveLength(1);
    expect(() => many(1001)).toThrow(refused);
  });

  test('is refused without a group, and with an alert that isn’t one', () => {
    expect(() => changed((body) => (body.groupKey = ''))).toThrow(refused);
    for (const member of ['status', 'labels', 'startsAt', 'fingerprint'])
      expect(() => changed((body) => delete (body.alerts as Record<string, unknown>[])[0]![member])).toThrow(
        refused,
      );
    const changes = [
      { status: 'silenced' },
      { status: 'resolved' },
      { labels: { a: 1 } },
      { startsAt: 'yesterday' },
    ];
    for (const change of changes)
      expect(() => changed((body) => Object.assign((body.alerts as object[])[0]!, change))).toThrow(refused);
  });

  test('of no alerts says nothing', () => {
    expect(receiveAlerts([]).incidents).toEqual([]);
  });
});

test('labels keep their bounds, and no name of one reaches an object’s innards', () => {
  const labels = {
    ...Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`l${at}`, 'x'])),
    toString: 'x',
  };
  const [incident] = receiveAlerts([firing({ labels }), firing({ labels: { other: 'x' } })]).incidents;
  expect(incident!.labels).toEqual({ alertname: 'OrdersDown', service: 'orders', severity: 'critical' });
  expect(Object.keys(receiveAlerts([firing({ labels })]).incidents[0]!.labels).length).toBeLessThanOrEqual(
    64,
  );
  const long = receiveAlerts([firing({ labels: { long: 'x'.repeat(1000) } })]).incidents[0]!;
  expect(long.labels).not.toHaveProperty('long');
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const body = sentNotification('OrdersDown', [firing({ labels: { placeholder: 'x' } })]);
    const sent = sender.sign(body.replace('"placeholder"', JSON.stringify(name)), NOW);
    expect(() => receive(profile, sent, NOW)).toThrow(refused);
  }
});

test('whatever fires and ends, in any grouping, the last full notification settles every incident', () => {
  const alert = fc.record({
    pod: fc.constantFrom('a', 'b', 'c'),
    service: fc.constantFrom('orders', 'payments'),
    priority: fc.constantFrom('critical', 'warning'),
    after: fc.nat(1000),
    ended: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(alert, { minLength: 1, maxLength: 12 }), fc.boolean(), (said, truncated) => {
      const alerts = said.map(({ pod: name, service, priority, after, ended }) => {
        const fields = { service, priority, ...pod(name) };
        return ended ? resolved(FIRED + 2000 + after, fields) : firing(fields, FIRED + after);
      });
      const { incidents } = receiveAlerts(alerts, { truncated: Number(truncated) });
      for (const service of ['orders', 'payments'])
        for (const priority of ['critical', 'warning']) {
          const part = said.filter((one) => one.service === service && one.priority === priority);
          const found = incidents.filter(
            (one) => one.outsideService === service && one.priority === priority,
          );
          const fires = part.some(({ ended }) => !ended);
          const isSaid = part.length > 0 && (fires || !truncated);
          expect(found.map(({ status }) => status)).toEqual(isSaid ? [fires ? 'open' : 'resolved'] : []);
        }
    }),
  );
});
