// A real Redis of a test's own, on free loopback ports, with TLS and without: an ACL file, a password for the default user.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from './machine-parts.ts';
import { requirePart } from './parts.ts';
import { startProcess, type TestProcess } from './process.ts';
import { makeServerCertificate } from './server-certificate.ts';
import { freePort, tempDir } from './temp.ts';

export interface TestRedis {
  host: string;
  port: number;
  /** Without TLS, for what stands between. */
  plainPort: number;
  /** PEM of the CA that signed the server's certificate; the certificate names localhost and 127.0.0.1. */
  caFile: string;
  /** The default user's. */
  password: string;
  aclFile: string;
  configFile: string;
  log(): string;
  /** redis-cli as the default user, or as another; `input` are lines for its standard input. */
  cli(words: readonly string[], options?: RedisCliOptions): Promise<RedisCliResult>;
  /** The same, with the answer alone; throws what Redis complains about. */
  admin(...words: string[]): Promise<string>;
  /** A redis-cli that stays: commands are written to it, answers read from it. */
  open(user: string, password: string): TestProcess;
  /** Kills it on the spot, or lets it end. */
  stop(how?: 'crash' | 'shutdown'): Promise<void>;
  /** Starts it again, on the same port with the same files. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
}

export interface RedisCliOptions {
  user?: string;
  password?: string;
  input?: string;
}

export interface RedisCliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Without an ACL file the password is in the configuration, as on a server that was never touched. */
export async function startRedis({ aclFile = true } = {}): Promise<TestRedis> {
  requirePart('redis');
  const folder = tempDir();
  const tls = await makeServerCertificate();
  const password = randomBytes(12).toString('hex');
  const file = (name: string) => join(folder, name);
  writeFileSync(file('ca.pem'), tls.ca);
  writeFileSync(file('server.crt'), tls.certificate);
  writeFileSync(file('server.key'), tls.key, { mode: 0o600 });
  if (aclFile) writeFileSync(file('users.acl'), `user default on >${password} ~* &* +@all\n`);
  let [port, plainPort] = [await freePort(), await freePort()];
  const configure = () =>
    writeFileSync(
      file('redis.conf'),
      [
        `port ${plainPort}`,
        `tls-port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        aclFile ? `aclfile ${file('users.acl')}` : `requirepass ${password}`,
        'save ""',
        `tls-cert-file ${file('server.crt')}`,
        `tls-key-file ${file('server.key')}`,
        `tls-ca-cert-file ${file('ca.pem')}`,
        'tls-auth-clients no',
        '',
      ].join('\n'),
    );
  const program = findCommand('redis-server') ?? '';
  let server = await launch(false);

  async function launch(fixedPort: boolean): Promise<TestProcess> {
    for (let attempt = 1; ; attempt++) {
      // What a test has made of it stays.
      if (!fixedPort) configure();
      const started = startProcess(program, [file('redis.conf')], { cwd: folder, input: '' });
      const ready = await started.waitForOutput('Ready to accept connections').then(
        () => true,
        () => false,
      );
      if (ready) return started;
      // Between finding a free port and binding it another process can take it.
      if (!started.output().includes('Address already in use') || attempt === 5)
        throw new Error(`Redis did not start:\n${started.output()}`);
      if (!fixedPort) [port, plainPort] = [await freePort(), await freePort()];
    }
  }

  const options = () => ['-h', 'localhost', '-p', String(port), '--tls', '--cacert', file('ca.pem')];
  function start(
    words: readonly string[],
    { user = 'default', password: secret = password, input }: RedisCliOptions,
  ) {
    const args = [...options(), '--user', user, '--no-auth-warning', '-e', ...words];
    const env = { PATH: '/usr/bin:/bin', REDISCLI_AUTH: secret };
    return startProcess('redis-cli', args, { env, input });
  }

  const redis: TestRedis = {
    host: 'localhost',
    get port() {
      return port;
    },
    get plainPort() {
      return plainPort;
    },
    caFile: file('ca.pem'),
    password,
    aclFile: file('users.acl'),
    configFile: file('redis.conf'),
    log: () => server.output(),
    async cli(words, more = {}) {
      const child = start(words, { input: '', ...more });
      const { code } = await child.ended;
      return { code, stdout: child.stdout(), stderr: child.stderr() };
    },
    async admin(...words) {
      const { code, stdout, stderr } = await redis.cli(words);
      if (code !== 0) throw new Error(`${words.join(' ')}: ${stdout}${stderr}`);
      return stdout.trimEnd();
    },
    open: (user, secret) => {
      const args = [...options(), '--user', user, '--no-auth-warning'];
      return startProcess('redis-cli', args, { env: { PATH: '/usr/bin:/bin', REDISCLI_AUTH: secret } });
    },
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
  return redis;
}
