import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeCertificate } from '../../src/protocol/ssh-certificate.ts';
import { encodeKrl, type KrlSection } from '../../src/protocol/ssh-krl.ts';
import { sshFingerprint, sshPublicKeyBlob } from '../../src/protocol/ssh-wire.ts';
import { part } from '../support/parts.ts';
import { tempDir } from '../support/temp.ts';

const refused = expect.objectContaining({ code: 'invalid_request' });
const ca = generateKeyPairSync('ed25519');
const caPublicKey = sshPublicKeyBlob(ca.publicKey);
const subjectPublicKey = sshPublicKeyBlob(generateKeyPairSync('ed25519').publicKey);
const certificate = (serial: bigint, signer: typeof ca) =>
  encodeCertificate({
    subjectPublicKey,
    serial,
    type: 'user',
    keyId: 'alice/gr_1/P1-123',
    principals: ['oncall:web:admin'],
    validAfterSeconds: 1_790_000_000,
    validBeforeSeconds: 1_790_000_300,
    criticalOptions: {},
    extensions: [],
    caPublicKey: sshPublicKeyBlob(signer.publicKey),
    sign: (bytes) => sign(null, bytes, signer.privateKey),
  });

const dir = tempDir();
let file = 0;
function save(content: string | Buffer): string {
  const path = join(dir, `${++file}.pub`);
  writeFileSync(path, content);
  return path;
}

describe.skipIf(!part('sshd'))('a key revocation list', () => {
  const header = { number: 3n, generatedAtSeconds: 1_790_000_000, comment: 'oncall' };
  const encode = (change: Partial<KrlSection>, ...others: KrlSection[]) =>
    encodeKrl({ ...header, sections: [{ ca: caPublicKey, serials: [], ...change }, ...others] });
  const list = (change: Partial<KrlSection>, ...others: KrlSection[]) => save(encode(change, ...others));

  /** What ssh-keygen, with sshd's own code, says about the certificate of a serial. */
  function isRevoked(krl: string, serial: bigint, signer = ca): boolean {
    try {
      execFileSync('ssh-keygen', ['-Q', '-f', krl, save(certificate(serial, signer))], { stdio: 'pipe' });
      return false;
    } catch (error) {
      expect(String((error as { stdout: Buffer }).stdout)).toMatch(/: REVOKED\n$/);
      return true;
    }
  }

  it('revokes the serials that it lists, and no others', () => {
    const krl = list({ serials: [2n ** 64n - 1n, 7n, 5n, 7n] });
    expect([5n, 7n, 2n ** 64n - 1n].map((serial) => isRevoked(krl, serial))).toEqual([true, true, true]);
    expect([1n, 4n, 6n, 8n, 2n ** 63n].some((serial) => isRevoked(krl, serial))).toBe(false);
  });

  it('revokes ranges, ends included', () => {
    const krl = list({
      serials: [100n],
      ranges: [
        [50n, 52n],
        [10n, 10n],
      ],
    });
    expect([10n, 50n, 51n, 52n, 100n].every((serial) => isRevoked(krl, serial))).toBe(true);
    expect([9n, 11n, 49n, 53n, 99n, 101n].some((serial) => isRevoked(krl, serial))).toBe(false);
  });

  it('revokes nothing when empty, and nothing of another CA', () => {
    expect(isRevoked(list({}), 5n)).toBe(false);
    const krl = list({ serials: [5n] });
    expect(isRevoked(krl, 5n)).toBe(true);
    expect(isRevoked(krl, 5n, generateKeyPairSync('ed25519'))).toBe(false);
  });

  it('holds several CAs apart', () => {
    const other = generateKeyPairSync('ed25519');
    const krl = list(
      { serials: [5n] },
      { ca: sshPublicKeyBlob(other.publicKey), serials: [], ranges: [[7n, 8n]] },
    );
    expect([5n, 7n, 8n].map((serial) => isRevoked(krl, serial))).toEqual([true, false, false]);
    expect([5n, 7n, 8n].map((serial) => isRevoked(krl, serial, other))).toEqual([false, true, true]);
  });

  it('shows its number, time, comment and serials to ssh-keygen', () => {
    const args = ['-Q', '-l', '-f', list({ serials: [5n, 9n], ranges: [[20n, 30n]] })];
    const text = execFileSync('ssh-keygen', args, { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
    expect(text).toContain('# KRL version 3\n');
    expect(text).toContain('# Generated at 20260921T141320');
    expect(text).toContain('# Comment: oncall\n');
    expect(text).toContain(`CA key ssh-ed25519 ${sshFingerprint(caPublicKey)}`);
    expect(text.match(/^serial: .*$/gm)).toEqual(['serial: 5', 'serial: 9', 'serial: 20-30']);
  });

  it('is the same bytes for the same content', () => {
    expect(encode({ serials: [9n, 5n] })).toEqual(encode({ serials: [5n, 9n, 5n] }));
  });

  it('holds ten thousand serials', () => {
    const krl = list({ serials: Array.from({ length: 10_000 }, (_, i) => BigInt(i * 3 + 1)) });
    expect(isRevoked(krl, 29_998n)).toBe(true);
    expect(isRevoked(krl, 29_999n)).toBe(false);
  });

  it.each<[string, Partial<KrlSection>]>([
    ['serial 0', { serials: [0n] }],
    ['a negative serial', { serials: [-1n] }],
    ['a serial too large', { serials: [2n ** 64n] }],
    ['a range from 0', { ranges: [[0n, 1n]] }],
    ['a range backwards', { ranges: [[2n, 1n]] }],
  ])('is not made with %s', (_, change) => expect(() => encode(change)).toThrow(refused));
});
