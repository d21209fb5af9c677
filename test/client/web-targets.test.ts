// Credentials for services on the web: which files, which variables, and what curl is told.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HeldCredential } from '../../src/client/credentials.ts';
import {
  commandFor,
  environmentFor,
  wipeSessionFiles,
  writeSessionFiles,
} from '../../src/client/session-files.ts';
import { grantFolder } from '../../src/client/session-paths.ts';
import type { Command, PartOf } from '../../src/client/targets/client-target.ts';
import { HTTP } from '../../src/client/targets/http.ts';
import { X509 } from '../../src/client/targets/x509.ts';
import { failureOf, GRANT_ID, testContext } from './fixture.ts';

const OTHER_ID = 'gr_zzzzzzzzzzzzzzzzzzz';
const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

async function x509(grantId = GRANT_ID, more: Partial<PartOf<'x509'>> = {}, resource = 'tool') {
  const { secretFor } = await X509.createMaterial();
  const publicPart: PartOf<'x509'> = {
    kind: 'x509',
    certificate: CERTIFICATE,
    url: 'https://tool.example:8443/x/',
    caPem: CERTIFICATE,
    ...more,
  };
  const secret = await secretFor(publicPart, async () => new Uint8Array());
  return {
    grantId,
    credentialId: 'cr_1',
    target: { resource, role: 'read' },
    handle: '4A',
    secret,
    publicPart,
    lifeSeconds: 300,
    receivedAtMs: 0,
    expiresAt: '2026-01-01T00:00:00.000Z',
  } satisfies HeldCredential;
}

