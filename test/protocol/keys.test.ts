import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  algOf,
  algOfKey,
  formatPublicKey,
  keyThumbprint,
  parsePublicKey,
  rawPublicKey,
} from '../../src/protocol/keys.ts';

const ed25519 = generateKeyPairSync('ed25519');
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const x25519 = generateKeyPairSync('x25519');
const refused = expect.objectContaining({ code: 'invalid_request' });

describe('public keys as text', () => {
  it.each([
    ['ed25519', ed25519, /^ed25519:[\w-]{43}$/],
    ['P-256', p256, /^p256:B[\w-]{86}$/],
    ['x25519', x25519, /^x25519:[\w-]{43}$/],
  ] as const)('carry an %s key there and back', (_, { publicKey, privateKey }, form) => {
    const text = formatPublicKey(publicKey);
    expect(text).toMatch(form);
    expect(formatPublicKey(privateKey)).toBe(text);
    expect(parsePublicKey(text).equals(publicKey)).toBe(true);
  });

  it('are the keys of RFC 8032 section 7.1 and SEC 1 uncompressed points', () => {
    const raw = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
    const key = parsePublicKey(`ed25519:${Buffer.from(raw, 'hex').toString('base64url')}`);
    expect(key.export({ format: 'der', type: 'spki' }).toString('hex')).toMatch(new RegExp(`${raw}$`));
    const point = Buffer.from(formatPublicKey(p256.publicKey).slice(5), 'base64url');
    expect(p256.publicKey.export({ format: 'der', type: 'spki' }).subarray(-65)).toEqual(point);
  });

  const good = formatPublicKey(ed25519.publicKey);
  const point = Buffer.from(formatPublicKey(p256.publicKey).slice(5), 'base64url');
  const offCurve = Buffer.from(point);
  offCurve[64]! ^= 1;
  const compressed = Buffer.concat([Buffer.of(2), point.subarray(1)]);
  it.each([
    '',
    'ed25519:',
    good.slice(0, -1),
    `${good}A`,
    `${good}=`,
    `${good}\n`,
    ` ${good}`,
    good.replace('ed25519', 'ED25519'),
    good.replace('ed25519', 'rsa'),
    good.replace('ed25519', 'p256'),
    `ed25519:${'A'.repeat(42)}B`,
    `ed25519:${'+'.repeat(43)}`,
    `p256:${offCurve.toString('base64url')}`,
    `p256:${compressed.toString('base64url')}`,
    `p256:${Buffer.concat([Buffer.of(4), Buffer.alloc(64)]).toString('base64url')}`,
    'toString:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  ])('are refused as %j', (text) => expect(() => parsePublicKey(text)).toThrow(refused));

  it.each([
    ['ed25519', 31],
    ['ed25519', 33],
    ['x25519', 33],
    ['p256', 64],
    ['p256', 33],
  ])('of kind %s are not %d bytes', (kind, length) => {
    const raw = Buffer.alloc(length, 4).toString('base64url');
    expect(() => rawPublicKey(`${kind}:${raw}`)).toThrow(refused);
  });

  it('know their algorithm; sealing keys sign nothing', () => {
    expect(algOf(good)).toBe('ed25519');
    expect(algOf(formatPublicKey(p256.publicKey))).toBe('ecdsa-p256-sha256');
    expect(algOfKey(p256.publicKey)).toBe('ecdsa-p256-sha256');
    expect(() => algOf(formatPublicKey(x25519.publicKey))).toThrow(refused);
  });

  it.each([
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey,
    generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
    generateKeyPairSync('ed448').publicKey,
  ])('do not exist for other kinds of key', (key) => expect(() => formatPublicKey(key)).toThrow(refused));

  it('have a thumbprint: the SHA-256 of the text', () => {
    expect(keyThumbprint('abc')).toBe('ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0');
    expect(keyThumbprint(good)).not.toBe(keyThumbprint(formatPublicKey(p256.publicKey)));
  });
});
