// A real sshd of a test's own, in the foreground on a free loopback port, with a host key made for it.
//
// As root it lets in the account that the global set-up makes; otherwise only the account that runs the tests. StrictModes
// is off: it refuses what lies below a directory as open as /tmp. Nothing lets in but what the options name.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { findCommand, TEST_LOGIN } from './machine-parts.ts';
import { requirePart } from './parts.ts';
import { startProcess, type TestProcess } from './process.ts';
import { freePort, tempDir, waitFor } from './temp.ts';

export interface SshdOptions {
  /** Public keys, one a line, that sign user certificates. */
  trustedUserCaKeys?: string;
  /** For each login the principals that may use it; without this a certificate must name the login itself. */
  authorizedPrincipals?: Readonly<Record<string, readonly string[]>>;
  /** Plain public keys that may log in as anybody here. */
  authorizedKeys?: readonly string[];
  /** A KRL or a list of keys; it must exist, or sshd refuses everyone. */
  revokedKeysFile?: string;
  /** Makes a certificate out of the host key's public line. */
  hostCertificate?: (hostPublicKey: string) => string | Promise<string>;
  /** Lines of sshd_config; they come first, and in sshd_config the first value of a keyword counts. */
  extraConfig?: string;
  /** Command and arguments that start it in another place, where it logs to syslog: then `log()` is empty. */
  inside?: readonly string[];
}

export interface TestSshd {
  host: string;
  port: number;
  /** The account to log in to. */
  login: string;
  /** `ssh-ed25519 AAAA… name`. */
  hostPublicKey: string;
  /** A known_hosts line for it. */
  knownHosts: string;
  /** Everything of the server lies here. */
  dir: string;
  configFile: string;
  /** One file a login, one principal a line; read again at each login. Exists if `authorizedPrincipals` was given. */
  principalsDir: string;
  log(): string;
  /** Ends the server and every session in it. */
  stop(): Promise<void>;
  /** Freezes it, sessions included. */
  pause(): void;
  resume(): void;
}

const ATTEMPTS = 5;

/** The account that the tests' sshd lets in: a key for `authorizedPrincipals`, a `login` for a catalogue. */
export const SSH_LOGIN = process.getuid?.() === 0 ? TEST_LOGIN : userInfo().username;

export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  requirePart('sshd');
  // sshd reads authorized keys and principals as the account that logs in: it has to get there.
  const dir = tempDir({ mode: 0o755 });
  const hostKey = join(dir, 'host_key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test-host', '-f', hostKey]);
  const hostPublicKey = readFileSync(`${hostKey}.pub`, 'utf8').trim();
  const lines = await writeFiles(dir, hostPublicKey, options);
  const configFile = join(dir, 'sshd_config');
  const { port, server } = await listen(configFile, lines, options.inside);
  return {
    host: '127.0.0.1',
    port,
    login: SSH_LOGIN,
    hostPublicKey,
    knownHosts: `[127.0.0.1]:${port} ${hostPublicKey}`,
    dir,
    configFile,
    principalsDir: join(dir, 'principals'),
    log: () => server.output(),
    stop: async () => void (await server.stop()),
    pause: () => server.pause(),
    resume: () => server.resume(),
  };
}

/** Writes what sshd reads, and gives the lines of the configuration that name it. */
async function writeFiles(dir: string, hostPublicKey: string, options: SshdOptions): Promise<string[]> {
  const lines = [
    ...(options.extraConfig ?? '').split('\n'),
    'ListenAddress 127.0.0.1',
    `HostKey ${join(dir, 'host_key')}`,
    `PidFile none`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PrintMotd no',
    'LogLevel VERBOSE',
  ];
  function add(keyword: string, name: string, content: string): void {
    writeFileSync(join(dir, name), `${content.trim()}\n`, { mode: 0o644 });
    lines.push(`${keyword} ${join(dir, name)}`);
  }
  if (options.authorizedKeys) add('AuthorizedKeysFile', 'authorized_keys', options.authorizedKeys.join('\n'));
  else lines.push('AuthorizedKeysFile none');
  if (options.trustedUserCaKeys) add('TrustedUserCAKeys', 'user_ca.pub', options.trustedUserCaKeys);
  if (options.revokedKeysFile) lines.push(`RevokedKeys ${options.revokedKeysFile}`);
  if (options.hostCertificate)
    add('HostCertificate', 'host_key-cert.pub', await options.hostCertificate(hostPublicKey));
  if (options.authorizedPrincipals) {
    mkdirSync(join(dir, 'principals'), { mode: 0o755 });
    for (const [login, principals] of Object.entries(options.authorizedPrincipals))
      writeFileSync(join(dir, 'principals', login), principals.map((name) => `${name}\n`).join(''), {
        mode: 0o644,
      });
    lines.push(`AuthorizedPrincipalsFile ${join(dir, 'principals', '%u')}`);
  }
  return lines;
}

async function listen(
  configFile: string,
  lines: readonly string[],
  inside: readonly string[] | undefined,
): Promise<{ port: number; server: TestProcess }> {
  // Its directory for privilege separation, which Debian's service makes at start.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const program = findCommand('sshd') ?? 'sshd';
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    writeFileSync(configFile, `${[`Port ${port}`, ...lines].join('\n')}\n`);
    const [command = program, ...words] = inside
      ? [...inside, program, '-D', '-f', configFile]
      : [program, '-D', '-e', '-f', configFile];
    const server = startProcess(command, words, { input: '' });
    try {
      if (inside === undefined) await server.waitForOutput(`Server listening on 127.0.0.1 port ${port}`);
      else await waitFor(() => answersAt(port), { what: 'sshd to listen' });
      return { port, server };
    } catch (error) {
      // Between finding a free port and binding it another process can take it.
      if (attempt === ATTEMPTS || !server.output().includes('Address already in use')) throw error;
    }
  }
}

function answersAt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
