// Lists of revocations, read back by somebody else's parser, which checks the signature too.
import 'reflect-metadata';
import { generateKeyPairSync, sign } from 'node:crypto';
import { Name, X509Crl } from '@peculiar/x509';
import { describe, expect, test } from 'vitest';
import { derInteger, derTime } from '../../src/protocol/der.ts';
import { encodeCrl } from '../../src/protocol/x509-crl.ts';
import { failureOf } from '../client/fixture.ts';

const NOW = Date.parse('2026-05-01T10:20:30.999Z');
const DAY_MS = 86_400_000;
const { privateKey, publicKey } = generateKeyPairSync('ed25519');

function listOf(serials: string[], change: { number?: bigint; nextUpdateMs?: number } = {}): Buffer {
  return encodeCrl({
    number: 300n,
    issuer: new Uint8Array(new Name('CN=oncall client CA 01').toArrayBuffer()),
    keyIdentifier: Buffer.from('0102', 'hex'),
    thisUpdateMs: NOW,
    nextUpdateMs: NOW + 35 * DAY_MS,
    serials,
    algorithm: 'ed25519',
    sign: (bytes) => sign(null, bytes, privateKey),
    ...change,
  });
}

describe('a list of revocations', () => {
  test('says whose it is, from when to when, and which number it has', () => {
    const crl = new X509Crl(listOf(['4A00']));
    expect(crl.issuer).toBe('CN=oncall client CA 01');
    expect(crl.thisUpdate.toISOString()).toBe('2026-05-01T10:20:30.000Z');
    expect(crl.nextUpdate?.toISOString()).toBe('2026-06-05T10:20:30.000Z');
    expect(crl.version).toBe(1);
    const number = crl.getExtension('2.5.29.20');
    expect([Buffer.from(number!.value).toString('hex'), number?.critical]).toEqual(['0202012c', false]);
    const authority = crl.getExtension('2.5.29.35');
    expect(Buffer.from(authority!.value).toString('hex')).toBe('300480020102');
  });

  test('is signed over exactly its inner part', async () => {
    const bytes = listOf(['4A00', '7F']);
    const crl = new X509Crl(bytes);
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    const key = await crypto.subtle.importKey('spki', spki, { name: 'Ed25519' }, true, ['verify']);
    expect(await crl.verify({ publicKey: key })).toBe(true);
    const forged = Buffer.from(bytes);
    forged[forged.indexOf(Buffer.from('4a00', 'hex'))] = 0x4b;
    expect(await new X509Crl(forged).verify({ publicKey: key })).toBe(false);
  });

  test('names each serial once, whatever its first bit, and has no entries where there are none', () => {
    const crl = new X509Crl(listOf(['80', 'ff00', 'FF00', '0', '7'.repeat(40), '4A00']));
    expect(crl.entries.map(({ serialNumber }) => serialNumber.replace(/^0+(?=.)/, '')).sort()).toEqual(
      ['80', 'ff00', '0', '7'.repeat(40), '4a00'].sort(),
    );
    expect(crl.entries[0]?.revocationDate.toISOString()).toBe('2026-05-01T10:20:30.000Z');
    expect(new X509Crl(listOf([])).entries).toEqual([]);
  });

  test.each([1, 3, 200, 2_500])('holds %i entries', (count) => {
    const serials = Array.from({ length: count }, (_, i) => (0x4000_0000 + i).toString(16).padEnd(32, 'a'));
    const crl = new X509Crl(listOf(serials));
    expect(crl.entries).toHaveLength(count);
    expect(crl.findRevoked(serials.at(-1)!)).not.toBeNull();
  });

  test.each(['', 'x', '4a 00', '4'.repeat(41), '0x4a', '-1'])('takes no serial like %j', async (serial) => {
    expect(await failureOf(() => listOf([serial]))).toMatchObject({ code: 'invalid_request' });
  });
});

describe('DER', () => {
  test.each([
    [0n, '020100'],
    [127n, '02017f'],
    [128n, '02020080'],
    [256n, '02020100'],
    [2n ** 63n, '0209008000000000000000'],
  ])('writes %s in the fewest octets', (value, hex) => {
    expect(derInteger(value).toString('hex')).toBe(hex);
  });

  test('writes times by the century', () => {
    expect(derTime(Date.parse('2049-12-31T23:59:59Z')).toString('latin1')).toBe('\x17\r491231235959Z');
    expect(derTime(Date.parse('2050-01-01T00:00:00Z')).toString('latin1')).toBe('\x18\x0f20500101000000Z');
  });
});