describe('a client certificate', () => {
  test('is over a P-256 key that only its owner can read, and gone when wiped', async () => {
    const { paths } = testContext();
    const credential = await x509();
    await writeSessionFiles(paths, [credential]);
    const folder = grantFolder(paths, GRANT_ID);
    const key = readFileSync(join(folder, 'key.pem'), 'utf8');
    const spki = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' });
    expect(spki.toString('base64')).toBe(credential.secret.publicKey);
    expect(createPrivateKey(key).asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(readFileSync(join(folder, 'client.pem'), 'utf8')).toBe(`${CERTIFICATE}${key}`);
    for (const name of ['key.pem', 'client.pem', 'cert.pem', 'ca.pem'])
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    await wipeSessionFiles(paths, GRANT_ID);
    expect(() => statSync(folder)).toThrow();
  });

  test('keeps its key through a renewal', async () => {
    const { secret } = await x509();
    expect(X509.reuse?.(secret).material).toEqual({ kind: 'x509', publicKey: secret.publicKey });
  });

  test('is named in the environment by its files; of several, by their resources', async () => {
    const { paths } = testContext();
    const one = await x509();
    const two = await x509(OTHER_ID, { caPem: undefined as never }, 'trace-store');
    delete (two.publicPart as { caPem?: string }).caPem;
    expect(environmentFor(paths, [one])).toEqual({
      ONCALL_URL: 'https://tool.example:8443/x/',
      ONCALL_CERT: join(grantFolder(paths, GRANT_ID), 'cert.pem'),
      ONCALL_KEY: join(grantFolder(paths, GRANT_ID), 'key.pem'),
      ONCALL_CA: join(grantFolder(paths, GRANT_ID), 'ca.pem'),
    });
    expect(Object.keys(environmentFor(paths, [one, two]))).toEqual([
      ...['ONCALL_URL_TOOL', 'ONCALL_CERT_TOOL', 'ONCALL_KEY_TOOL', 'ONCALL_CA_TOOL'],
      ...['ONCALL_URL_TRACE_STORE', 'ONCALL_CERT_TRACE_STORE', 'ONCALL_KEY_TRACE_STORE'],
    ]);
    const evil = await x509(GRANT_ID, { url: 'https://x/\u0000' });
    expect(await failureOf(() => environmentFor(paths, [evil]))).toMatchObject({ code: 'corrupt_file' });
  });

  test('is given to curl for its own service alone', async () => {
    const { paths } = testContext();
    const held = [await x509(), await x509(OTHER_ID, { url: 'https://other.example/' }, 'other')];
    const adapted = (...command: Command) => commandFor(paths, held, command);
    const options = (id: string) => {
      const folder = grantFolder(paths, id);
      const [cert, key, ca] = ['cert.pem', 'key.pem', 'ca.pem'].map((name) => join(folder, name));
      return ['--cert', cert, '--key', key, '--cacert', ca];
    };
    const url = 'https://tool.example:8443/x/query?a=b';
    expect(adapted('curl', '-s', url)).toEqual(['curl', ...options(GRANT_ID), '-s', url]);
    expect(adapted('/usr/bin/curl', 'https://other.example')).toContain('--cert');
    expect(adapted('curl', '--url=https://OTHER.example:443/')).toEqual([
      ...['curl', ...options(OTHER_ID), '--url=https://OTHER.example:443/'],
    ]);
    const untouched: Command[] = [
      ['curl', '-s', 'https://tool.example/'],
      ['curl', 'http://tool.example:8443/x/'],
      ['curl', 'https://tool.example:8443@evil.example/'],
      ['curl', url, 'https://evil.example/'],
      ['curl', url, 'https://other.example/'],
      ['curl', '--cert', 'mine.pem', url],
      ['curl', '-Emine.pem', url],
      ['curl', '--key=mine.pem', url],
      ['curl', '--version'],
      ['wget', url],
    ];
    for (const command of untouched) expect(adapted(...command)).toEqual(command);
  });
});

describe('a token', () => {
  const TOKEN = 'eyJh.eyJz.c2ln-_';

  async function http(grantId = GRANT_ID, more: Partial<PartOf<'http'>> = {}, text = TOKEN) {
    const { material, secretFor } = await HTTP.createMaterial();
    expect(material).toEqual({ kind: 'http' });
    const publicPart: PartOf<'http'> = {
      kind: 'http',
      url: 'https://tool.example/',
      sealedToken: 'x',
      ...more,
    };
    const secret = await secretFor(publicPart, async (sealed) => Buffer.from(sealed === 'x' ? text : ''));
    return { ...(await x509(grantId)), secret, publicPart } satisfies HeldCredential;
  }

  test('is in files that only their owner can read, in the forms that tools take', async () => {
    const { paths } = testContext();
    await writeSessionFiles(paths, [await http()]);
    const file = (name: string) => join(grantFolder(paths, GRANT_ID), name);
    expect(readFileSync(file('token'), 'utf8')).toBe(TOKEN);
    expect(readFileSync(file('header'), 'utf8')).toBe(`Authorization: Bearer ${TOKEN}\n`);
    expect(readFileSync(file('curl.conf'), 'utf8')).toBe(`oauth2-bearer = "${TOKEN}"\n`);
    for (const name of ['token', 'header', 'curl.conf'])
      expect(statSync(file(name)).mode & 0o777).toBe(0o600);
    await wipeSessionFiles(paths, GRANT_ID);
    expect(() => statSync(file('token'))).toThrow();
  });

  test('is in no argument and no variable, and goes to its own tool alone', async () => {
    const { paths } = testContext();
    const held = [await http(GRANT_ID, { caPem: CERTIFICATE })];
    const folder = grantFolder(paths, GRANT_ID);
    const url = 'https://tool.example/api?q=1';
    expect(commandFor(paths, held, ['curl', '-sS', url])).toEqual([
      ...['curl', '--config', join(folder, 'curl.conf'), '--cacert', join(folder, 'ca.pem'), '-sS', url],
    ]);
    const untouched: Command[] = [
      ['curl', 'https://tool.example.evil.example/'],
      ['curl', 'http://tool.example/'],
      ['curl', url, 'https://evil.example/'],
      ['curl', '--proxy', 'http://proxy.example', url],
      ['curl', '-u', 'me:mine', url],
      ['curl', '--oauth2-bearer', 'mine', url],
    ];
    for (const command of untouched) expect(commandFor(paths, held, command)).toEqual(command);
    const env = environmentFor(paths, held);
    expect(env).toEqual({
      ONCALL_URL: 'https://tool.example/',
      ONCALL_TOKEN_FILE: join(folder, 'token'),
      ONCALL_CA: join(folder, 'ca.pem'),
    });
    expect(HTTP.secretEnvironment(held[0]!.secret)).toEqual({ ONCALL_TOKEN: TOKEN });
  });

  test.each(['', 'a.b', 'a.b.c\noutput = "/etc/passwd"', 'a.b.c"', 'a.b.c d', 'a.b.c.d'])(
    'that is none, %j, reaches no file',
    async (text) => {
      expect(await failureOf(http(GRANT_ID, {}, text))).toMatchObject({ code: 'corrupt_file' });
    },
  );
});
