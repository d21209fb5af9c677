import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { OutsideIncident } from '../../src/sources/incident.ts';
import { type Happening, sentIncident } from '../support/webhook-senders.ts';
import { KINDS, profileOf, receive } from './webhook-kinds.ts';

const FIRED = Date.parse('2026-01-05T02:14:00.000Z');
const MINUTE = 60_000;

const signed = KINDS.filter(({ kind }) => kind !== 'alertmanager');

describe.each(signed)('$kind', ({ kind, secret, sender }) => {
  const profile = profileOf(kind, secret);
  const from = sender(secret);
  const incidentOf = (happening: Happening, fields = {}, atMs = FIRED) => {
    const sent = from.deliver(happening, sentIncident({ startedAtMs: FIRED, ...fields }), atMs);
    return receive(profile, sent, atMs + 2000).incidents[0]!;
  };
  /** The documented body of an incident, changed. */
  const receiveChanged = (change: (body: string) => string, happening: Happening = 'fire') => {
    const { body } = from.deliver(happening, sentIncident(), FIRED);
    return receive(profile, from.sign(change(body.toString()), FIRED), FIRED);
  };

  test('says what burns, where, how badly, since when, and how people call it', () => {
    const incident = incidentOf('fire');
    expect(incident).toMatchObject({
      externalId: 'Q1ORDERSDOWN',
      occurredAtMs: FIRED,
      status: 'open',
      priority: 'P1',
      outsideService: 'PSVC1',
      title: 'orders are down',
      startedAtMs: FIRED,
    });
    expect(incident.aliases).toContain(kind === 'incidentio' ? 'INC-4711' : '4711');
    expect(incident.aliases).toContain(incident.url);
  });

  test('keeps an incident open until it is resolved, and opens it again', () => {
    const statuses = (['fire', 'acknowledge', 'change-priority', 'resolve', 'reopen'] as const).map(
      (happening) => incidentOf(happening).status,
    );
    expect(statuses).toEqual(['open', 'open', 'open', 'resolved', 'open']);
  });

  test('says a changed priority, and that there is none', () => {
    expect(incidentOf('change-priority', { priority: 'P3' }).priority).toBe('P3');
    expect(incidentOf('change-priority', { priority: '' }).priority).toBe('');
  });

  test('keeps the order of what happened, in whatever order it is delivered', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom<Happening>('acknowledge', 'resolve', 'reopen'), fc.nat(3_600_000)),
          {
            minLength: 1,
            maxLength: 8,
          },
        ),
        (happenings) => {
          const arrival = FIRED + 2 * MINUTE + 3_600_000;
          const words = happenings.map(([happening, afterMs]) => {
            const { body } = from.deliver(happening, sentIncident(), FIRED + afterMs);
            return receive(profile, from.sign(body, arrival), arrival).incidents[0]!;
          });
          expect(words.map(({ occurredAtMs }) => occurredAtMs)).toEqual(
            happenings.map(([, afterMs]) => FIRED + afterMs),
          );
          expect(new Set(words.map(({ externalId }) => externalId)).size).toBe(1);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('says nothing that is newer than its arrival', () => {
    const { body } = from.deliver(
      'resolve',
      sentIncident({ startedAtMs: FIRED + 2 * MINUTE }),
      FIRED + 3 * MINUTE,
    );
    const { occurredAtMs, startedAtMs } = receive(profile, from.sign(body, FIRED), FIRED).incidents[0]!;
    expect(occurredAtMs).toBe(FIRED);
    expect(startedAtMs).toBe(FIRED);
  });

  test('tells each delivery from every other', () => {
    const ids = (['fire', 'fire', 'acknowledge', 'resolve'] as const).map(
      (happening) => receive(profile, from.deliver(happening, sentIncident(), FIRED), FIRED).id,
    );
    expect(new Set(ids).size).toBe(4);
  });

  test('cannot steer a terminal or grow through what people wrote', () => {
    const { title } = incidentOf('fire', { title: `\u001b[2Jdown\u202e\r\n${'x'.repeat(5000)}` });
    expect(title).toMatch(/^\[2Jdown x+…$/);
    expect(title.length).toBeLessThanOrEqual(300);
    const { outsideService } = incidentOf('fire', { service: 'S'.repeat(2000) });
    expect(outsideService.length).toBeLessThanOrEqual(128);
  });

  test('is refused with an id that nobody could type, and in a state nobody documented', () => {
    for (const id of ['', 'a b', '../x', 'x'.repeat(129), '\u001b[2J'])
      expect(() => incidentOf('fire', { id })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    const state = { pagerduty: 'triggered', incidentio: 'live', rootly: 'started', alertmanager: '' }[kind];
    expect(() => receiveChanged((body) => body.replace(`"${state}"`, '"unheard-of"'))).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });

  test('may add members that we do not know', () => {
    const added = receiveChanged((body) => body.replace('{', '{"added":{"deeply":[{"nested":null}]},'));
    expect(added.incidents).toHaveLength(1);
  });

  test('never makes anything but an incident or a refusal of a body with a member changed', () => {
    const body = JSON.parse(from.deliver('fire', sentIncident(), FIRED).body.toString());
    const paths = pathsOf(body);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        const changed = structuredClone(body);
        path.slice(0, -1).reduce((at, key) => at[key], changed)[path.at(-1)!] = value;
        try {
          const delivery = receive(profile, from.sign(JSON.stringify(changed), FIRED), FIRED);
          for (const incident of delivery.incidents) expectBounded(incident);
        } catch (error) {
          expect(['invalid_request', 'unauthenticated']).toContain((error as { code?: string }).code);
        }
      }),
    );
  });
});

