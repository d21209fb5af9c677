// The guide, followed by the letter on a machine of its own (its folders moved): the script against a real HTTP server.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SshSettings } from '../../src/catalogue/types.ts';
import { createSignedKrl } from '../../src/issuers/krl.ts';
import { createSshIssuer } from '../../src/issuers/ssh.ts';
import { createSshProbe } from '../../src/issuers/ssh-probe.ts';
import { verifySignedKrl } from '../../src/protocol/signed-krl.ts';
import { atEnd } from '../support/at-end.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { SSH_LOGIN, startSshd } from '../support/sshd.ts';
import { freePort, tempDir } from '../support/temp.ts';
import { codeOf, createLogin } from './contract.ts';
import { ca, createSigner, identity, sshResource, startSshWorld, type TestRevocations } from './ssh-world.ts';

interface Served {
  krl: Uint8Array;
  signature: string;
}

function signedList(number: number, serials: string[] = [], signer = identity): Served {
  const entries = serials.map((serial) => ({ serial }));
  return createSignedKrl({
    number,
    sections: [{ ca: ca.blob, entries }],
    nowMs: Date.now(),
    sign: signer.sign,
  });
}

/** A broker that serves what `served` says, and a host that has done what the guide says. */
async function startHost() {
  const broker: { served: Served | undefined; cutShort: boolean } = {
    served: signedList(1),
    cutShort: false,
  };
  const port = await freePort();
  const server = createServer((request, response) => {
    const { served } = broker;
    if (!served || !/^\/v1\/krl\/ssh(\.sig)?$/.test(request.url ?? '')) {
      response.writeHead(500).end('oops');
      return;
    }
    const body = Buffer.from(request.url?.endsWith('.sig') ? served.signature : served.krl);
    response.writeHead(200, { 'content-length': body.length });
    if (!broker.cutShort) response.end(body);
    else response.write(body.subarray(0, 20), () => response.destroy());
  }).listen(port, '127.0.0.1');
  atEnd(() => new Promise<void>((resolve) => void server.close(() => resolve())));

  const root = tempDir({ mode: 0o755 });
  const folders = {
    '/etc/ssh/oncall': 'oncall',
    '/usr/local/sbin': 'sbin',
    '/etc/systemd/system': 'units',
    '/etc/ssh/sshd_config.d': 'sshd',
  };
  for (const name of Object.values(folders)) mkdirSync(join(root, name), { recursive: true });
  const inRoot = (text: string): string =>
    Object.entries(folders).reduce((moved, [from, to]) => moved.replaceAll(from, join(root, to)), text);

  const revocations: TestRevocations = {
    number: 1,
    entries: [],
    published: true,
    async revoke({ serial, expiresAtMs }) {
      revocations.entries.push({ serial, expiresAt: expiresAtMs });
      revocations.number += 1;
      broker.served = signedList(
        revocations.number,
        revocations.entries.map((entry) => entry.serial),
      );
      return revocations.number;
    },
  };
  const issuer = createSshIssuer({
    ca: { publicKey: ca.blob, sign: ca.sign },
    revocations,
    probe: createSshProbe(),
    publicUrl: `http://127.0.0.1:${port}/`,
    identityKey: identity.privateKey,
    revocationWaitMs: 10_000,
    now: Date.now,
  });
  const target: SshSettings = {
    kind: 'ssh',
    hosts: [{ name: 'web1', host: '127.0.0.1', port: 1, hostKeys: [] }],
    hostCa: undefined,
    roles: new Map([
      [
        'shell',
        { login: SSH_LOGIN, forceCommand: undefined, sourceAddress: undefined, description: undefined },
      ],
    ]),
  };
  const guide = issuer.guide(sshResource(target));
  for (const { text } of guide.steps.slice(0, 4)) {
    // This machine's own sshd and systemd are not ours to start.
    const lines = inRoot(text)
      .split('\n')
      .filter((line) => !/^(systemctl|sshd) /.test(line));
    execFileSync('sh', ['-eu'], { input: lines.join('\n') });
  }
  const file = (name: string): string => join(root, 'oncall', name);
  return {
    root,
    broker,
    issuer,
    target,
    revocations,
    file,
    async pull() {
      const script = startProcess(join(root, 'sbin', 'oncall-krl'), [], { input: '' });
      const { code } = await script.ended;
      return { code, stderr: script.stderr() };
    },
    revoked: (serial: string): boolean => {
      const text = execFileSync('ssh-keygen', ['-Q', '-l', '-f', file('krl')], { encoding: 'utf8' });
      return text.split('\n').some((line) => line.trim() === `serial: ${serial}`);
    },
  };
}

