import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { X509Settings } from '../../src/catalogue/types.ts';
import type { Issued, KeyMaterial } from '../../src/issuers/issuer.ts';
import { createX509Issuer } from '../../src/issuers/x509.ts';
import { startNginx } from '../support/nginx.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { makeServerCertificate } from '../support/server-certificate.ts';
import { freePort, tempDir } from '../support/temp.ts';
import { codeOf, createLogin, HOSTILE, issuerContract } from './contract.ts';
import { createCa, createDevice, startX509World, type X509World, x509Resource } from './x509-world.ts';

function pemOf({ publicPart }: Issued): string {
  if (publicPart.kind !== 'x509') throw new Error('not a certificate');
  return publicPart.certificate;
}

function certificateOf(issued: Issued): X509Certificate {
  return new X509Certificate(pemOf(issued));
}

async function textOf(issued: Issued): Promise<string> {
  const openssl = startProcess('openssl', ['x509', '-noout', '-text'], { input: pemOf(issued) });
  expect((await openssl.ended).code).toBe(0);
  return openssl.stdout();
}

function withMaterial(publicKey: string): { material: KeyMaterial; login: () => Promise<boolean> } {
  return { material: { kind: 'x509', publicKey }, login: async () => false };
}

function spki(type: 'rsa' | 'ec' | 'ed25519', options: object = {}): string {
  const { publicKey } = generateKeyPairSync(type as 'ec', options as { namedCurve: string });
  return publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
}