function expectBounded(incident: OutsideIncident): void {
  expect(incident.externalId).toMatch(/^[A-Za-z0-9][A-Za-z0-9._@/+-]{0,127}$/);
  expect(['open', 'resolved']).toContain(incident.status);
  expect(JSON.stringify(incident).length).toBeLessThan(16_384);
  expect(JSON.stringify(incident)).not.toMatch(/\\u00[01]|\u202e/);
}

function pathsOf(value: unknown, at: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [[...at, key], ...pathsOf(member, [...at, key])]);
}

describe('who declared an incident', () => {
  test('is who triggered it at PagerDuty, or opened it again, and nobody who only touched it', () => {
    const { secret, sender } = KINDS[0]!;
    const declarer = (happening: Happening, who: string | undefined) => {
      const sent = sender(secret).deliver(happening, sentIncident({ declarer: who }), FIRED);
      return receive(profileOf('pagerduty', secret), sent, FIRED).incidents[0]!.outsideDeclarer;
    };
    expect(declarer('fire', 'PBEN')).toBe('PBEN');
    expect(declarer('reopen', 'PBEN')).toBe('PBEN');
    expect(declarer('fire', undefined)).toBe('');
    for (const happening of ['acknowledge', 'change-priority', 'resolve'] as const)
      expect(declarer(happening, 'PBEN')).toBe('');
  });

  test('is its creator at incident.io, where that is a person', () => {
    const { secret, sender } = KINDS[1]!;
    const declarer = (who: string | undefined) => {
      const sent = sender(secret).deliver('acknowledge', sentIncident({ declarer: who }), FIRED);
      return receive(profileOf('incidentio', secret), sent, FIRED).incidents[0]!.outsideDeclarer;
    };
    expect(declarer('01BEN')).toBe('01BEN');
    expect(declarer(undefined)).toBe('');
  });
});

