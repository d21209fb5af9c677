import { createHmac, createPublicKey, sign, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { contentDigest, isContentDigest, signatureBase } from '../../src/protocol/signature.ts';
import { parseDictionary } from '../../src/protocol/structured-fields.ts';
import rfc9421 from '../vectors/rfc9421.json' with { type: 'json' };

describe('RFC 9421 appendix B', () => {
  describe.each(rfc9421.signatures)('$name', (vector) => {
    const message = rfc9421.messages[vector.message as keyof typeof rfc9421.messages];
    const [[label, list] = []] = parseDictionary(vector.signatureInput);
    if (label === undefined || list === undefined || list instanceof Uint8Array)
      throw new Error('bad vector');
    const base = signatureBase(message, list.items, vector.signatureInput.slice(label.length + 1));
    const signature = parseDictionary(vector.signature).get(label) as Uint8Array;

    it('has this signature base', () => {
      expect(Buffer.from(base).toString().split('\n')).toEqual(vector.base);
    });

    it('has this signature', () => {
      if (vector.key === 'test-shared-secret') {
        const secret = Buffer.from(rfc9421.sharedSecretBase64, 'base64');
        expect(createHmac('sha256', secret).update(base).digest()).toEqual(signature);
        return;
      }
      const key = createPublicKey(rfc9421.keys[vector.key as keyof typeof rfc9421.keys]);
      const hash = key.asymmetricKeyType === 'ec' ? 'sha256' : null;
      expect(verify(hash, base, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
    });
  });

  it('signs B.2.6 with the same bytes', () => {
    const vector = rfc9421.signatures.find(({ name }) => name.startsWith('B.2.6'))!;
    const base = Buffer.from(vector.base.join('\n'));
    const made = sign(null, base, rfc9421.privateKeys['test-key-ed25519']).toString('base64');
    expect(`sig-b26=:${made}:`).toBe(vector.signature);
  });
});

describe('the signature base', () => {
  const message = { method: 'GET', authority: 'a', path: '', query: '', headers: { a: ['x ', '\ty'] } };

  it('writes an empty query as a bare question mark, and an empty path as a slash', () => {
    const base = Buffer.from(signatureBase(message, ['@query', '@path', 'a'], '()')).toString();
    expect(base).toBe('"@query": ?\n"@path": /\n"a": x, y\n"@signature-params": ()');
  });

  it.each(['@status', '@target-uri', '@request-target', '@nonsense', 'absent', 'toString', '__proto__'])(
    'has no %s to cover',
    (name) =>
      expect(() => signatureBase(message, [name], '()')).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      ),
  );

  it.each(['x\n"@method": DELETE', 'x\ry', 'x\u0000y', 'é'])(
    'refuses a value that could forge a line: %j',
    (value) => {
      expect(() => signatureBase({ ...message, headers: { a: value } }, ['a'], '()')).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      );
    },
  );
});

describe('the content digest', () => {
  const body = Buffer.from('{"hello": "world"}');

  it('is the SHA-256 of RFC 9530', () => {
    expect(contentDigest(body)).toBe('sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:');
    expect(isContentDigest(contentDigest(body), body)).toBe(true);
  });

  it.each([
    undefined,
    '',
    ['sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'],
    'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPF=:',
    'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE:',
    'sha-512=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
    'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, md5=:AA==:',
    'ſha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
  ])('is not %j', (field) => expect(isContentDigest(field, body)).toBe(false));
});
