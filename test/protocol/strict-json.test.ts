import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src/protocol/errors.ts';
import { parseStrictJson } from '../../src/protocol/strict-json.ts';

const refused = expect.objectContaining({ code: 'invalid_request' });
const parse = (text: string) => parseStrictJson(Buffer.from(text));

describe('parseStrictJson', () => {
  it('gives what JSON.parse gives, however the value is spaced', () => {
    const value = fc.jsonValue({ maxDepth: 6, stringUnit: 'grapheme' });
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2, '\t'), (json, indent) => {
        const text = JSON.stringify(json, null, indent);
        fc.pre(!/"(?:__proto__|constructor|prototype)"/.test(text));
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('takes nothing that JSON.parse refuses, and fails with an error of ours', () => {
    const unit = fc.constantFrom(...'{}[]:,"\\u0aeE+-.1 \ntrufalsn\u0007é');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
        let value: unknown;
        try {
          value = parse(text);
        } catch (error) {
          expect(isAppError(error, 'invalid_request')).toBe(true);
          return;
        }
        expect(value).toEqual(JSON.parse(text));
      }),
      { numRuns: 20_000 },
    );
  });

  it.each([
    ['a duplicate key', '{"a":1,"b":2,"a":3}', 13],
    ['a duplicate key deep inside', '[{"x":{"a":1,"a":1}}]', 13],
    ['a duplicate key spelt with an escape', '{"a":1,"\\u0061":2}', 7],
    ['__proto__', '{"__proto__":{}}', 1],
    ['__proto__ spelt with an escape', '{"\\u005f_proto__":{}}', 1],
    ['constructor', '[{"constructor":1}]', 2],
    ['prototype', '{"prototype":1}', 1],
    ['nothing', '', 0],
    ['white space alone', ' \n', 2],
    ['a second value', '{} {}', 3],
    ['a trailing comma in an array', '[1,]', 3],
    ['a trailing comma in an object', '{"a":1,}', 7],
    ['a missing colon', '{"a" 1}', 5],
    ['a missing comma', '[1 2]', 3],
    ['a mismatched bracket', '[1}', 2],
    ['a key that is not a string', '{a:1}', 1],
    ['single quotes', "['a']", 1],
    ['a comment', '[1/**/]', 2],
    ['a leading zero', '[01]', 2],
    ['a bare minus', '[-]', 1],
    ['a number without digits after the dot', '[1.]', 2],
    ['NaN', '[NaN]', 1],
    ['a number beyond a double', '[1e999]', 1],
    ['a raw line end in a string', '["a\nb"]', 3],
    ['a bad escape', '["\\x"]', 2],
    ['a string without an end', '["a', 3],
    ['a lone surrogate', '["\\ud800"]', 1],
    ['a byte order mark', '\ufeff{}', 0],
    ['other Unicode white space', '[\u00a01]', 1],
  ])('refuses %s and says where', (_, text, position) => {
    expect(() => parse(text)).toThrow(refused);
    expect(() => parse(text)).toThrow(new RegExp(`at position ${position}\\b`));
  });

  it('keeps keys apart that only look alike or stand in different objects', () => {
    expect(parse('[{"a":1},{"a":2,"A":3,"b":{"a":4}}]')).toEqual([{ a: 1 }, { a: 2, A: 3, b: { a: 4 } }]);
  });

  it('refuses bytes that are not UTF-8', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
    ]) {
      expect(() => parseStrictJson(Uint8Array.from(bytes))).toThrow(refused);
    }
  });

  it('bounds the depth, and survives a million brackets', () => {
    expect(parse(`${'['.repeat(32)}${']'.repeat(32)}`)).toBeDefined();
    expect(() => parse(`${'['.repeat(33)}${']'.repeat(33)}`)).toThrow(refused);
    expect(() => parse('{"a":'.repeat(1_000_000))).toThrow(refused);
    expect(() => parseStrictJson(Buffer.from('[[]]'), { maxDepth: 1 })).toThrow(refused);
  });

  it('reads a string of megabytes', () => {
    const text = 'ä\\n'.repeat(1_000_000);
    expect(parse(`"${text}"`)).toHaveLength(2_000_000);
  });

  it('never quotes the input in its message', () => {
    expect(() => parse('{"password":hunter2}')).toThrow(/^(?!.*hunter2)/);
  });
});
