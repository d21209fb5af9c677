/**
 * What ssh, psql and other tools read, under the run folder: secret, wiped at the end. Each grant has a folder of its own,
 * complete in itself; beside them lie joined files over all grants, newest first because ssh and libpq take the first match.
 * They are rebuilt from the folders, so a wipe needs no key. Every value comes from outside and is checked before a
 * configuration file sees it.
 */
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { formatTarget, isName } from '../protocol/names.ts';
import { type HeldCredential, type PublicPart, requireGrantId } from './credentials.ts';
import { listNames, readSafeFile, removePath } from './files.ts';
import type { ClientPaths } from './paths.ts';
import { type FileWrite, writeFiles } from './write-files.ts';

type Postgres = Extract<PublicPart, { kind: 'postgres' }>;
type Ssh = Extract<PublicPart, { kind: 'ssh' }>;

/** Joined over all grants, under these names in each grant's folder too. */
const JOINED = ['ssh_config', 'pgpass', 'pg_service.conf'];

export interface SessionPaths {
  /** `-F` for ssh: hosts of all grants. */
  readonly sshConfig: string;
  readonly pgpass: string;
  readonly pgServices: string;
}

export function sessionPaths({ runDir }: ClientPaths): SessionPaths {
  return {
    sshConfig: join(runDir, 'ssh_config'),
    pgpass: join(runDir, 'pgpass'),
    pgServices: join(runDir, 'pg_service.conf'),
  };
}

/** The folder of one grant: `key`, `key-cert.pub`, `known_hosts`, `ssh_config`; or `pgpass`, `pg_service.conf`, `ca.pem`. */
export function grantFolder({ runDir }: ClientPaths, grantId: string): string {
  return join(runDir, 'grants', requireGrantId(grantId));
}

/** Writes what has changed. Throws AppError `unsafe_file`, `disk_full`, and `corrupt_file` for a value no file can hold safely. */
export async function writeSessionFiles(
  paths: ClientPaths,
  credentials: readonly HeldCredential[],
): Promise<void> {
  const files = credentials.flatMap((credential) => {
    const folder = grantFolder(paths, credential.grantId);
    return Object.entries(filesOf(credential, folder)).map(([name, data]) => ({
      path: join(folder, name),
      data,
    }));
  });
  await writeChanged(files);
  await rejoin(paths);
}

/** Fine where there are none. */
export async function wipeSessionFiles(paths: ClientPaths, grantId: string): Promise<void> {
  removePath(grantFolder(paths, grantId));
  await rejoin(paths);
}

/** The grants that have files here. */
export function listSessionGrants(paths: ClientPaths): string[] {
  return listNames(join(paths.runDir, 'grants'));
}

/**
 * What a tool's environment gets for these credentials: for one postgres target the PG* variables, for several
 * PGSERVICEFILE and PGPASSFILE, with services named after the resource and `resource:role`; ONCALL_SSH_CONFIG for ssh. No
 * secret is among them.
 */
export function environmentFor(
  paths: ClientPaths,
  credentials: readonly HeldCredential[],
): Record<string, string> {
  const env: Record<string, string> = {};
  const joined = sessionPaths(paths);
  const postgres = credentials.filter(({ publicPart }) => publicPart.kind === 'postgres');
  const ssh = credentials.filter(({ publicPart }) => publicPart.kind === 'ssh');
  const [database] = postgres;
  if (database?.publicPart.kind === 'postgres') {
    if (postgres.length === 1)
      Object.assign(env, postgresEnvironment(paths, database.grantId, database.publicPart));
    else Object.assign(env, { PGSERVICEFILE: joined.pgServices, PGPASSFILE: joined.pgpass });
  }
  const [host] = ssh;
  if (host !== undefined) {
    // One alone reads its own file, so that another grant on the same host does not come first.
    env.ONCALL_SSH_CONFIG =
      ssh.length === 1 ? join(grantFolder(paths, host.grantId), 'ssh_config') : joined.sshConfig;
  }
  return env;
}

function postgresEnvironment(paths: ClientPaths, grantId: string, part: Postgres): Record<string, string> {
  const folder = grantFolder(paths, grantId);
  const rootCert = rootCertificate(part, folder);
  return {
    PGHOST: part.host,
    PGPORT: String(part.port),
    PGUSER: part.user,
    PGDATABASE: part.database,
    PGPASSFILE: join(folder, 'pgpass'),
    PGSSLMODE: part.sslMode,
    ...(rootCert === undefined ? {} : { PGSSLROOTCERT: rootCert }),
  };
}

