import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type CertificateRequest,
  encodeCertificate,
  isSignedByCa,
  parseCertificate,
} from '../../src/protocol/ssh-certificate.ts';
import { formatOpenSshPrivateKey } from '../../src/protocol/ssh-key.ts';
import {
  formatSshPublicKey,
  sshFingerprint,
  sshPublicKeyBlob,
  sshString,
} from '../../src/protocol/ssh-wire.ts';
import { part } from '../support/parts.ts';
import { tempDir } from '../support/temp.ts';

const refused = expect.objectContaining({ code: 'invalid_request' });
const ca = generateKeyPairSync('ed25519');
const caPublicKey = sshPublicKeyBlob(ca.publicKey);
const subjects = {
  'ssh-ed25519': sshPublicKeyBlob(generateKeyPairSync('ed25519').publicKey),
  'ecdsa-sha2-nistp256': sshPublicKeyBlob(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey),
};
const base: CertificateRequest = {
  subjectPublicKey: subjects['ssh-ed25519'],
  serial: 42n,
  type: 'user',
  keyId: 'alice/gr_1/P1-123',
  principals: ['oncall:web:admin'],
  validAfterSeconds: 1_790_000_000,
  validBeforeSeconds: 1_790_000_300,
  criticalOptions: {},
  extensions: [],
  caPublicKey,
  sign: (bytes) => sign(null, bytes, ca.privateKey),
};
const make = (changes: Partial<CertificateRequest> = {}) => encodeCertificate({ ...base, ...changes });

const dir = tempDir();
const hasKeygen = part('sshd');
let file = 0;
function save(content: string): string {
  const path = join(dir, `${++file}.pub`);
  writeFileSync(path, content);
  return path;
}
function show(line: string): string {
  const args = ['-L', '-f', save(`${line}\n`)];
  return execFileSync('ssh-keygen', args, {
    encoding: 'utf8',
    stdio: 'pipe',
    env: { ...process.env, TZ: 'UTC' },
  });
}

