// An SSH target: a real sshd that trusts the CA, and a revocation list that reaches it as soon as it is written.
import { generateKeyPairSync, sign } from 'node:crypto';
import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resource, SshRole, SshSettings } from '../../src/catalogue/types.ts';
import type { Issued } from '../../src/issuers/issuer.ts';
import { buildKrl } from '../../src/issuers/krl.ts';
import type { Revocations } from '../../src/issuers/revocations.ts';
import { createSshIssuer, type SshIssuerOptions } from '../../src/issuers/ssh.ts';
import { createSshProbe } from '../../src/issuers/ssh-probe.ts';
import { formatOpenSshPrivateKey } from '../../src/protocol/ssh-key.ts';
import { formatSshPublicKey, sshPublicKeyBlob } from '../../src/protocol/ssh-wire.ts';
import { startProcess } from '../support/process.ts';
import { SSH_LOGIN, startSshd, type TestSshd } from '../support/sshd.ts';
import { tempDir } from '../support/temp.ts';
import type { Device, World } from './contract.ts';

export interface SshWorld extends World {
  sshd: TestSshd;
  settings: SshSettings;
  revocations: TestRevocations;
  options: SshIssuerOptions;
  createDevice(): SshDevice;
}

export interface SshDevice extends Device {
  /** Runs a command at the first host, as any user's ssh would. */
  run(issued: Issued, command?: string): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

export interface TestRevocations extends Revocations {
  number: number;
  entries: { serial: string; expiresAt: number }[];
  /** Whether hosts get the list; true at first. */
  published: boolean;
}

export const ca = createSigner();
export const identity = createSigner();

export function createSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privateKey,
    publicKey,
    blob: sshPublicKeyBlob(publicKey),
    sign: (bytes: Uint8Array) => sign(null, bytes, privateKey),
  };
}

export function createRevocations(krlFile: string): TestRevocations {
  const list: TestRevocations = {
    number: 0,
    entries: [],
    published: true,
    async revoke({ serial, expiresAtMs }) {
      if (list.entries.every((entry) => entry.serial !== serial)) {
        list.entries.push({ serial, expiresAt: expiresAtMs });
        list.number += 1;
      }
      if (list.published) writeKrl(krlFile, list);
      return list.number;
    },
  };
  writeKrl(krlFile, list);
  return list;
}

export function writeKrl(
  file: string,
  { number, entries }: Pick<TestRevocations, 'number' | 'entries'>,
): void {
  writeFileSync(`${file}.new`, buildKrl({ number, sections: [{ ca: ca.blob, entries }], nowMs: Date.now() }));
  chmodSync(`${file}.new`, 0o644);
  renameSync(`${file}.new`, file);
}

export const ROLES: Record<string, Partial<SshRole>> = {
  shell: {},
  status: { forceCommand: 'echo forced' },
  near: { sourceAddress: '127.0.0.0/8' },
  far: { sourceAddress: '203.0.113.0/24' },
};

export async function startSshWorld(change: Partial<SshIssuerOptions> = {}): Promise<SshWorld> {
  const folder = tempDir({ mode: 0o755 });
  const krlFile = join(folder, 'krl');
  const revocations = createRevocations(krlFile);
  const sshd = await startSshd({
    trustedUserCaKeys: formatSshPublicKey(ca.blob),
    authorizedPrincipals: { [SSH_LOGIN]: Object.keys(ROLES).map((role) => `oncall:web:${role}`) },
    revokedKeysFile: krlFile,
  });
  const roles = Object.entries(ROLES).map(([name, role]): [string, SshRole] => [
    name,
    { login: sshd.login, forceCommand: undefined, sourceAddress: undefined, description: undefined, ...role },
  ]);
  const [type, key] = sshd.hostPublicKey.split(' ');
  const settings: SshSettings = {
    kind: 'ssh',
    hosts: [{ name: 'web1', host: sshd.host, port: sshd.port, hostKeys: [`${type} ${key}`] }],
    hostCa: undefined,
    roles: new Map(roles),
  };
  const options: SshIssuerOptions = {
    ca: { publicKey: ca.blob, sign: ca.sign },
    revocations,
    probe: createSshProbe(),
    publicUrl: 'https://broker.example:7443/',
    identityKey: identity.privateKey,
    revocationWaitMs: 5_000,
    now: Date.now,
    ...change,
  };
  return {
    issuer: createSshIssuer(options),
    options,
    resource: sshResource(settings),
    role: 'shell',
    createDevice,
    sshd,
    settings,
    revocations,
  };
}

export function sshResource(target: SshSettings): Resource {
  return {
    id: 'web',
    description: undefined,
    service: 'web',
    environment: 'production',
    sensitivity: 'medium',
    defaultRole: 'shell',
    roles: [...target.roles.keys()],
    session: { defaultSeconds: 7200, maxSeconds: 14_400, maxExtensions: 2 },
    credentialSeconds: 300,
    phase: 1,
    breakGlass: undefined,
    canary: false,
    target,
  };
}

function createDevice(): SshDevice {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const device: SshDevice = {
    material: { kind: 'ssh', publicKey: formatSshPublicKey(publicKey) },
    run: (issued, command) => runSsh(issued, formatOpenSshPrivateKey(privateKey), command),
    login: async (issued) => (await device.run(issued)).code === 0,
  };
  return device;
}

async function runSsh({ publicPart }: Issued, privateKey: string, command = 'true') {
  if (publicPart.kind !== 'ssh') throw new Error('not an ssh login');
  const dir = tempDir();
  const [host] = publicPart.hosts;
  writeFileSync(join(dir, 'id'), privateKey, { mode: 0o600 });
  writeFileSync(join(dir, 'id-cert.pub'), `${publicPart.certificate}\n`);
  writeFileSync(join(dir, 'known_hosts'), `${publicPart.knownHosts.join('\n')}\n`);
  const options = ['StrictHostKeyChecking=yes', 'BatchMode=yes', 'IdentitiesOnly=yes', 'IdentityAgent=none'];
  options.push(`UserKnownHostsFile=${join(dir, 'known_hosts')}`, 'GlobalKnownHostsFile=/dev/null');
  const ssh = startProcess(
    'ssh',
    [
      ...['-F', '/dev/null', '-i', join(dir, 'id'), '-p', String(host!.port), '-l', publicPart.login],
      ...options.flatMap((option) => ['-o', option]),
      ...[host!.host, command],
    ],
    { input: '' },
  );
  const { code } = await ssh.ended;
  return { code, stdout: ssh.stdout().trim(), stderr: ssh.stderr() };
}
