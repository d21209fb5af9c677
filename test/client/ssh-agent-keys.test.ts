// Certificates in a real ssh-agent: there while they live, out when they are let go, gone by themselves in any case.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { HeldCredential } from '../../src/client/credentials.ts';
import { wipeSessionFiles, writeSessionFiles } from '../../src/client/session-files.ts';
import { loadIntoAgent } from '../../src/client/ssh-agent-keys.ts';
import { agentRecord, beginToolFiles, followSession } from '../../src/client/tool-files.ts';
import { formatOpenSshPrivateKey, readOpenSshPrivateKey } from '../../src/protocol/ssh-key.ts';
import { formatSshPublicKey } from '../../src/protocol/ssh-wire.ts';
import { atEnd } from '../support/at-end.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { failureOf, GRANT_ID, type TestContext, testContext } from './fixture.ts';

let socket: string;

/** A certificate of a CA of ours, as the broker would send it. */
function credential(lifeSeconds: number): HeldCredential {
  const folder = tempDir();
  const pair = generateKeyPairSync('ed25519');
  const publicKey = formatSshPublicKey(pair.publicKey);
  writeFileSync(join(folder, 'key.pub'), publicKey);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'ca')]);
  execFileSync('ssh-keygen', [
    '-q',
    '-s',
    join(folder, 'ca'),
    '-I',
    'ana',
    '-n',
    'ops',
    join(folder, 'key.pub'),
  ]);
  return {
    grantId: GRANT_ID,
    credentialId: 'cr_1',
    target: { resource: 'web', role: 'admin' },
    handle: 'ana',
    secret: { kind: 'ssh', privateKey: formatOpenSshPrivateKey(pair.privateKey), publicKey },
    publicPart: {
      kind: 'ssh',
      certificate: readFileSync(join(folder, 'key-cert.pub'), 'utf8'),
      login: 'ops',
      hosts: [{ name: 'web-1', host: '10.0.0.1', port: 22 }],
      knownHosts: [],
    },
    lifeSeconds,
    receivedAtMs: Date.now(),
    expiresAt: new Date(Date.now() + lifeSeconds * 1000).toISOString(),
  };
}

function keysInAgent(): string {
  try {
    return execFileSync('ssh-add', ['-L'], {
      env: { PATH: process.env.PATH, SSH_AUTH_SOCK: socket },
      stdio: 'pipe',
    }).toString();
  } catch (error) {
    return String((error as { stdout: Buffer }).stdout);
  }
}

async function loading(env: Record<string, string> = { SSH_AUTH_SOCK: socket }): Promise<TestContext> {
  const context = testContext({ env });
  await beginToolFiles(context.paths);
  await loadIntoAgent(context, true);
  return context;
}

async function hold(context: TestContext, held: HeldCredential): Promise<void> {
  await writeSessionFiles(context.paths, [held]);
  await followSession(context, [held]);
}

const blobOf = ({ publicPart }: HeldCredential) =>
  (publicPart as { certificate: string }).certificate.split(' ')[1] ?? 'none';

describe.skipIf(!part('sshd'))("in the person's ssh-agent", () => {
  beforeEach(async () => {
    socket = join(tempDir(), 'agent');
    const agent = startProcess('ssh-agent', ['-D', '-a', socket]);
    await agent.waitForOutput('SSH_AUTH_SOCK');
  });

  test('a certificate is while it is held, and under its own name', async () => {
    const context = await loading();
    const held = credential(600);
    await hold(context, held);
    expect(keysInAgent()).toMatch(/^ssh-ed25519-cert-v01@openssh.com \S+ oncall web:admin\n$/);
    expect(keysInAgent()).toContain(blobOf(held));
    await wipeSessionFiles(context.paths, GRANT_ID);
    await followSession(context);
    expect(keysInAgent()).not.toContain('ssh-ed25519');
    expect(context.warnings).toEqual([]);
  });

  test('a renewed one takes the place of the one before', async () => {
    const context = await loading();
    const [first, second] = [credential(600), credential(600)];
    for (const held of [first, first, second]) await hold(context, held);
    expect(keysInAgent()).toContain(blobOf(second));
    expect(keysInAgent()).not.toContain(blobOf(first));
  });

  test('one that nobody takes out is forgotten at the end of its life', async () => {
    const context = await loading();
    await hold(context, credential(2));
    expect(keysInAgent()).toContain('oncall web:admin');
    await waitFor(() => !keysInAgent().includes('oncall web:admin'), {
      what: 'the end of its life',
      timeoutMs: 20_000,
    });
    // And one that has none left does not go in.
    await hold(context, { ...credential(60), receivedAtMs: Date.now() - 60_000 });
    expect(keysInAgent()).not.toContain('oncall');
  });

  test('nothing is unless somebody wants it, nor after they no longer do', async () => {
    const context = testContext({ env: { SSH_AUTH_SOCK: socket } });
    await beginToolFiles(context.paths);
    await hold(context, credential(600));
    expect(keysInAgent()).not.toContain('oncall');
    await loadIntoAgent(context, true);
    await hold(context, credential(600));
    expect(keysInAgent()).toContain('oncall');
    await loadIntoAgent(context, false);
    expect(keysInAgent()).not.toContain('oncall');
    await hold(context, credential(600));
    expect(keysInAgent()).not.toContain('oncall');
  });

  test('keys of the person stay what they are', async () => {
    const own = join(tempDir(), 'own');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'mine', '-f', own]);
    execFileSync('ssh-add', ['-q', own], {
      env: { PATH: process.env.PATH, SSH_AUTH_SOCK: socket },
      stdio: 'ignore',
    });
    const context = await loading();
    await hold(context, credential(600));
    await loadIntoAgent(context, false);
    expect(keysInAgent()).toMatch(/ mine\n$/);
  });

  test('the record of what is there holds no secret', async () => {
    const context = await loading();
    const held = credential(600);
    await hold(context, held);
    const record = readFileSync(agentRecord(context.paths), 'utf8');
    expect(record).toContain(blobOf(held));
    expect(record).not.toContain('PRIVATE');
  });
});

describe.skipIf(!part('sshd'))('where the agent', () => {
  test('is not there, access goes on without a word', async () => {
    const context = await loading({});
    await hold(context, credential(600));
    expect(context.warnings).toEqual([]);
  });

  test('has gone away, or sends nonsense, access goes on with a warning', async () => {
    const folder = tempDir();
    mkdirSync(join(folder, 'x'));
    rmSync(join(folder, 'x'), { recursive: true });
    const gone = await loading({ SSH_AUTH_SOCK: join(folder, 'x') });
    await hold(gone, credential(600));
    expect(gone.warnings).toHaveLength(1);
    const server = createServer((connection) => connection.end(Buffer.from('ffffffff06', 'hex')));
    atEnd(() => void server.close());
    await new Promise<void>((resolve) => server.listen(join(folder, 's'), resolve));
    const strange = await loading({ SSH_AUTH_SOCK: join(folder, 's') });
    await hold(strange, credential(600));
    expect(strange.warnings).toHaveLength(1);
  });
});

test('a private key is read as it was written, and nothing else is', async () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  const read = readOpenSshPrivateKey(formatOpenSshPrivateKey(privateKey, 'a comment'));
  expect(read.publicKey.toString('base64url')).toBe(x);
  expect(read.privateKey.subarray(0, 32).toString('base64url')).toBe(d);
  const pkcs8 = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  for (const other of ['', pkcs8, 'x']) {
    expect(await failureOf(() => readOpenSshPrivateKey(other))).toMatchObject({ code: 'invalid_request' });
  }
});