describe('an SSH certificate', () => {
  it.skipIf(!hasKeygen).each(['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const)(
    'for an %s key is what ssh-keygen reads',
    (type) => {
      const text = show(
        make({
          subjectPublicKey: subjects[type],
          serial: 2n ** 64n - 1n,
          principals: ['oncall:web:admin', 'oncall:web:read'],
          criticalOptions: { 'source-address': '10.0.0.0/8,::1/128', 'force-command': '/usr/bin/uptime -p' },
          extensions: ['permit-pty', 'permit-X11-forwarding', 'permit-agent-forwarding'],
        }),
      );
      expect(
        text
          .split('\n')
          .slice(1)
          .map((line) => line.trim()),
      ).toEqual([
        `Type: ${type}-cert-v01@openssh.com user certificate`,
        expect.stringContaining(sshFingerprint(subjects[type])),
        `Signing CA: ED25519 ${sshFingerprint(caPublicKey)} (using ssh-ed25519)`,
        'Key ID: "alice/gr_1/P1-123"',
        'Serial: 18446744073709551615',
        'Valid: from 2026-09-21T14:13:20 to 2026-09-21T14:18:20',
        'Principals:',
        'oncall:web:admin',
        'oncall:web:read',
        'Critical Options:',
        'force-command /usr/bin/uptime -p',
        'source-address 10.0.0.0/8,::1/128',
        'Extensions:',
        'permit-X11-forwarding',
        'permit-agent-forwarding',
        'permit-pty',
        '',
      ]);
    },
  );

  it.skipIf(!hasKeygen)('for a host is what ssh-keygen reads', () => {
    const text = show(make({ type: 'host', principals: ['web-1.example'] }));
    expect(text).toContain('ssh-ed25519-cert-v01@openssh.com host certificate');
    expect(text).toMatch(
      /Principals: \n\s+web-1\.example\n\s+Critical Options: \(none\)\n\s+Extensions: \(none\)/,
    );
  });

  it('reads back, and proves its CA', () => {
    const request = {
      serial: 7n,
      criticalOptions: { 'force-command': 'id' },
      extensions: ['permit-pty'],
      nonce: Buffer.alloc(16, 1),
    };
    const parsed = parseCertificate(make(request));
    const { caPublicKey: _, sign: __, ...expected } = { ...base, ...request };
    expect(parsed).toMatchObject({ ...expected, keyType: 'ssh-ed25519' });
    expect(isSignedByCa(parsed, caPublicKey)).toBe(true);
    expect(isSignedByCa(parsed, sshPublicKeyBlob(generateKeyPairSync('ed25519').publicKey))).toBe(false);
  });

  it.skipIf(!hasKeygen).each(['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const)(
    'made by ssh-keygen for an %s key reads back too',
    (type) => {
      const caPath = join(dir, `ca-${type}`);
      writeFileSync(caPath, formatOpenSshPrivateKey(ca.privateKey), { mode: 0o600 });
      const path = save(`${formatSshPublicKey(subjects[type])}\n`);
      const args = [
        '-q',
        '-s',
        caPath,
        '-I',
        'id',
        '-n',
        'alice',
        '-z',
        '9',
        '-V',
        '+5m',
        '-O',
        'source-address=::1/128',
        path,
      ];
      execFileSync('ssh-keygen', args, { stdio: 'pipe' });
      const parsed = parseCertificate(readFileSync(path.replace('.pub', '-cert.pub'), 'utf8'));
      expect(parsed).toMatchObject({
        keyType: type,
        subjectPublicKey: subjects[type],
        serial: 9n,
        principals: ['alice'],
        criticalOptions: { 'source-address': '::1/128' },
        extensions: [
          'permit-X11-forwarding',
          'permit-agent-forwarding',
          'permit-port-forwarding',
          'permit-pty',
          'permit-user-rc',
        ],
      });
      expect(isSignedByCa(parsed, caPublicKey)).toBe(true);
    },
  );

  it('proves nothing once any byte has changed', () => {
    const [type, encoded = ''] = make().split(' ');
    const blob = Buffer.from(encoded, 'base64');
    for (let at = 0; at < blob.length; at++) {
      const bent = Buffer.from(blob);
      bent[at]! ^= 1;
      const line = `${type} ${bent.toString('base64')}`;
      let holds = false;
      try {
        holds = isSignedByCa(parseCertificate(line), caPublicKey);
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_request' });
      }
      expect(holds).toBe(false);
    }
  });

  it('proves nothing when it names another CA than the one that signed', () => {
    const other = sshPublicKeyBlob(generateKeyPairSync('ed25519').publicKey);
    expect(isSignedByCa(parseCertificate(make({ caPublicKey: other })), caPublicKey)).toBe(false);
  });

  it.each([
    ['out of order', 'x1', 'x3'],
    ['given twice', 'x1', 'x2'],
    ['with two values', '\0\0\0\u0008abcdefgh', '\0\0\0\u0002ab\0\0\0\u0002cd'],
  ])('is refused with options %s', (_, from, to) => {
    const line = make({ extensions: ['x1', 'x2'], criticalOptions: { 'force-command': 'abcdefgh' } });
    const [type, encoded = ''] = line.split(' ');
    const blob = Buffer.from(encoded, 'base64').toString('latin1');
    expect(blob).toContain(from);
    const bent = Buffer.from(blob.replace(from, to), 'latin1').toString('base64');
    expect(() => parseCertificate(`${type} ${bent}`)).toThrow(refused);
  });

  it('is not read beyond 16 KiB', () => {
    const principals = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(200, 'x'));
    expect(() => parseCertificate(make({ principals }))).toThrow(refused);
  });

  it('is refused when cut off anywhere', () => {
    const [type, encoded = ''] = make().split(' ');
    const blob = Buffer.from(encoded, 'base64');
    for (let length = 0; length < blob.length; length++) {
      expect(() => parseCertificate(`${type} ${blob.subarray(0, length).toString('base64')}`)).toThrow(
        refused,
      );
    }
    expect(() =>
      parseCertificate(`${type} ${Buffer.concat([blob, Buffer.of(0)]).toString('base64')}`),
    ).toThrow(refused);
    expect(() => parseCertificate(formatSshPublicKey(subjects['ssh-ed25519']))).toThrow(refused);
  });

  it.each<[string, Partial<CertificateRequest>]>([
    ['no principals, which would be good for everyone', { principals: [] }],
    ['an empty principal', { principals: [''] }],
    ['a principal with a comma', { principals: ['a,root'] }],
    ['a principal with a line end', { principals: ['a\nroot'] }],
    ['serial 0, which cannot be revoked', { serial: 0n }],
    ['a serial too large', { serial: 2n ** 64n }],
    ['a validity that ends before it begins', { validBeforeSeconds: base.validAfterSeconds }],
    ['a negative time', { validAfterSeconds: -1 }],
    ['a fraction of a second', { validAfterSeconds: 1.5 }],
    ['an endless validity', { validBeforeSeconds: Number.POSITIVE_INFINITY }],
    ['a line end in the key id', { keyId: 'alice\nAccepted publickey for root' }],
    ['an empty key id', { keyId: '' }],
    ['an empty command', { criticalOptions: { 'force-command': '' } }],
    ['a command of two lines', { criticalOptions: { 'force-command': 'a\nb' } }],
    ['an extension twice', { extensions: ['permit-pty', 'permit-pty'] }],
    ['a subject key of another type', { subjectPublicKey: Buffer.from('0000000373736800000000', 'hex') }],
    [
      'a subject key that is too short',
      { subjectPublicKey: Buffer.concat([sshString('ssh-ed25519'), sshString('x')]) },
    ],
    ['a subject key that is cut off', { subjectPublicKey: subjects['ssh-ed25519'].subarray(0, 40) }],
    [
      'bytes after the subject key',
      { subjectPublicKey: Buffer.concat([subjects['ssh-ed25519'], Buffer.alloc(4)]) },
    ],
  ])('is not made with %s', (_, changes) => expect(() => make(changes)).toThrow(refused));
});
