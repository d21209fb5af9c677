import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/protocol/canonical-json.ts';
import { formatDuration, parseDuration } from '../../src/protocol/durations.ts';
import { AppError, ERROR_CODES, isAppError, isErrorCode } from '../../src/protocol/errors.ts';
import { createId, decodeBase32, encodeBase32, isId } from '../../src/protocol/ids.ts';
import {
  escapeForTerminal,
  formatTarget,
  isName,
  isPartName,
  parseTarget,
} from '../../src/protocol/names.ts';
import rfc8785 from '../vectors/rfc8785.json' with { type: 'json' };

describe('canonical JSON', () => {
  it.each(rfc8785.objects)('agrees with RFC 8785 $name', ({ input, canonical }) => {
    expect(canonicalJson(JSON.parse(input))).toBe(canonical);
  });

  it.each(rfc8785.numbers)('writes the double %s as %s (RFC 8785 appendix B)', (hex = '', text) => {
    expect(canonicalJson(Buffer.from(hex, 'hex').readDoubleBE())).toBe(text);
  });

  it.each(rfc8785.refusedNumbers)('refuses the double %s', (hex) => {
    expect(() => canonicalJson(Buffer.from(hex, 'hex').readDoubleBE())).toThrow(TypeError);
  });

  it('refuses a lone surrogate, in values and in keys', () => {
    expect(() => canonicalJson('\ud800')).toThrow(TypeError);
    expect(() => canonicalJson({ '\udc00': 1 })).toThrow(TypeError);
  });

  it('gives the same text whatever the order of keys, and the same value back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).reverse());
        const text = canonicalJson(JSON.parse(JSON.stringify(object)));
        expect(canonicalJson(JSON.parse(JSON.stringify(reversed)))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(object)));
      }),
    );
  });

  it('leaves out members that are undefined', () => {
    expect(canonicalJson({ b: undefined, a: [null] })).toBe('{"a":[null]}');
  });
});

describe('ids', () => {
  it('sort by the time of making', () => {
    const time = fc.integer({ min: 0, max: 2 ** 45 - 2 });
    fc.assert(
      fc.property(time, time, (a, b) => {
        fc.pre(a < b);
        expect(createId('gr', a) < createId('gr', b)).toBe(true);
      }),
    );
  });

  it('have their form, and differ within a millisecond', () => {
    const ids = Array.from({ length: 1000 }, () => createId('req', 1_790_000_000_000));
    expect(ids.every(isId)).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([
    '',
    'gr_',
    'gr_0000000000000000000\n',
    'xx_0000000000000000000',
    'gr_000000000000000000',
    'GR_0000000000000000000',
    'gr_000000000000000000l',
    "gr_'; drop table --xx",
  ])('do not look like %j', (text) => expect(isId(text)).toBe(false));

  it('carry bytes through base 32 and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeBase32(encodeBase32(bytes).toUpperCase())).toEqual(bytes);
      }),
    );
    expect(decodeBase32('il')).toBeUndefined();
  });
});

describe('durations', () => {
  it.each([
    ['90s', 90],
    ['15m', 900],
    ['2h', 7200],
    ['1h30m', 5400],
    ['1d', 86_400],
    ['366d', 366 * 86_400],
  ])('reads %s', (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  it.each([
    '',
    '0',
    '0s',
    '-1',
    '-1h',
    '1',
    '999d',
    '367d',
    '1.5h',
    '1e3s',
    '1w',
    '1 h',
    ' 1h',
    '1h\n',
    '1H',
    '٣h',
    '9999999999s',
    'h',
  ])('refuses %j', (text) => expect(parseDuration(text)).toBeUndefined());

  it.each([
    [0, '0s'],
    [-5, '0s'],
    [45, '45s'],
    [5400, '1h30m'],
    [90_061, '1d1h'],
    [3601, '1h1s'],
  ])('writes %d seconds as %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it('never write more than there is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 366 * 86_400 }), (seconds) => {
        expect(parseDuration(formatDuration(seconds))).toBeLessThanOrEqual(seconds);
      }),
    );
  });
});

describe('names', () => {
  it.each(['P1-123', 'alice@example.com', 'team/db', 'a', 'a'.repeat(128)])('take %s', (text) => {
    expect(isName(text)).toBe(true);
  });

  it.each([
    '',
    ' a',
    'a b',
    'a\n',
    "a'b",
    'a"b',
    'a;b',
    '$(id)',
    '`id`',
    '../etc',
    'a..b',
    '/etc',
    '-rf',
    '.hidden',
    'a\u0000',
    '\u001b[31m',
    'é',
    'a\u202eb',
    'a'.repeat(129),
  ])('refuse %j', (text) => {
    expect(isName(text)).toBe(false);
    expect(isPartName(text)).toBe(false);
  });

  it('let nothing through that means something to a shell, SQL or a terminal', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), (text) => {
        fc.pre(isName(text));
        expect(text).not.toMatch(/[^\x21-\x7e]|['"`$\\;&|<>(){}*?!#~%=,:]/);
      }),
    );
  });

  it('split into resource and role', () => {
    expect(parseTarget('db-replica:write')).toEqual({ resource: 'db-replica', role: 'write' });
    expect(parseTarget('db-replica')).toEqual({ resource: 'db-replica', role: undefined });
    expect(formatTarget({ resource: 'db-replica', role: 'write' })).toBe('db-replica:write');
  });

  it.each([
    '',
    ':',
    'a:',
    ':b',
    'a:b:c',
    'A:b',
    'a:B',
    'a/b',
    'a:b\n',
    'a'.repeat(41),
    `a:${'b'.repeat(41)}`,
  ])('are no target in %j', (text) => expect(parseTarget(text)).toBeUndefined());

  it('cannot steer a terminal once escaped', () => {
    expect(escapeForTerminal('a\u001b]0;x\u0007\u202eb\u009bé')).toBe('a\\u001b]0;x\\u0007\\u202eb\\u009bé');
  });
});

describe('errors', () => {
  it('carry the exit code of their code', () => {
    const error = new AppError('keychain_locked', 'the keychain is locked', { hint: 'unlock it' });
    expect(error.exitCode).toBe(9);
    expect(isAppError(error, 'keychain_locked')).toBe(true);
    expect(isAppError(error, 'denied')).toBe(false);
    expect(isAppError(new Error('x'))).toBe(false);
  });

  it('know their codes, and nothing that objects inherit', () => {
    expect(Object.keys(ERROR_CODES).every(isErrorCode)).toBe(true);
    expect(isErrorCode('toString')).toBe(false);
    expect(isErrorCode(1)).toBe(false);
  });
});