function filesOf(credential: HeldCredential, folder: string): Record<string, string> {
  const { publicPart, secret, target } = credential;
  if (publicPart.kind === 'postgres' && secret.kind === 'postgres') {
    const sections = [target.resource, formatTarget(target)];
    return {
      pgpass: pgpassLine(publicPart, secret.password),
      'pg_service.conf': sections.map((name) => serviceSection(name, publicPart, folder)).join(''),
      ...(publicPart.caPem === undefined ? {} : { 'ca.pem': publicPart.caPem }),
    };
  }
  if (publicPart.kind === 'ssh' && secret.kind === 'ssh') {
    return {
      known_hosts: publicPart.knownHosts.map((line) => `${plain(line)}\n`).join(''),
      key: secret.privateKey,
      'key-cert.pub': `${plain(publicPart.certificate.trim())}\n`,
      ssh_config: publicPart.hosts.map((host) => hostBlock(host, publicPart, folder)).join(''),
    };
  }
  throw new AppError('corrupt_file', 'the credential does not fit its secret');
}

/** libpq manual, "The Password File": a backslash before every colon and backslash. */
function pgpassLine({ host, port, database, user }: Postgres, password: string): string {
  const fields = [host, String(port), database, user, password];
  return `${fields.map((field) => plain(field).replace(/[\\:]/g, '\\$&')).join(':')}\n`;
}

/** libpq manual, "The Connection Service File": the value is the rest of the line; there is no quoting. */
function serviceSection(name: string, part: Postgres, folder: string): string {
  const rootCert = rootCertificate(part, folder);
  const settings = {
    host: part.host,
    port: String(part.port),
    dbname: part.database,
    user: part.user,
    passfile: join(folder, 'pgpass'),
    sslmode: part.sslMode,
    ...(rootCert === undefined ? {} : { sslrootcert: rootCert }),
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${plain(value)}`);
  return `[${name}]\n${lines.join('\n')}\n\n`;
}

/** Without a CA of the catalogue's, verify-full means a publicly trusted server (libpq 16 and later). */
function rootCertificate(part: Postgres, folder: string): string | undefined {
  if (part.caPem !== undefined) return join(folder, 'ca.pem');
  return part.sslMode === 'verify-full' ? 'system' : undefined;
}

/** ssh_config(5). Nothing of the person's own configuration or agent mixes in; an unknown host key ends the connection. */
function hostBlock(host: Ssh['hosts'][number], { login }: Ssh, folder: string): string {
  if (!isName(host.name) || !/^[A-Za-z0-9:][A-Za-z0-9._:-]{0,254}$/.test(host.host) || !isName(login)) {
    throw unsafeValue();
  }
  return `Host ${host.name}
  HostName ${host.host}
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

/** Quoted, with `%` doubled; a quote, a backslash or `${` can't be written so that every OpenSSH reads it the same. */
function sshPath(path: string): string {
  if (/["\\]|\$\{/.test(path)) {
    throw new AppError('unsafe_file', `ssh cannot read files under ${path}`, {
      hint: 'set ONCALL_HOME to a folder without quotes, backslashes and ${',
    });
  }
  return `"${plain(path).replace(/%/g, '%%')}"`;
}

/** One line of text. */
function plain(value: string): string {
  if (/[\u0000-\u001f\u007f]/.test(value)) throw unsafeValue();
  return value;
}

function unsafeValue(): AppError {
  return new AppError('corrupt_file', 'the broker sent a value that no configuration file can hold', {
    hint: 'tell who keeps the catalogue',
  });
}

/** Rebuilds the joined files; one that would be empty is removed. */
async function rejoin(paths: ClientPaths): Promise<void> {
  const newestFirst = listSessionGrants(paths).reverse();
  const joined = JOINED.map((name) => {
    const parts = newestFirst.map((id) =>
      readSafeFile(join(paths.runDir, 'grants', id, name), { secret: true }),
    );
    return {
      path: join(paths.runDir, name),
      data: parts.map((part) => part?.toString('utf8') ?? '').join(''),
    };
  });
  for (const { path } of joined.filter(({ data }) => data === '')) removePath(path);
  await writeChanged(joined.filter(({ data }) => data !== ''));
}

/** All of it is made from sealed credentials, by the next command if not by this one: not worth waiting for the disk. */
async function writeChanged(files: readonly FileWrite[]): Promise<void> {
  const changed = files.filter(
    ({ path, data }) => readSafeFile(path, { secret: true })?.toString('utf8') !== data,
  );
  await writeFiles(changed.map((file) => ({ ...file, isCopy: true })));
}