describe.skipIf(!part('nginx'))('x509', () => {
  let world: Promise<X509World> | undefined;
  const shared = (): Promise<X509World> => {
    world ??= startX509World();
    return world;
  };
  async function withTarget(change: Partial<X509Settings>): Promise<X509World> {
    const base = await shared();
    return { ...base, resource: x509Resource({ ...base.settings, ...change }) };
  }

  issuerContract('x509', shared);

  describe('a certificate', () => {
    test('says who, for which grant and incident and role, for client authentication and nothing else', async () => {
      const base = await shared();
      const login = createLogin(base);
      const issued = await login.issue();
      const certificate = certificateOf(issued);
      expect(certificate.serialNumber).toBe(login.handle);
      expect(certificate.subject).toBe(`CN=${login.handle}\nOU=web/read`);
      expect(certificate.subjectAltName).toBe(`URI:oncall:ada/${login.subject.grantId}/P1-123`);
      expect(certificate.ca).toBe(false);
      expect(Date.parse(certificate.validTo)).toBe(issued.expiresAtMs);
      expect(Date.now() - Date.parse(certificate.validFrom)).toBeLessThanOrEqual(65_000);
      const ca = new X509Certificate(base.ca.certificatePem);
      expect([certificate.checkIssued(ca), certificate.verify(ca.publicKey)]).toEqual([true, true]);
      const text = await textOf(issued);
      expect(text).toMatch(/Key Usage: critical\n +Digital Signature\n/);
      expect(text).toMatch(/Extended Key Usage: \n +TLS Web Client Authentication\n/);
      expect(text).toMatch(/Basic Constraints: critical\n +CA:FALSE\n/);
      expect(text).toContain(`URI:${base.options.listUrl}\n`);
      expect(text).toMatch(/Authority Key Identifier: \n/);
    });

    test('lives a quarter of an hour at most, whatever is asked', async () => {
      const nowMs = Date.now();
      const { expiresAtMs } = await createLogin(await shared()).issue({ lifeMs: 86_400_000 });
      expect(expiresAtMs - nowMs).toBeLessThanOrEqual(901_000);
    });

    test('has a serial that says nothing, fits, and is another each time', async () => {
      const { issuer } = await shared();
      const { subject } = createLogin(await shared());
      const handles = Array.from({ length: 500 }, () => issuer.chooseHandle(subject));
      expect(new Set(handles).size).toBe(500);
      for (const handle of handles) expect(handle).toMatch(/^[4-7][0-9A-F]{31}$/);
    });

    test.each(HOSTILE)('keeps a user and an incident named %j inside one URI', async (text) => {
      const login = createLogin(await shared(), { user: text, incident: text });
      const name = certificateOf(await login.issue()).subjectAltName ?? '';
      const escaped = encodeURIComponent(text.slice(0, 128));
      // Node quotes a name that holds an apostrophe, which a URI may.
      expect(name.replaceAll('"', '')).toBe(`URI:oncall:${escaped}/${login.subject.grantId}/${escaped}`);
    });

    test('is made over P-256, P-384 and Ed25519 keys in their one encoding alone', async () => {
      const base = await shared();
      const issue = (key: string) => codeOf(createLogin(base, {}, withMaterial(key)).issue());
      for (const key of [
        spki('ec', { namedCurve: 'P-256' }),
        spki('ec', { namedCurve: 'P-384' }),
        spki('ed25519'),
      ])
        expect(await issue(key)).toBe('done');
      const good = spki('ec', { namedCurve: 'P-256' });
      const trailing = Buffer.concat([Buffer.from(good, 'base64'), Buffer.of(0)]).toString('base64');
      const bad = [
        spki('rsa', { modulusLength: 1024 }),
        spki('rsa', { modulusLength: 4096 }),
        spki('ec', { namedCurve: 'secp256k1' }),
        trailing,
        `${good}\n`,
        good.slice(0, -8),
        '',
        'AAAA',
      ];
      for (const key of bad) expect(await issue(key)).toBe('invalid_request');
    });

    test('for another role, service or CA gets nowhere', async () => {
      const base = await shared();
      const device = createDevice();
      const write = createLogin(base, { role: 'write' }, device);
      expect(await device.visit(await write.issue())).toMatchObject({
        status: 200,
        body: expect.stringMatching(/^write OU=Web Admins: write,CN=/),
      });
      const elsewhere = x509Resource({
        ...base.settings,
        roles: new Map([['read', { unit: 'other/read', description: undefined }]]),
      });
      const other = createLogin({ ...base, resource: elsewhere }, {}, device);
      expect(await device.visit(await other.issue())).toMatchObject({ status: 403 });
      const stranger = createX509Issuer({ ...base.options, ca: await createCa() });
      const forged = createLogin({ ...base, issuer: stranger }, {}, device);
      expect(await device.visit(await forged.issue())).toMatchObject({ status: 400 });
    });

    test('that has expired is refused, and that needs no service to be proven', async () => {
      const login = createLogin(await shared());
      const { expiresAtMs } = await login.issue({ lifeMs: -1_000 });
      expect(await login.works()).toBe(false);
      expect(await login.prove({ nowMs: expiresAtMs + 61_000 })).toMatchObject({ state: 'proven' });
    });

    test('comes with the CA of the service where the catalogue names one', async () => {
      const base = await shared();
      const login = createLogin(base);
      expect((await login.issue()).publicPart).toMatchObject({
        url: base.nginx.url,
        caPem: base.nginx.caPem,
      });
      const plain = createLogin(await withTarget({ caFile: undefined }));
      expect((await plain.issue()).publicPart).not.toHaveProperty('caPem');
    });
  });

  describe('the end', () => {
    test('writes the serial down until the certificate has expired, once', async () => {
      const base = await shared();
      const login = createLogin(base);
      const { expiresAtMs } = await login.issue();
      const { number } = base.revocations;
      await login.end();
      await login.end();
      expect(base.revocations.number).toBe(number + 1);
      expect(base.revocations.entries.at(-1)).toEqual({
        serial: login.handle,
        expiresAt: expiresAtMs + 60_000,
      });
    });

    test('is not proven while the service has not pulled the list, or does not answer; it is, after', async () => {
      const base = await startX509World();
      const login = createLogin(base);
      const { expiresAtMs } = await login.issue();
      base.revocations.published = false;
      await login.end();
      const expires = { state: 'expires', expiresAtMs: expiresAtMs + 60_000 };
      expect(await login.prove()).toMatchObject(expires);
      base.nginx.pause();
      expect(await login.prove({ signal: AbortSignal.timeout(300) })).toMatchObject(expires);
      base.nginx.resume();
      base.revocations.published = true;
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'proven' });
      await base.nginx.stop();
      expect(await login.prove()).toMatchObject(expires);
    });

    test('is proven of what was never handed out too, and never in its user’s name', async () => {
      const base = await shared();
      const login = createLogin(base);
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'proven' });
      const answer = base.nginx.accessLog();
      expect(answer).toContain('oncall-broker');
      expect(answer).not.toContain(login.handle);
    });

    test.each(['TLSv1.2', 'TLSv1.3'] as const)(
      'is not got around by a session of %s from before',
      async (version) => {
        const base = await shared();
        const device = createDevice();
        const login = createLogin(base, {}, device);
        const issued = await login.issue();
        const sessions: Buffer[] = [];
        const options = {
          minVersion: version,
          maxVersion: version,
          onSession: (one: Buffer) => sessions.push(one),
        };
        expect(await device.visit(issued, options)).toMatchObject({ status: 200 });
        await login.end();
        for (const session of [undefined, ...sessions]) {
          const answer = await device.visit(issued, { ...options, ...(session && { session }) });
          expect(answer).toMatchObject({ status: 400 });
        }
      },
    );

    test.each(['-tls1_2', '-tls1_3'])(
      'is proven by a service that refuses in the handshake itself, %s',
      async (version) => {
        const base = await shared();
        const login = createLogin(base);
        await login.issue();
        const proofWith = async (serials: string[]) => {
          const crl = join(tempDir(), 'crl.der');
          writeFileSync(crl, base.ca.createCrl({ number: 1, serials, nowMs: Date.now() }));
          const port = await freePort();
          const { certificateFile, keyFile } = base.nginx;
          const files = [
            '-cert',
            certificateFile,
            '-key',
            keyFile,
            '-CAfile',
            base.host.file('ca.pem'),
            '-CRL',
            crl,
          ];
          const checks = ['-CRLform', 'DER', '-crl_check', '-Verify', '2', '-verify_return_error', '-www'];
          const server = startProcess('openssl', [
            ...['s_server', '-accept', `127.0.0.1:${port}`, version],
            ...files,
            ...checks,
          ]);
          await server.waitForOutput('ACCEPT');
          const url = `https://localhost:${port}/`;
          const servers = [`127.0.0.1:${port}`];
          const resource = x509Resource({ ...base.settings, url, servers });
          const { state } = await base.issuer.prove({
            subject: { ...login.subject, resource },
            handle: login.handle,
            publicPart: undefined,
            expiresAtMs: Date.now() + 60_000,
            nowMs: Date.now(),
            signal: AbortSignal.timeout(9_000),
          });
          await server.stop();
          return state;
        };
        expect(await proofWith([])).toBe('expires');
        expect(await proofWith([login.handle])).toBe('proven');
      },
    );

    test('is not proven by one server of two', async () => {
      const base = await startX509World();
      const other = await startNginx({ server: 'return 200;' });
      const place = (port: number) => `127.0.0.1:${port}`;
      const both = [place(base.nginx.port), place(other.port)];
      const login = createLogin({ ...base, resource: x509Resource({ ...base.settings, servers: both }) });
      await login.issue();
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'expires' });
      const one = createLogin({
        ...base,
        resource: x509Resource({ ...base.settings, servers: [place(base.nginx.port)] }),
      });
      await one.end();
      expect(await one.prove()).toMatchObject({ state: 'proven' });
    });

    test('is not proven by a service that refuses everybody, or one that stands in the other’s place', async () => {
      const base = await shared();
      const everybody = await startNginx({ server: 'return 400;' });
      const { ca } = await makeServerCertificate();
      const cases: [string, Partial<X509World['options']>][] = [
        [everybody.url, { readCa: async () => everybody.caPem }],
        [base.nginx.url, { readCa: async () => ca }],
      ];
      for (const [url, change] of cases) {
        const issuer = createX509Issuer({ ...base.options, ...change });
        const login = createLogin({ ...base, issuer, resource: x509Resource({ ...base.settings, url }) });
        await login.issue();
        await login.end();
        expect(await login.prove()).toMatchObject({ state: 'expires' });
      }
    });
  });

  describe('the check', () => {
    async function missingIn({ issuer, resource }: X509World): Promise<string[]> {
      const found = await issuer.check(resource, AbortSignal.timeout(20_000));
      for (const { ok, fix } of found) expect(fix === undefined).toBe(ok);
      return found.filter(({ ok }) => !ok).map(({ name }) => name.replace(/^localhost:\d+: /, ''));
    }
    const strangers = [
      'no certificate',
      'a certificate of another CA',
      'a certificate for another service',
    ].map((what) => `${what} is refused`);

    test('gets in for real in each role, is kept out as a stranger, and sees its own certificate revoked', async () => {
      const { issuer, resource } = await shared();
      const found = await issuer.check(resource, AbortSignal.timeout(20_000));
      expect(found.map(({ name, ok }) => [name.replace(/^localhost:\d+: /, ''), ok])).toEqual(
        [
          ...['login as read', 'login as write', ...strangers],
          ...['revocation list', 'no session outlives a revocation'],
        ].map((name) => [name, true]),
      );
    });

    test('finds a list that does not reach the service', async () => {
      const own = await startX509World({ revocationWaitMs: 1_500 });
      own.revocations.published = false;
      expect(await missingIn(own)).toEqual(['revocation list']);
    });

    test('finds a service that takes up sessions from before', async () => {
      const own = await startX509World({}, (lines) =>
        lines.replace('ssl_session_cache off;', 'ssl_session_cache shared:S:1m;'),
      );
      expect(await missingIn(own)).toEqual(['no session outlives a revocation']);
    });

    test('finds a service that lets everybody in, one that asks nobody’s role, and one that is not there', async () => {
      const base = await shared();
      const open = await startNginx({ server: 'location / { return 200; }' });
      const at = (url: string, caPem: string) => ({
        ...base,
        issuer: createX509Issuer({ ...base.options, revocationWaitMs: 0, readCa: async () => caPem }),
        resource: x509Resource({ ...base.settings, url }),
      });
      expect(await missingIn(at(open.url, open.caPem))).toEqual(strangers);
      const [caFile, crlFile] = [base.host.file('ca.pem'), base.host.file('crl.pem')];
      const roleless = await startNginx({
        server: `ssl_client_certificate ${caFile}; ssl_crl ${crlFile}; ssl_verify_client on; location / { return 200; }`,
      });
      expect(await missingIn(at(roleless.url, roleless.caPem))).toEqual([strangers[2]]);
      await roleless.stop();
      expect(await missingIn(at(roleless.url, roleless.caPem))).toEqual(['reachable']);
    });
  });
});
