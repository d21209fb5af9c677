import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatPublicKey } from '../../src/protocol/keys.ts';
import { openSealed, sealTo } from '../../src/protocol/seal.ts';
import vector from '../vectors/hpke.json' with { type: 'json' };

const { publicKey, privateKey } = generateKeyPairSync('x25519');
const device = formatPublicKey(publicKey);
const rawPrivate = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url');
const [secret, info, aad] = ['hunter2', 'oncall/credential', 'gr_1'].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
];
const hex = (text: string) => Buffer.from(text, 'hex');

describe('sealing to a device', () => {
  it('opens the CFRG vector for X25519, HKDF-SHA256, AES-256-GCM', async () => {
    const sealed = Buffer.concat([hex(vector.enc), hex(vector.ct)]);
    const opened = await openSealed(hex(vector.skRm), sealed, hex(vector.info), hex(vector.aad));
    expect(Buffer.from(opened)).toEqual(hex(vector.pt));
  });

  it('opens what was sealed, the empty text too, and never seals the same way twice', async () => {
    const sealed = await sealTo(device, secret, info, aad);
    expect(Buffer.from(await openSealed(rawPrivate, sealed, info, aad))).toEqual(secret);
    expect(Buffer.from(sealed).includes(secret)).toBe(false);
    expect(await sealTo(device, secret, info, aad)).not.toEqual(sealed);
    const empty = await sealTo(device, new Uint8Array(), new Uint8Array(), new Uint8Array());
    expect(await openSealed(rawPrivate, empty, new Uint8Array(), new Uint8Array())).toHaveLength(0);
  });

  it('stays shut for another key, purpose or context, and when a bit has changed', async () => {
    const sealed = await sealTo(device, secret, info, aad);
    const shut = (open: Promise<unknown>) => expect(open).rejects.toMatchObject({ code: 'corrupt_file' });
    const other = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
    await shut(openSealed(Buffer.from(other.d!, 'base64url'), sealed, info, aad));
    await shut(openSealed(rawPrivate, sealed, Buffer.from('other'), aad));
    await shut(openSealed(rawPrivate, sealed, info, Buffer.from('gr_2')));
    await shut(openSealed(rawPrivate, sealed.subarray(0, 47), info, aad));
    await shut(openSealed(rawPrivate, sealed.subarray(0, -1), info, aad));
    await shut(openSealed(rawPrivate.subarray(1), sealed, info, aad));
    for (let at = 0; at < sealed.length; at++) {
      const bent = Buffer.from(sealed);
      bent[at]! ^= 1;
      await shut(openSealed(rawPrivate, bent, info, aad));
    }
  });

  it('refuses keys that cannot be sealed to', async () => {
    const signing = formatPublicKey(generateKeyPairSync('ed25519').publicKey);
    const zero = `x25519:${Buffer.alloc(32).toString('base64url')}`;
    for (const key of [signing, zero, 'x25519:', '']) {
      await expect(sealTo(key, secret, info, aad)).rejects.toMatchObject({ code: 'invalid_request' });
    }
  });
});
