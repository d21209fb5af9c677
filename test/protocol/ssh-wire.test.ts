import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src/protocol/errors.ts';
import {
  formatSshPublicKey,
  parseSshPublicKey,
  SshReader,
  sshFingerprint,
  sshMpint,
  sshPublicKeyBlob,
  sshString,
  sshUint32,
  sshUint64,
} from '../../src/protocol/ssh-wire.ts';
import { part } from '../support/parts.ts';
import { tempDir } from '../support/temp.ts';

const refused = expect.objectContaining({ code: 'invalid_request' });
const pairs = {
  'ssh-ed25519': generateKeyPairSync('ed25519'),
  'ecdsa-sha2-nistp256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
const dir = tempDir();
const hasKeygen = part('sshd');
const keygen = (...args: string[]) => execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: 'pipe' });

describe('SSH encodings', () => {
  it.each([
    ['00', '00000000'],
    ['', '00000000'],
    ['09a378f9b2e332a7', '0000000809a378f9b2e332a7'],
    ['80', '000000020080'],
    ['000080', '000000020080'],
    ['7f', '000000017f'],
  ])('write the mpint %s as RFC 4251 section 5 does', (magnitude, wire) => {
    const encoded = sshMpint(Buffer.from(magnitude, 'hex'));
    expect(encoded.toString('hex')).toBe(wire);
    const digits = BigInt(`0x0${magnitude}`);
    expect(BigInt(`0x0${new SshReader(encoded).mpint().toString('hex')}`)).toBe(digits);
  });

  it.each(['0000000180', '0000000100', '000000020001', '00000002ff80'])('refuse the mpint %s', (wire) => {
    expect(() => new SshReader(Buffer.from(wire, 'hex')).mpint()).toThrow(refused);
  });

  it('read back what was written', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.bigInt(0n, 2n ** 64n - 1n), fc.uint8Array(), (a, b, c) => {
        const reader = new SshReader(Buffer.concat([sshUint32(a), sshUint64(b), sshString(c)]));
        expect([reader.uint32(), reader.uint64(), new Uint8Array(reader.string())]).toEqual([a, b, c]);
        reader.end();
      }),
    );
  });

  it('never read past the end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const reader = new SshReader(bytes);
        try {
          reader.string();
          reader.end();
        } catch (error) {
          expect(isAppError(error, 'invalid_request')).toBe(true);
        }
        expect(reader.offset).toBeLessThanOrEqual(bytes.length);
      }),
    );
    expect(() => new SshReader(Buffer.from('ffffffff00', 'hex')).string()).toThrow(refused);
    expect(() => new SshReader(sshString(Buffer.of(0xff))).text()).toThrow(refused);
  });
});

describe.each(['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const)('an %s public key', (type) => {
  const line = () => formatSshPublicKey(pairs[type].publicKey, 'alice on laptop');

  it.skipIf(!hasKeygen)('is what ssh-keygen makes of the same key', () => {
    const path = join(dir, `${type}.pem`);
    writeFileSync(path, pairs[type].publicKey.export({ format: 'pem', type: 'spki' }));
    // ssh-keygen -i reads PEM for ECDSA only; the Ed25519 form is checked through the private key below.
    if (type === 'ecdsa-sha2-nistp256') {
      expect(keygen('-i', '-m', 'PKCS8', '-f', path).trim()).toBe(formatSshPublicKey(pairs[type].publicKey));
    }
    const pub = join(dir, `${type}.pub`);
    writeFileSync(pub, `${line()}\n`);
    expect(keygen('-l', '-f', pub)).toContain(
      `${sshFingerprint(sshPublicKeyBlob(pairs[type].publicKey))} alice on laptop`,
    );
  });

  it('reads back, with and without a comment and a line end', () => {
    const parsed = parseSshPublicKey(`${line()}\n`);
    expect(parsed).toMatchObject({ type, comment: 'alice on laptop' });
    expect(parsed.key.equals(pairs[type].publicKey)).toBe(true);
    expect(formatSshPublicKey(parsed.blob)).toBe(line().split(' ').slice(0, 2).join(' '));
    expect(parseSshPublicKey(formatSshPublicKey(parsed.key)).comment).toBe('');
  });

  it.each<[string, (line: string) => string]>([
    ['nothing', () => ''],
    ['options before it', (l) => `command="id" ${l}`],
    ['two lines', (l) => `${l}\n${l}`],
    ['a carriage return', (l) => `${l}\r\n`],
    ['a space before it', (l) => ` ${l}`],
    ['two spaces', (l) => l.replace(' ', '  ')],
    ['a tab', (l) => l.replace(' ', '\t')],
    [
      'another type in front',
      (l) => l.replace(/^\S+/, (t) => (t === 'ssh-ed25519' ? 'ecdsa-sha2-nistp256' : 'ssh-ed25519')),
    ],
    ['a type we do not take', (l) => l.replace(/^\S+/, 'ssh-rsa')],
    [
      'base64 that is cut off',
      (l) =>
        l
          .split(' ')
          .map((part, i) => (i === 1 ? part.slice(0, -4) : part))
          .join(' '),
    ],
    [
      'bytes after the key',
      () =>
        `${type} ${Buffer.concat([sshPublicKeyBlob(pairs[type].publicKey), Buffer.of(0)]).toString('base64')}`,
    ],
    ['padding more', (l) => l.replace(/^\S+ [^ ]+/, '$&=')],
    ['an empty key', () => `${type} ${sshString(type).toString('base64')}`],
    [
      'a short key',
      () =>
        `${type} ${Buffer.concat([sshString(type), sshString('nistp256'), sshString('x')]).toString('base64')}`,
    ],
    ['a comment that steers a terminal', (l) => `${l}\u001b[31m`],
    ['a comment without end', (l) => l + 'x'.repeat(300)],
    ['a megabyte', (l) => l + 'A'.repeat(1_000_000)],
  ])('is refused with %s', (_, change) => {
    expect(() => parseSshPublicKey(change(line()))).toThrow(refused);
  });
});

describe('public keys', () => {
  it('of other kinds have no blob', () => {
    expect(() => sshPublicKeyBlob(generateKeyPairSync('x25519').publicKey)).toThrow(refused);
    expect(() => sshPublicKeyBlob(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey)).toThrow(
      refused,
    );
  });

  it('take no line end through their comment', () => {
    expect(() => formatSshPublicKey(pairs['ssh-ed25519'].publicKey, 'a\nssh-rsa AAAA')).toThrow(refused);
  });
});
