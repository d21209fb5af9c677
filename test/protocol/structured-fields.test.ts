import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MAX_FIELD_LENGTH,
  parseDictionary,
  serializeDictionary,
} from '../../src/protocol/structured-fields.ts';

describe('parsing a dictionary', () => {
  it('reads inner lists with parameters and byte sequences', () => {
    const parsed = parseDictionary('sig1=("@method" "a\\"b");created=1;keyid="k", d=:AQI=:');
    expect(parsed.get('sig1')).toEqual({
      items: ['@method', 'a"b'],
      params: new Map<string, unknown>([
        ['created', 1],
        ['keyid', 'k'],
      ]),
    });
    expect(parsed.get('d')).toEqual(Buffer.of(1, 2));
  });

  it.each([
    ['the empty field', ''],
    ['white space at the start', ' a=()'],
    ['white space at the end', 'a=() '],
    ['a trailing comma', 'a=(),'],
    ['a comma without its space', 'a=(),b=()'],
    ['two spaces between items', 'a=("x"  "y")'],
    ['an inner list that does not end', 'a=("x"'],
    ['no space between items', 'a=("x""y")'],
    ['a parameter on an item', 'a=("x";req)'],
    ['a token as an item', 'a=(x)'],
    ['a bare string as a member', 'a="x"'],
    ['a key without a value', 'a'],
    ['an upper-case key', 'A=()'],
    ['a key given twice', 'a=(), a=()'],
    ['a parameter given twice', 'a=();b=1;b=2'],
    ['a parameter without a value', 'a=();b'],
    ['a decimal', 'a=();b=1.5'],
    ['an integer with a leading zero', 'a=();b=01'],
    ['minus zero', 'a=();b=-0'],
    ['an integer of 16 digits', 'a=();b=1234567890123456'],
    ['a string that does not end', 'a=();b="x'],
    ['a needless escape', 'a=();b="\\x"'],
    ['a control character in a string', 'a=();b="\n"'],
    ['text that is not ASCII', 'a=();b="é"'],
    ['base64 without padding', 'a=:AQI:'],
    ['base64 with stray bits', 'a=:AQJ=:'],
    ['base64url', 'a=:-_-_:'],
    ['bytes that do not end', 'a=:AQI='],
    ['a field that is too long', `a=:${'A'.repeat(MAX_FIELD_LENGTH)}:`],
  ])('refuses %s', (_, text) => {
    expect(() => parseDictionary(text)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it('gives back what was serialised', () => {
    const key = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,20}$/);
    const text = fc.stringMatching(/^[\x20-\x7e]{0,20}$/);
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
    const bare = fc.oneof(text, fc.integer(), bytes);
    const list = fc.record({
      items: fc.array(text, { maxLength: 5 }),
      params: fc.array(fc.tuple(key, bare), { maxLength: 5 }).map((pairs) => new Map(pairs)),
    });
    const dictionary = fc
      .array(fc.tuple(key, fc.oneof(list, bytes)), { minLength: 1, maxLength: 3 })
      .map((pairs) => new Map<string, (typeof pairs)[number][1]>(pairs));
    fc.assert(
      fc.property(dictionary, (value) => {
        expect(parseDictionary(serializeDictionary(value))).toEqual(value);
      }),
    );
  });

  it('takes one spelling per value, and answers every other text with an error of ours', () => {
    const junk = fc.string({ unit: fc.constantFrom(...'a=(")";:, \\1-A/+'), maxLength: 30 });
    fc.assert(
      fc.property(
        fc.oneof(
          junk,
          junk.map((text) => `a=(${text})`),
          fc.string(),
        ),
        (text) => {
          try {
            expect(serializeDictionary(parseDictionary(text))).toBe(text);
          } catch (error) {
            expect(error).toMatchObject({ code: 'invalid_request' });
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('serialising a dictionary', () => {
  it.each([
    ['a key that is not one', 'Sig', ['x']],
    ['text that is not ASCII', 'sig', ['é']],
    ['a line end', 'sig', ['a\nb']],
  ])('refuses %s', (_, key, items) => {
    expect(() => serializeDictionary(new Map([[key, { items, params: new Map() }]]))).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });

  it.each([1.5, Number.NaN, 1e15])('refuses the number %d', (value) => {
    const list = { items: [], params: new Map([['a', value]]) };
    expect(() => serializeDictionary(new Map([['sig', list]]))).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });
});