describe.skipIf(!part('sshd'))('the revocation list on a host', () => {
  test('is there before sshd looks, and empty', async () => {
    const host = await startHost();
    expect(statSync(host.file('krl')).size).toBeGreaterThan(0);
    expect(readFileSync(host.file('ca.pub'), 'utf8')).toMatch(/^ssh-ed25519 \S+ oncall\n$/);
    expect(readFileSync(host.file(`principals/${SSH_LOGIN}`), 'utf8')).toBe('oncall:web:shell\n');
  });

  test('is swapped for one with a higher number, in one rename, readable by sshd', async () => {
    const host = await startHost();
    host.broker.served = signedList(5, ['11']);
    expect(await host.pull()).toEqual({ code: 0, stderr: '' });
    expect(host.revoked('11')).toBe(true);
    const before = statSync(host.file('krl')).ino;
    expect(await host.pull()).toEqual({ code: 0, stderr: '' });
    expect(statSync(host.file('krl')).ino).toBe(before);
    host.broker.served = signedList(6, ['11', '20']);
    expect((await host.pull()).code).toBe(0);
    expect(host.revoked('20')).toBe(true);
    expect(statSync(host.file('krl'))).not.toMatchObject({ ino: before });
    expect(statSync(host.file('krl')).mode & 0o777).toBe(0o644);
    expect(readFileSync(host.file('krl.number'), 'utf8')).toBe('6\n');
    expect(readdirSync(join(host.root, 'oncall')).filter((name) => name.startsWith('.pull'))).toEqual([]);
  });

  const forged = createSigner();
  const swapped = (served: Served, change: (text: string) => string): Served => ({
    ...served,
    signature: change(served.signature),
  });
  test.each<[string, () => Served | undefined]>([
    ['signed by somebody else', () => signedList(9, [], forged)],
    ['with an older number', () => signedList(4)],
    ['cut short', () => ({ ...signedList(9), krl: signedList(9).krl.subarray(0, 60) })],
    ['empty', () => ({ ...signedList(9), krl: new Uint8Array() })],
    ['of another signature', () => ({ krl: signedList(9, ['77']).krl, signature: signedList(9).signature })],
    ['with a raised number', () => swapped(signedList(4), (text) => text.replace('number 4', 'number 9'))],
    ['of another kind', () => swapped(signedList(9), (text) => text.replace('list ssh', 'list x509'))],
    ['without a signature', () => swapped(signedList(9), (text) => text.replace(/signature .*/, ''))],
    [
      'with a signature document that is a page',
      () => ({ ...signedList(9), signature: '<html>$(id)</html>' }),
    ],
    ['that is not served', () => undefined],
  ])('%s is not taken: the last good one stays', async (_, served) => {
    const host = await startHost();
    host.broker.served = signedList(5, ['11']);
    await host.pull();
    const before = readFileSync(host.file('krl'));
    host.broker.served = served();
    const { code, stderr } = await host.pull();
    expect(code).toBe(1);
    expect(stderr).toContain('the last good list stays');
    expect(readFileSync(host.file('krl'))).toEqual(before);
    expect(readFileSync(host.file('krl.number'), 'utf8')).toBe('5\n');
    host.broker.served = signedList(10, ['20']);
    expect((await host.pull()).code).toBe(0);
    expect(host.revoked('20')).toBe(true);
  });

  test('signed but unreadable to OpenSSH is not taken', async () => {
    const host = await startHost();
    const before = readFileSync(host.file('krl'));
    const garbage = Buffer.from('not a list');
    const { createHash } = await import('node:crypto');
    const digest = createHash('sha256').update(garbage).digest('hex');
    const lines = `oncall-krl/v1\nlist ssh\nnumber 9\ngenerated 2026-01-05T09:00:00.000Z\nsha256 ${digest}\n`;
    const signature = Buffer.from(identity.sign(Buffer.from(lines))).toString('base64');
    host.broker.served = { krl: garbage, signature: `${lines}signature ${signature}\n` };
    expect((await host.pull()).stderr).toContain('ssh-keygen cannot read the list');
    expect(readFileSync(host.file('krl'))).toEqual(before);
  });

  test('whose transfer breaks off is not taken', async () => {
    const host = await startHost();
    const before = readFileSync(host.file('krl'));
    host.broker.served = signedList(9, ['11']);
    host.broker.cutShort = true;
    expect((await host.pull()).code).toBe(1);
    expect(readFileSync(host.file('krl'))).toEqual(before);
  });

  test('that was damaged or lost on the host is put right by the next pull', async () => {
    const host = await startHost();
    host.broker.served = signedList(5, ['11']);
    await host.pull();
    truncateSync(host.file('krl'), 30);
    expect((await host.pull()).code).toBe(0);
    expect(host.revoked('11')).toBe(true);
    execFileSync('rm', [host.file('krl')]);
    expect((await host.pull()).code).toBe(0);
    expect(host.revoked('11')).toBe(true);
    writeFileSync(host.file('krl.number'), 'rubbish');
    host.broker.served = signedList(6, ['11', '20']);
    expect((await host.pull()).code).toBe(0);
    expect(host.revoked('20')).toBe(true);
    expect(readFileSync(host.file('krl.number'), 'utf8')).toBe('6\n');
  });

  test('that is missing or damaged locks everybody out, which is why nothing of this may happen', async () => {
    const world = await startSshWorld();
    const login = createLogin(world);
    await login.issue();
    expect(await login.works()).toBe(true);
    const [, file = ''] = /^RevokedKeys (.*)$/m.exec(readFileSync(world.sshd.configFile, 'utf8')) ?? [];
    truncateSync(file, 10);
    expect(await login.works()).toBe(false);
    expect(await login.prove()).toMatchObject({ state: 'expires' });
  });

  test('closes the circle: guide, sshd, login, end, pull, proof, and a check that finds all in order', async () => {
    const host = await startHost();
    const sshd = await startSshd({
      extraConfig: readFileSync(join(host.root, 'sshd', 'oncall.conf'), 'utf8'),
    });
    const [type, key] = sshd.hostPublicKey.split(' ');
    const hosts = [{ name: 'web1', host: sshd.host, port: sshd.port, hostKeys: [`${type} ${key}`] }];
    const resource = sshResource({ ...host.target, hosts });
    const { createDevice } = await startSshWorld();
    const login = createLogin({ issuer: host.issuer, resource, role: 'shell', createDevice });
    await login.issue();
    expect(await login.works()).toBe(true);
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'expires' });
    expect(await host.pull()).toEqual({ code: 0, stderr: '' });
    expect(await login.works()).toBe(false);
    expect(await login.prove()).toMatchObject({ state: 'proven' });

    let done = false;
    const timer = (async () => {
      while (!done) await host.pull();
    })();
    const found = await host.issuer.check(resource, AbortSignal.timeout(20_000));
    done = true;
    await timer;
    expect(found.map(({ name, ok }) => [name, ok])).toEqual([
      ['web1: login as shell', true],
      ['web1: revocation list', true],
    ]);
  });

  test('comes with units that systemd understands', async () => {
    const host = await startHost();
    const units = join(host.root, 'units');
    expect(readdirSync(units).sort()).toEqual(['oncall-krl.service', 'oncall-krl.timer']);
    if (!existsSync('/usr/bin/systemd-analyze')) return;
    const files = ['oncall-krl.service', 'oncall-krl.timer'].map((name) => join(units, name));
    const verify = startProcess('systemd-analyze', ['verify', ...files], { input: '' });
    await verify.ended;
    expect(verify.output()).not.toMatch(/oncall-krl\.(service|timer):\d+:/);
  });
});

