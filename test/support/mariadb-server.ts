// A real MariaDB of a test's own, on a free loopback port: TLS on, a binary log, event scheduler on, and a time zone that is
// not UTC, as a server's may be. The administrator comes in by the socket.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from './machine-parts.ts';
import { requirePart } from './parts.ts';
import { startProcess, type TestProcess } from './process.ts';
import { makeServerCertificate } from './server-certificate.ts';
import { freePort, tempDir } from './temp.ts';

export interface TestMariadb {
  host: string;
  port: number;
  /** PEM of the CA that signed the server's certificate; the certificate names localhost and 127.0.0.1. */
  caFile: string;
  socket: string;
  log(): string;
  /** Runs a script as the administrator, as one would paste it; gives what it printed, tab-separated without heads. */
  admin(sql: string): Promise<string>;
  /** The `mariadb` client for another login, over TLS. */
  client(login: MariadbLogin, sql: string): Promise<MariadbResult>;
  /** The same, staying: statements are written to it. */
  open(login: MariadbLogin): TestProcess;
  stop(how?: 'crash' | 'shutdown'): Promise<void>;
  /** Starts it again, on the same port with the same data. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
}

export interface MariadbLogin {
  user: string;
  password: string;
  /** Off: to see that the server refuses it. */
  tls?: boolean;
}

export interface MariadbResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

const ROOT = process.getuid?.() === 0 ? ['--user=root'] : [];

export async function startMariadb(): Promise<TestMariadb> {
  requirePart('mariadb');
  const folder = tempDir();
  const file = (name: string) => join(folder, name);
  const tls = await makeServerCertificate();
  writeFileSync(file('ca.pem'), tls.ca);
  writeFileSync(file('server.crt'), tls.certificate);
  writeFileSync(file('server.key'), tls.key, { mode: 0o600 });
  // At its start a server removes the temporary tables of any other that shares the folder with it.
  mkdirSync(file('tmp'));
  const where = ['--no-defaults', `--datadir=${file('data')}`, `--tmpdir=${file('tmp')}`, ...ROOT];
  const install = startProcess(
    'mariadb-install-db',
    [...where, '--auth-root-authentication-method=normal', '--skip-test-db'],
    { input: '' },
  );
  if ((await install.ended).code !== 0) throw new Error(`mariadb-install-db failed:\n${install.output()}`);
  const program = findCommand('mariadbd') ?? '';
  let port = await freePort();
  let server = await launch(false);

  async function launch(fixedPort: boolean): Promise<TestProcess> {
    for (let attempt = 1; ; attempt++) {
      const settings = {
        port,
        'bind-address': '127.0.0.1',
        socket: file('s'),
        'pid-file': file('pid'),
        'ssl-ca': file('ca.pem'),
        'ssl-cert': file('server.crt'),
        'ssl-key': file('server.key'),
        'innodb-buffer-pool-size': '32M',
        'default-time-zone': '+05:00',
        'log-bin': file('binlog'),
        'event-scheduler': 'ON',
        // Or whoever may write triggers would have to be an administrator, with a binary log.
        'log-bin-trust-function-creators': 'ON',
      };
      const options = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
      const started = startProcess(program, [...where, ...options], { input: '' });
      const ready = await started.waitForOutput('ready for connections', { timeoutMs: 30_000 }).then(
        () => true,
        () => false,
      );
      if (ready) return started;
      // Between finding a free port and binding it another process can take it.
      if (!started.output().includes('Address already in use') || attempt === 5)
        throw new Error(`MariaDB did not start:\n${started.output()}`);
      if (!fixedPort) port = await freePort();
    }
  }

  function clientOf({ user, password, tls: secure = true }: MariadbLogin, input?: string): TestProcess {
    const ssl = secure ? ['--ssl', `--ssl-ca=${file('ca.pem')}`, '--ssl-verify-server-cert'] : ['--skip-ssl'];
    const address = ['-h', 'localhost', '--protocol=tcp', '-P', String(port), '-u', user];
    const args = ['--no-defaults', '-BN', '--unbuffered', ...address, ...ssl];
    const env = { PATH: '/usr/bin:/bin', MYSQL_PWD: password };
    return startProcess('mariadb', args, input === undefined ? { env } : { env, input });
  }

  return {
    host: 'localhost',
    get port() {
      return port;
    },
    caFile: file('ca.pem'),
    socket: file('s'),
    log: () => server.output(),
    async admin(sql) {
      const args = ['--no-defaults', '-BN', '--default-character-set=utf8mb4', '-u', 'root', '-S', file('s')];
      const child = startProcess('mariadb', args, { input: `${sql}\n` });
      const { code } = await child.ended;
      if (code !== 0) throw new Error(`${child.stderr()}\n${sql.slice(0, 200)}`);
      return child.stdout().trimEnd();
    },
    async client(login, sql) {
      const child = clientOf(login, `${sql}\n`);
      const { code } = await child.ended;
      return { code, stdout: child.stdout(), stderr: child.stderr() };
    },
    open: (login) => clientOf(login),
    async stop(how = 'crash') {
      if (how === 'crash') await server.stop();
      else server.kill('SIGTERM');
      await server.ended;
    },
    async start() {
      server = await launch(true);
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
  };
}
