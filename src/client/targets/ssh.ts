/** `ssh`, `scp` and `sftp`: a key pair made here, a certificate over it, and host blocks of their own. */
import { basename, join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { isName } from '../../protocol/names.ts';
import type { ClientPaths } from '../paths.ts';
import { grantFolder, joinedFile } from '../session-paths.ts';
import type { ClientTarget, Held, KnownTarget, Material, PartOf, SecretOf } from './client-target.ts';
import { plain, plainHost, unsafeValue } from './config-text.ts';

type Part = PartOf<'ssh'>;

const PROGRAMS = ['ssh', 'scp', 'sftp'];

export const SSH: ClientTarget<'ssh'> = {
  prepare() {
    for (const loading of [import('../../protocol/ssh-key.ts'), import('../../protocol/ssh-wire.ts')])
      loading.catch(() => {});
  },

  createMaterial: async () => materialOf(await createSshKey()),

  /** One key a grant: a renewal then changes the certificate alone, and no tool sees a pair that does not match. */
  reuse: materialOf,

  files({ publicPart, secret }, folder) {
    return {
      known_hosts: publicPart.knownHosts.map((line) => `${plain(line)}\n`).join(''),
      key: secret.privateKey,
      'key-cert.pub': `${plain(publicPart.certificate.trim())}\n`,
      ssh_config: publicPart.hosts.map((host) => hostBlock(host, publicPart, folder)).join(''),
    };
  },

  joined: ['ssh_config'],

  toolNames: ({ hosts }) => hosts.map(({ name }) => name),

  toolFiles: ({ paths, known }) => ({ ssh_config: toolConfig(paths, known) }),

  environment: (paths, credentials) => ({ ONCALL_SSH_CONFIG: configFile(paths, credentials) }),

  /** OpenSSH reads its configuration from no environment variable, so `-F` is put in, unless the command has one. */
  adaptCommand([program, ...args], paths, credentials) {
    const isOurs = PROGRAMS.includes(basename(program)) && !args.some((word) => word.startsWith('-F'));
    return isOurs ? [program, '-F', configFile(paths, credentials), ...args] : [program, ...args];
  },

  secretEnvironment: () => ({}),
  formats: { ssh: 'ssh_config' },
  usualFormat: 'ssh',
  tool: ({ hosts }, place) => ['ssh', place ?? hosts[0]?.name ?? 'HOST'],
};

export async function createSshKey(): Promise<SecretOf<'ssh'>> {
  const { generateKeyPairSync } = await import('node:crypto');
  const { formatOpenSshPrivateKey } = await import('../../protocol/ssh-key.ts');
  const { formatSshPublicKey } = await import('../../protocol/ssh-wire.ts');
  const pair = generateKeyPairSync('ed25519');
  const publicKey = formatSshPublicKey(pair.publicKey);
  return { kind: 'ssh', privateKey: formatOpenSshPrivateKey(pair.privateKey), publicKey };
}

/** One alone reads its own file, so that another grant on the same host does not come first. */
function configFile(paths: ClientPaths, credentials: readonly Held<'ssh'>[]): string {
  const [first] = credentials;
  return first !== undefined && credentials.length === 1
    ? join(grantFolder(paths, first.grantId), 'ssh_config')
    : joinedFile(paths, 'ssh_config');
}

function materialOf(secret: SecretOf<'ssh'>): Material<'ssh'> {
  return { material: { kind: 'ssh', publicKey: secret.publicKey }, secretFor: async () => secret };
}

/** ssh_config(5). Nothing of the person's own configuration or agent mixes in; an unknown host key ends the connection. */
function hostBlock(host: Part['hosts'][number], { login }: Part, folder: string): string {
  if (!isName(host.name) || !isName(login)) throw unsafeValue();
  return `Host ${host.name}
  HostName ${plainHost(host.host)}
  Port ${host.port}
  User ${login}
  IdentityFile ${sshPath(join(folder, 'key'))}
  CertificateFile ${sshPath(join(folder, 'key-cert.pub'))}
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  UserKnownHostsFile ${sshPath(join(folder, 'known_hosts'))}
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  UpdateHostKeys no

`;
}

/**
 * What the person's own configuration includes: the host blocks of what is held, and for each host that ever was, words on stderr
 * where it is not held now. No token of ssh's reaches the shell, only names of ours; the host stays what it is without us.
 */
function toolConfig(paths: ClientPaths, known: readonly KnownTarget[]): string {
  const hosts = new Map<string, Set<string>>();
  for (const { names, resource } of known)
    for (const name of names) hosts.set(name, (hosts.get(name) ?? new Set()).add(resource));
  const profile = paths.profile === 'default' ? '' : ` --profile ${paths.profile}`;
  const hints = [...hosts].map(([host, resources]) => {
    const command = `oncall held ${[...resources].join(' ')}${profile}`;
    return `Match originalhost ${host} exec "/bin/sh -c 'command -v oncall >/dev/null && exec ${command}'"\n`;
  });
  return `${includeLine(joinedFile(paths, 'ssh_config'))}\n${hints.join('')}`;
}

/** A pattern to ssh, in which later versions expand tokens too: what is special in either can't be in it. */
export function includeLine(path: string): string {
  if (/[*?[\]"\\%$]/.test(path)) {
    throw new AppError('unsafe_file', `ssh cannot include files under ${path}`, {
      hint: 'set ONCALL_HOME to a folder without quotes, backslashes and * ? [ ] % $',
    });
  }
  return `Include "${plain(path)}"`;
}

/** Quoted, with `%` doubled; a quote, a backslash or `${` can't be written so that every OpenSSH reads it the same. */
function sshPath(path: string): string {
  if (/["\\]|\$\{/.test(path)) {
    throw new AppError('unsafe_file', `ssh cannot read files under ${path}`, {
      hint: 'set ONCALL_HOME to a folder without quotes, backslashes and ${',
    });
  }
  return `"${plain(path).replace(/%/g, '%%')}"`;
}