describe('a signed revocation list', () => {
  test('verifies, and says its number and when it was made', () => {
    const nowMs = Date.now();
    const list = createSignedKrl({
      number: 7,
      sections: [{ ca: ca.blob, entries: [{ serial: '3' }] }],
      nowMs,
      sign: identity.sign,
    });
    expect(verifySignedKrl(list, identity.publicKey, 7)).toEqual({ number: 7, generatedAtMs: nowMs });
  });

  test('is refused from another signer, with other bytes, and when it is older', async () => {
    const list = signedList(7, ['3']);
    const verify = (change: Partial<Served>, key = identity.publicKey, last = 0) =>
      codeOf((async () => verifySignedKrl({ ...list, ...change }, key, last))());
    expect(await verify({})).toBe('done');
    expect(await verify({}, createSigner().publicKey)).toBe('corrupt_file');
    expect(await verify({ krl: signedList(7, ['4']).krl })).toBe('corrupt_file');
    expect(await verify({ signature: list.signature.replace('number 7', 'number 8') })).toBe('corrupt_file');
    expect(await verify({ signature: `${list.signature}\n` })).toBe('corrupt_file');
    expect(await verify({ signature: '' })).toBe('corrupt_file');
    expect(await verify({}, identity.publicKey, 8)).toBe('conflict');
  });

  test.each(['', '0', '-1', '1.5', 'x', '1'.repeat(30)])('holds no serial %j', async (serial) => {
    expect(await codeOf((async () => signedList(1, [serial]))())).toBe('invalid_request');
  });
});
