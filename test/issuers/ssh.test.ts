import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { SshSettings } from '../../src/catalogue/types.ts';
import type { Issued } from '../../src/issuers/issuer.ts';
import { parseCertificate } from '../../src/protocol/ssh-certificate.ts';
import { formatSshPublicKey } from '../../src/protocol/ssh-wire.ts';
import { atEnd } from '../support/at-end.ts';
import { part } from '../support/parts.ts';
import { startSshd } from '../support/sshd.ts';
import { tempDir } from '../support/temp.ts';
import { codeOf, createLogin, issuerContract } from './contract.ts';
import { ca, createSigner, type SshWorld, sshResource, startSshWorld, writeKrl } from './ssh-world.ts';

function certificateOf({ publicPart }: Issued) {
  if (publicPart.kind !== 'ssh') throw new Error('not an ssh login');
  return parseCertificate(publicPart.certificate);
}

describe.skipIf(!part('sshd'))('ssh', () => {
  let world: Promise<SshWorld> | undefined;
  // Other test files leave theirs beside ours meanwhile.
  beforeAll(() => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = tempDir();
    atEnd(() => {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    });
  });

  const shared = (): Promise<SshWorld> => {
    world ??= startSshWorld();
    return world;
  };
  async function withTarget(change: Partial<SshSettings>): Promise<SshWorld> {
    const base = await shared();
    return { ...base, resource: sshResource({ ...base.settings, ...change }) };
  }

  issuerContract('ssh', shared);

  describe('a certificate', () => {
    test('says who, for which grant and incident, for minutes, and allows a terminal and nothing else', async () => {
      const login = createLogin(await shared());
      const before = Math.floor(Date.now() / 1000);
      const issued = await login.issue();
      const certificate = certificateOf(issued);
      expect(certificate).toMatchObject({
        type: 'user',
        serial: BigInt(login.handle),
        keyId: `ada/${login.subject.grantId}/P1-123`,
        principals: ['oncall:web:shell'],
        extensions: ['permit-pty'],
        criticalOptions: {},
        validBeforeSeconds: issued.expiresAtMs / 1000,
      });
      expect(before - certificate.validAfterSeconds).toBeLessThanOrEqual(60);
      const file = join(tempDir(), 'cert.pub');
      if (issued.publicPart.kind === 'ssh') writeFileSync(file, `${issued.publicPart.certificate}\n`);
      expect(execFileSync('ssh-keygen', ['-L', '-f', file], { encoding: 'utf8' })).toContain(login.handle);
    });

    test('lives five minutes at most, whatever is asked', async () => {
      const nowMs = Date.now();
      const { expiresAtMs } = await createLogin(await shared()).issue({ lifeMs: 86_400_000 });
      expect(expiresAtMs - nowMs).toBeLessThanOrEqual(301_000);
      expect(expiresAtMs - nowMs).toBeGreaterThan(290_000);
    });

    test('keeps slashes and the like out of the words that sshd logs', async () => {
      const login = createLogin(await shared(), { user: 'a/b\nc', incident: undefined });
      expect(certificateOf(await login.issue()).keyId).toBe(`a_b_c/${login.subject.grantId}/-`);
    });

    test('is made for ed25519 and P-256 keys alone', async () => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const material = (text: string) => ({
        material: { kind: 'ssh' as const, publicKey: text },
        login: async () => false,
      });
      const p256 = createLogin(await shared(), {}, material(formatSshPublicKey(publicKey)));
      expect(certificateOf(await p256.issue()).keyType).toBe('ecdsa-sha2-nistp256');
      const file = join(tempDir(), 'rsa');
      execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', file]);
      const rsa = execFileSync('cat', [`${file}.pub`], { encoding: 'utf8' });
      for (const text of [rsa, '', 'ssh-ed25519 AAAA', `command="sh" ${formatSshPublicKey(publicKey)}`]) {
        expect(await codeOf(createLogin(await shared(), {}, material(text)).issue())).toBe('invalid_request');
      }
    });

    test('has a serial that says nothing and is another each time', async () => {
      const { issuer } = await shared();
      const { subject } = createLogin(await shared());
      const handles = Array.from({ length: 500 }, () => issuer.chooseHandle(subject));
      expect(new Set(handles).size).toBe(500);
      for (const handle of handles) expect(BigInt(handle)).toBeLessThan(1n << 63n);
    });

    test('that has expired is refused, and that needs no host to be proven', async () => {
      const login = createLogin(await shared());
      const { expiresAtMs } = await login.issue({ lifeMs: -1_000 });
      expect(await login.works()).toBe(false);
      expect(await login.prove({ nowMs: expiresAtMs + 61_000 })).toMatchObject({
        state: 'proven',
        method: expect.stringContaining('expired'),
      });
    });

    test('with a forced command runs that and has no terminal', async () => {
      const { createDevice } = await shared();
      const device = createDevice();
      const login = createLogin(await shared(), { role: 'status' }, device);
      const issued = await login.issue();
      expect(await device.run(issued, 'id')).toMatchObject({ code: 0, stdout: 'forced' });
      expect(certificateOf(issued).extensions).toEqual([]);
    });

    test('with a source address works from there alone', async () => {
      const near = createLogin(await shared(), { role: 'near' });
      const far = createLogin(await shared(), { role: 'far' });
      await near.issue();
      await far.issue();
      expect(await near.works()).toBe(true);
      expect(await far.works()).toBe(false);
    });

    test('for another resource, or by another CA, is refused', async () => {
      const base = await shared();
      const other = createLogin({ ...base, resource: { ...base.resource, id: 'web2' } });
      await other.issue();
      expect(await other.works()).toBe(false);
      const stranger = createSigner();
      const forged = await startSshWorld({ ca: { publicKey: stranger.blob, sign: stranger.sign } });
      const login = createLogin({ ...base, issuer: forged.issuer });
      await login.issue();
      expect(await login.works()).toBe(false);
    });
  });

  describe('known hosts', () => {
    test('of another key stop the login before anything is sent', async () => {
      const base = await shared();
      const stranger = formatSshPublicKey(createSigner().blob);
      const world = await withTarget({ hosts: [{ ...base.settings.hosts[0]!, hostKeys: [stranger] }] });
      const device = base.createDevice();
      const issued = await createLogin(world, {}, device).issue();
      expect(await device.run(issued)).toMatchObject({
        code: 255,
        stderr: expect.stringContaining('Host key verification failed'),
      });
    });

    test('can be vouched for by a host CA', async () => {
      const base = await shared();
      const keys = tempDir();
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(keys, 'host-ca')]);
      const hostCa = execFileSync('cat', [join(keys, 'host-ca.pub')], { encoding: 'utf8' });
      const krlFile = join(tempDir({ mode: 0o755 }), 'krl');
      writeKrl(krlFile, { number: 1, entries: [] });
      const sshd = await startSshd({
        trustedUserCaKeys: formatSshPublicKey(ca.blob),
        authorizedPrincipals: { [base.sshd.login]: ['oncall:web:shell'] },
        revokedKeysFile: krlFile,
        hostCertificate(line) {
          const file = join(keys, 'host');
          writeFileSync(`${file}.pub`, `${line}\n`);
          const args = ['-q', '-s', join(keys, 'host-ca'), '-I', 'host', '-h', '-n', '127.0.0.1'];
          execFileSync('ssh-keygen', [...args, `${file}.pub`]);
          return execFileSync('cat', [`${file}-cert.pub`], { encoding: 'utf8' });
        },
      });
      const host = { name: 'web9', host: sshd.host, port: sshd.port, hostKeys: [] };
      const world = await withTarget({
        hosts: [host],
        hostCa: hostCa.trim().split(' ').slice(0, 2).join(' '),
      });
      const login = createLogin(world);
      const issued = await login.issue();
      expect(issued.publicPart).toMatchObject({
        knownHosts: [expect.stringMatching(/^@cert-authority \[127\.0\.0\.1\]:\d+ ssh-ed25519 /)],
      });
      expect(await login.works()).toBe(true);
    });

    test('on port 22 are named without it', async () => {
      const base = await shared();
      const world = await withTarget({ hosts: [{ ...base.settings.hosts[0]!, port: 22 }] });
      const { publicPart } = await createLogin(world).issue();
      expect(publicPart).toMatchObject({ knownHosts: [expect.stringMatching(/^127\.0\.0\.1 ssh-ed25519 /)] });
    });
  });

  describe('the end', () => {
    test('writes the serial down until the certificate has expired', async () => {
      const base = await shared();
      const login = createLogin(base);
      const { expiresAtMs } = await login.issue();
      const { number } = base.revocations;
      await login.end();
      expect(base.revocations.number).toBe(number + 1);
      expect(base.revocations.entries.at(-1)).toEqual({
        serial: login.handle,
        expiresAt: expiresAtMs + 60_000,
      });
      await login.end();
      expect(base.revocations.number).toBe(number + 1);
    });

    test('is not proven while a host has not pulled the list, or does not answer; it is, after', async () => {
      const base = await startSshWorld();
      const login = createLogin(base);
      const { expiresAtMs } = await login.issue();
      base.revocations.published = false;
      await login.end();
      const expires = { state: 'expires', expiresAtMs: expiresAtMs + 60_000 };
      expect(await login.prove()).toMatchObject(expires);
      base.sshd.pause();
      expect(await login.prove({ signal: AbortSignal.timeout(300) })).toMatchObject(expires);
      base.sshd.resume();
      base.revocations.published = true;
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'proven' });
      await base.sshd.stop();
      expect(await login.prove()).toMatchObject(expires);
    });

    test('is not proven by one host of two', async () => {
      const base = await startSshWorld();
      const other = await startSshWorld();
      const both = [base.settings.hosts[0]!, { ...other.settings.hosts[0]!, name: 'web2' }];
      const login = createLogin({ ...base, resource: sshResource({ ...base.settings, hosts: both }) });
      await login.issue();
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'expires' });
      await other.revocations.revoke({ list: 'ssh', serial: login.handle, expiresAtMs: Date.now() });
      expect(await login.prove()).toMatchObject({ state: 'proven' });
    });

    test('is not proven where the key itself lets in, without the certificate', async () => {
      const base = await shared();
      const device = base.createDevice();
      const publicKey = device.material.kind === 'ssh' ? device.material.publicKey : '';
      const sshd = await startSshd({ authorizedKeys: [publicKey] });
      const [type, key] = sshd.hostPublicKey.split(' ');
      const host = { name: 'web3', host: sshd.host, port: sshd.port, hostKeys: [`${type} ${key}`] };
      const login = createLogin(await withTarget({ hosts: [host] }), {}, device);
      await login.issue();
      expect(await login.prove()).toMatchObject({ state: 'expires' });
    });

    test('is not proven by a host that refuses the broker itself, or everybody', async () => {
      const far = createLogin(await shared(), { role: 'far' });
      await far.issue();
      await far.end();
      expect(await far.prove()).toMatchObject({ state: 'expires' });
      const own = await startSshWorld();
      const login = createLogin(own);
      await login.issue();
      writeFileSync(join(own.sshd.principalsDir, own.sshd.login), '');
      expect(await login.works()).toBe(false);
      expect(await login.prove()).toMatchObject({ state: 'expires' });
    });

    test('of a host with another key is not proven by what that host says', async () => {
      const base = await shared();
      const stranger = formatSshPublicKey(createSigner().blob);
      const world = await withTarget({ hosts: [{ ...base.settings.hosts[0]!, hostKeys: [stranger] }] });
      const login = createLogin(world);
      await login.issue();
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'expires' });
    });

    test('of what was never handed out is its expiry', async () => {
      const login = createLogin(await shared());
      await login.end();
      expect((await login.prove()).state).toBe('expires');
      expect((await login.prove({ nowMs: Date.now() + 400_000 })).state).toBe('proven');
    });

    test('leaves no file behind', () => {
      expect(readdirSync(tmpdir()).filter((name) => name.startsWith('oncall-ssh-'))).toEqual([]);
    });
  });

  describe('the check', () => {
    async function missingIn({ issuer, resource }: SshWorld): Promise<string[]> {
      const found = await issuer.check(resource, AbortSignal.timeout(20_000));
      for (const { ok, fix } of found) expect(fix === undefined).toBe(ok);
      return found.filter(({ ok }) => !ok).map(({ name }) => name);
    }

    test('logs in for real and sees its own certificate revoked', async () => {
      const { issuer, resource } = await shared();
      const found = await issuer.check(resource, AbortSignal.timeout(20_000));
      expect(found.map(({ name, ok }) => [name, ok])).toEqual([
        ...['shell', 'status', 'near', 'far'].map((role) => [`web1: login as ${role}`, true]),
        ['web1: revocation list', true],
      ]);
    });

    test('finds a list that does not reach the host', async () => {
      const own = await startSshWorld({ revocationWaitMs: 1_500 });
      own.revocations.published = false;
      expect(await missingIn(own)).toEqual(['web1: revocation list']);
    });

    test('finds a principal that is not mapped, a wrong host key, and a host that does not answer', async () => {
      const own = await startSshWorld();
      writeFileSync(join(own.sshd.principalsDir, own.sshd.login), 'oncall:web:shell\n');
      const logins = ['status', 'near', 'far'].map((role) => `web1: login as ${role}`);
      expect(await missingIn(own)).toEqual(logins);
      const stranger = formatSshPublicKey(createSigner().blob);
      const hosts = [{ ...own.settings.hosts[0]!, hostKeys: [stranger] }];
      expect(await missingIn({ ...own, resource: sshResource({ ...own.settings, hosts }) })).toEqual([
        'web1: host key',
      ]);
      await own.sshd.stop();
      expect(await missingIn(own)).toEqual(['web1: reachable']);
    });
  });
});