describe('what is about no incident', () => {
  const nothing = (kind: 'pagerduty' | 'incidentio' | 'rootly', body: unknown) => {
    const { secret, sender } = KINDS.find((candidate) => candidate.kind === kind)!;
    const sent = sender(secret).sign(JSON.stringify(body), FIRED);
    return receive(profileOf(kind, secret), sent, FIRED);
  };
  const event = {
    id: '01EVENT',
    event_type: 'pagey.ping',
    resource_type: 'pagey',
    occurred_at: '2026-01-05T02:14:00Z',
  };

  test('is taken at PagerDuty, and says nothing: a ping, a note, a responder, a service', () => {
    for (const [event_type, type] of [
      ['pagey.ping', 'ping'],
      ['incident.annotated', 'incident_note'],
      ['incident.responder.added', 'incident_responder'],
      ['service.updated', 'service'],
    ])
      expect(nothing('pagerduty', { event: { ...event, event_type, data: { type, id: 'PX' } } })).toEqual({
        id: '01EVENT',
        incidents: [],
      });
  });

  test('is taken at incident.io, and says nothing: a private incident, a follow-up', () => {
    for (const type of ['private_incident.incident_created_v2', 'public_incident.follow_up_created_v2'])
      expect(nothing('incidentio', { event_type: type, [type]: { id: 'abc123' } }).incidents).toEqual([]);
  });

  test('is taken at Rootly, and says nothing: an alert, maintenance, a post-mortem', () => {
    for (const type of ['alert.created', 'incident.scheduled.created', 'incident_post_mortem.created'])
      expect(
        nothing('rootly', {
          event: { id: 'e-1', type, issued_at: '2026-01-05T02:14:00Z' },
          data: { id: 'x' },
        }),
      ).toEqual({ id: 'e-1', incidents: [] });
  });
});

describe('what burns nowhere', () => {
  const statusOf = (kind: 'incidentio' | 'rootly', change: (body: string) => string) => {
    const { secret, sender } = KINDS.find((candidate) => candidate.kind === kind)!;
    const { body } = sender(secret).deliver('fire', sentIncident(), FIRED);
    const sent = sender(secret).sign(change(body.toString()), FIRED);
    return receive(profileOf(kind, secret), sent, FIRED).incidents[0]!.status;
  };

  test('opens nothing: a test, a tutorial and a retrospective of incident.io', () => {
    for (const mode of ['test', 'tutorial', 'retrospective'])
      expect(statusOf('incidentio', (body) => body.replace('"standard"', `"${mode}"`))).toBe('resolved');
  });

  test('is over: what incident.io declined, merged, cancelled, closed or only learns from', () => {
    for (const category of ['declined', 'merged', 'canceled', 'closed', 'learning'])
      expect(statusOf('incidentio', (body) => body.replaceAll('"live"', `"${category}"`))).toBe('resolved');
    for (const category of ['triage', 'paused'])
      expect(statusOf('incidentio', (body) => body.replaceAll('"live"', `"${category}"`))).toBe('open');
  });

  test('opens nothing: a test and a backfilled one of Rootly; and a deleted, cancelled or closed one is over', () => {
    for (const kind of ['test', 'example', 'backfilled', 'scheduled'])
      expect(statusOf('rootly', (body) => body.replace('"normal"', `"${kind}"`))).toBe('resolved');
    expect(statusOf('rootly', (body) => body.replace('incident.created', 'incident.deleted'))).toBe(
      'resolved',
    );
    for (const status of ['cancelled', 'closed'])
      expect(statusOf('rootly', (body) => body.replace('"started"', `"${status}"`))).toBe('resolved');
    expect(statusOf('rootly', (body) => body.replace('"started"', '"mitigated"'))).toBe('open');
  });
});

test('Rootly’s severity and services are read in its API’s form too', () => {
  const { secret, sender } = KINDS[2]!;
  const { body } = sender(secret).deliver('fire', sentIncident(), FIRED);
  const { event, data } = JSON.parse(body.toString());
  data.severity = { data: { id: 'sev', type: 'severities', attributes: { name: 'SEV0', slug: 'sev0' } } };
  data.services = [{ data: { id: 'svc-1', type: 'services', attributes: { name: 'Orders' } } }];
  const sent = sender(secret).sign(JSON.stringify({ event, data }), FIRED);
  expect(receive(profileOf('rootly', secret), sent, FIRED).incidents[0]).toMatchObject({
    priority: 'SEV0',
    outsideService: 'svc-1',
  });
});
