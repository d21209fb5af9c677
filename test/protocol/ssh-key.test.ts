import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatOpenSshPrivateKey } from '../../src/protocol/ssh-key.ts';
import { formatSshPublicKey } from '../../src/protocol/ssh-wire.ts';
import { part } from '../support/parts.ts';
import { tempDir } from '../support/temp.ts';

const refused = expect.objectContaining({ code: 'invalid_request' });
const dir = tempDir();
const keygen = (...args: string[]) => execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: 'pipe' });

describe.skipIf(!part('sshd'))('an OpenSSH private key file', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');

  it.each(['', 'a', 'gr_1', 'alice@laptop', 'x'.repeat(40)])(
    'is read by ssh-keygen, with the comment %j',
    (comment) => {
      const path = join(dir, `key-${comment.length}`);
      writeFileSync(path, formatOpenSshPrivateKey(privateKey, comment), { mode: 0o600 });
      expect(keygen('-y', '-P', '', '-f', path).trim()).toBe(formatSshPublicKey(publicKey, comment));
    },
  );

  it('signs as the key it was made from, a seed too', () => {
    const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url');
    const path = join(dir, 'from-seed');
    writeFileSync(path, formatOpenSshPrivateKey(seed), { mode: 0o600 });
    const signed = execFileSync('ssh-keygen', ['-Y', 'sign', '-f', path, '-n', 'test'], {
      input: 'text',
      stdio: 'pipe',
    });
    writeFileSync(join(dir, 'signature'), signed);
    writeFileSync(join(dir, 'signers'), `me ${formatSshPublicKey(publicKey)}\n`);
    const verified = execFileSync(
      'ssh-keygen',
      ['-Y', 'verify', '-f', join(dir, 'signers'), '-I', 'me', '-n', 'test', '-s', join(dir, 'signature')],
      { input: 'text', encoding: 'utf8', stdio: 'pipe' },
    );
    expect(verified).toContain('Good "test" signature');
  });

  it('has the layout that ssh-keygen writes', () => {
    const path = join(dir, 'theirs');
    keygen('-q', '-t', 'ed25519', '-N', '', '-C', 'c', '-f', path);
    const decode = (pem: string) => Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');
    const [theirs, ours] = [readFileSync(path, 'utf8'), formatOpenSshPrivateKey(privateKey, 'c')];
    expect(ours.split('\n').map((line) => line.length)).toEqual(
      theirs.split('\n').map((line) => line.length),
    );
    expect(decode(ours).subarray(0, 62)).toEqual(decode(theirs).subarray(0, 62));
  });

  it('is not made of other keys', () => {
    for (const key of [
      publicKey,
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
      Buffer.alloc(31),
    ]) {
      expect(() => formatOpenSshPrivateKey(key)).toThrow(refused);
    }
  });
});
