import { describe, expect, test } from 'vitest';
import { type AuditEntry, encodeEntry, MAX_ENTRY_BYTES, parseEntry } from '../../src/audit/entry.ts';
import { ed25519, signedRequest } from './sample-log.ts';

const entry: AuditEntry = {
  v: 1,
  index: 0,
  at: '2026-01-02T02:14:00.000Z',
  event: 'grant.created',
  actor: { kind: 'broker', id: 'broker' },
  data: { b: 1, a: ['ü'] },
};

describe('an entry', () => {
  test('is encoded canonically, without members that are undefined', () => {
    expect(Buffer.from(encodeEntry({ ...entry, subject: undefined })).toString()).toBe(
      '{"actor":{"id":"broker","kind":"broker"},"at":"2026-01-02T02:14:00.000Z","data":{"a":["ü"],"b":1},"event":"grant.created","index":0,"v":1}',
    );
  });

  test('comes back from its bytes', async () => {
    const full: AuditEntry = {
      ...entry,
      actor: { kind: 'user', id: 'alice', device: 'dev_1' },
      subject: { grant: 'gr_1' },
      embedded: await signedRequest(ed25519(), { a: 1 }),
    };
    expect(parseEntry(JSON.parse(Buffer.from(encodeEntry(full)).toString()))).toEqual(full);
  });

  test.each([
    ['another version', { ...entry, v: 2 }],
    ['an unknown member', { ...entry, note: 'x' }],
    ['no data', { ...entry, data: undefined }],
    ['a fractional index', { ...entry, index: 0.5 }],
    ['a local time', { ...entry, at: '2026-01-02T02:14:00.000+01:00' }],
    ['seconds only', { ...entry, at: '2026-01-02T02:14:00Z' }],
    ['an event in capitals', { ...entry, event: 'Grant.Created' }],
    ['an event of one word', { ...entry, event: 'granted' }],
    ['an unknown actor', { ...entry, actor: { kind: 'robot', id: 'x' } }],
    ['a nameless actor', { ...entry, actor: { kind: 'user', id: '' } }],
    ['a subject that is not text', { ...entry, subject: { grant: 1 } }],
    ['an embedded request without a key', { ...entry, embedded: { method: 'GET' } }],
  ])('with %s is refused', (_, value) => {
    expect(() => parseEntry(value)).toThrow(expect.objectContaining({ code: 'audit_invalid' }));
    expect(() => encodeEntry(value as AuditEntry)).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  test('too long to be exported is refused when it is written', () => {
    const big = { ...entry, data: 'x'.repeat(MAX_ENTRY_BYTES) };
    expect(() => encodeEntry(big)).toThrow(expect.objectContaining({ code: 'too_large' }));
  });
});
