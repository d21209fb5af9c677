import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createScramVerifier, isScramVerifier } from '../../src/protocol/scram.ts';
import vector from '../vectors/rfc7677.json' with { type: 'json' };

const verifier = createScramVerifier(vector.password, Buffer.from(vector.salt, 'base64'), vector.iterations);
const [head, salt, storedKey = '', serverKey = ''] = /^(SCRAM-SHA-256\$4096):(.*)\$(.*):(.*)$/
  .exec(verifier)!
  .slice(1);
const hmac = (key: string, text: string) =>
  createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest();

describe('a SCRAM verifier', () => {
  it("admits RFC 7677's client and proves RFC 7677's server", () => {
    expect(head).toBe('SCRAM-SHA-256$4096');
    expect(salt).toBe(vector.salt);
    const clientSignature = hmac(storedKey, vector.authMessage);
    const proof = Buffer.from(vector.clientProof, 'base64');
    const clientKey = proof.map((byte, i) => byte ^ clientSignature[i]!);
    expect(createHash('sha256').update(clientKey).digest('base64')).toBe(storedKey);
    expect(hmac(serverKey, vector.authMessage).toString('base64')).toBe(vector.serverSignature);
  });

  it('has the exact form, and a salt of its own each time', () => {
    const [a, b] = [createScramVerifier('secret'), createScramVerifier('secret')];
    expect(isScramVerifier(a)).toBe(true);
    expect(isScramVerifier(verifier)).toBe(true);
    expect(a).not.toBe(b);
  });

  it.each(['', 'with space', 'pässword', 'a\n', '\u0000', 'x'.repeat(129)])(
    'is not made of the password %j',
    (password) => {
      expect(() => createScramVerifier(password)).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      );
    },
  );

  it.each([
    ['nothing', ''],
    ['a plaintext password', 'hunter2'],
    ['an md5 hash', `md5${'0'.repeat(32)}`],
    ['other iterations', verifier.replace('4096', '1')],
    ['more iterations', verifier.replace('4096', '40960')],
    ['another mechanism', verifier.replace('SHA-256', 'SHA-1')],
    ['lower case', verifier.replace('SCRAM', 'scram')],
    ['a line end', `${verifier}\n`],
    ['a space before', ` ${verifier}`],
    ['a quote', `${verifier.slice(0, -1)}'`],
    ['no padding', verifier.slice(0, -1)],
    ['padding more', `${verifier}=`],
    ['a short salt', createScramVerifier('x', Buffer.alloc(12))],
    ['a long salt', createScramVerifier('x', Buffer.alloc(20))],
    ['base64 with stray bits', verifier.replace(/.=$/, (end) => `${end[0] === 'B' ? 'C' : 'B'}=`)],
    ['base64url', verifier.replace(/:[^:]{4}/, ':-__-')],
    ['SQL after it', `${verifier}'; alter role x superuser --`],
  ])('is not accepted as %s', (_, text) => expect(isScramVerifier(text)).toBe(false));
});
