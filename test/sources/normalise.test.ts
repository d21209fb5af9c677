import { describe, expect, test } from 'vitest';
import { aliasOf, cleanText, normaliseIncident, type SaidIncident } from '../../src/sources/normalise.ts';
import { readId, readInstant, readOptional, readText } from '../../src/sources/vendor-json.ts';

const said = (fields: Partial<SaidIncident> = {}): SaidIncident => ({
  externalId: 'Q1ABC',
  aliases: [4711],
  occurredAtMs: 2_000,
  status: 'open',
  priority: 'P1',
  outsideService: 'PSVC1',
  title: 'orders are down',
  startedAtMs: 1_000,
  outsideDeclarer: undefined,
  outsideAssignees: ['PANA'],
  url: 'https://acme.pagerduty.com/incidents/Q1ABC',
  labels: {},
  ...fields,
});

describe('an incident from outside', () => {
  test('keeps what was said, and its number and address as aliases', () => {
    expect(normaliseIncident(said())).toEqual({
      externalId: 'Q1ABC',
      aliases: ['4711', 'https://acme.pagerduty.com/incidents/Q1ABC'],
      occurredAtMs: 2_000,
      status: 'open',
      priority: 'P1',
      outsideService: 'PSVC1',
      title: 'orders are down',
      startedAtMs: 1_000,
      outsideDeclarer: '',
      outsideAssignees: ['PANA'],
      url: 'https://acme.pagerduty.com/incidents/Q1ABC',
      labels: {},
    });
  });

  test('cannot steer a terminal, nor grow', () => {
    const incident = normaliseIncident(
      said({
        title: `\u001b[2Jdown\n\u202etxt ${'x'.repeat(1e6)}`,
        priority: 'P1\u0000',
        outsideAssignees: Array.from({ length: 1000 }, (_, index) => `P${index}`),
        aliases: Array.from({ length: 1000 }, (_, index) => index),
        labels: Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`l${index}`, 'v'])),
      }),
    );
    expect(incident.title).toMatch(/^\[2Jdown txt x+…$/);
    expect(incident.title).toHaveLength(300);
    expect(incident.priority).toBe('P1');
    expect(JSON.stringify(incident).length).toBeLessThan(4_000);
  });

  test.each([
    ['empty', ''],
    ['with a space', 'a b'],
    ['climbing', 'a/../b'],
    ['too long', 'a'.repeat(200)],
  ])('is refused with an id that is %s', (_, externalId) => {
    expect(() => normaliseIncident(said({ externalId }))).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });

  test('is refused with a time that is none', () => {
    for (const fields of [{ occurredAtMs: Number.NaN }, { startedAtMs: -1 }])
      expect(() => normaliseIncident(said(fields))).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      );
  });

  test.each([
    'javascript:alert(1)',
    'https://user:word@host/',
    `https://host/${'x'.repeat(1000)}`,
    'nothing',
  ])('is without the address %s', (url) => {
    const { url: kept, aliases } = normaliseIncident(said({ url }));
    expect(kept).toBe('');
    expect(aliases).not.toContain(url);
  });

  test('loses labels that are not of their form, whole', () => {
    const labels = JSON.parse(
      `{"severity":"critical","__proto__":"x","constructor":"x","a b":"x","long":"${'x'.repeat(300)}"}`,
    );
    expect(normaliseIncident(said({ labels })).labels).toEqual({ severity: 'critical' });
  });
});

describe('what people type for an incident', () => {
  test.each([
    ['#4711', '4711'],
    [' 4711 ', '4711'],
    ['inc-12', 'INC-12'],
    ['P1-123', 'P1-123'],
    ['Q1abc', 'Q1abc'],
    [
      'HTTPS://Acme.PagerDuty.com/incidents/Q1ABC/?tab=alerts#x',
      'https://acme.pagerduty.com/incidents/Q1ABC',
    ],
    ['https://acme.pagerduty.com/incidents/Q1ABC', 'https://acme.pagerduty.com/incidents/Q1ABC'],
  ])('%s is %s', (typed, alias) => {
    expect(aliasOf(typed)).toBe(alias);
  });

  test.each(['', '#', 'two words', 'a\u0000b', 'javascript:alert(1)', 'https://', 'x'.repeat(1000)])(
    '%j is nothing',
    (typed) => {
      expect(aliasOf(typed)).toBeUndefined();
    },
  );
});

test('a text that is cut stays well formed', () => {
  expect(cleanText('ab\u{1f525}cd', 4)).toBe('ab…');
  expect(cleanText('a\ud83d', 9)).toBe('a');
});

describe("the members of a vendor's JSON", () => {
  test.each(['', ' a', 'a\n', 'a\u202e', 'a'.repeat(257), 7, null])('%j is no id', (value) => {
    expect(() => readId(value, 'id')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test.each(['2026-01-05', '2026-01-05T09:00:00', '2026-13-05T09:00:00Z', 'now', 0])(
    '%j is no instant',
    (value) => {
      expect(() => readInstant(value, 'start')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    },
  );

  test('an instant has an offset', () => {
    expect(readInstant('2026-01-05T09:00:00-05:00', 'start')).toBe(Date.UTC(2026, 0, 5, 14));
    expect(readInstant('2026-01-05T09:00:00.123456Z', 'start')).toBe(Date.UTC(2026, 0, 5, 9, 0, 0, 123));
    expect(readInstant('2026-01-05T09:00Z', 'start')).toBe(Date.UTC(2026, 0, 5, 9));
  });

  test('null is as absent as absent', () => {
    expect(readOptional(null, 'url', readText)).toBeUndefined();
    expect(readOptional(undefined, 'url', readText)).toBeUndefined();
    expect(() => readOptional(7, 'url', readText)).toThrow('url is not a text');
  });
});
