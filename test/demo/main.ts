// `npm run demo`: the main job on real parts, through the spawned command line and the real HTTP broker. Answers no
// question, needs no service, leaves nothing behind; `--keep` leaves it running and says what to try next.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import chalk from 'chalk';
import pg from 'pg';
import { findFreePort, type PostgresServer, postgresUrl, startPostgres } from '../support/postgres-server.ts';
import { demoCatalogue, TARGET_SQL } from './setting.ts';

const ONCALL = resolve('bin/oncall');
const keep = process.argv.includes('--keep');
const paint = chalk;

interface Outcome {
  code: number;
  output: string;
}

/** What must be ended, last first. */
const endings: (() => Promise<void> | void)[] = [];
let folder = '';

async function main(): Promise<void> {
  say('oncall demo: a real broker, a real PostgreSQL, a real device key');
  // Below /tmp, where the account that PostgreSQL runs under may go.
  folder = mkdtempSync(join(process.getuid?.() === 0 ? '/tmp' : tmpdir(), 'oncall-demo-'));
  endings.push(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o711);

  step('a PostgreSQL as db-replica, with the roles that `oncall broker target db-replica` prints');
  const postgres = await startPostgres({ folder });
  endings.push(() => postgres.stop());
  await prepareTarget(postgres);

  step('a broker of our own: `oncall broker init`, then `serve`');
  const broker = join(folder, 'broker');
  const port = await findFreePort();
  await oncall(
    'operator',
    [
      'broker',
      'init',
      broker,
      '--admin',
      'dora',
      '--public-url',
      `https://localhost:${port}`,
      '--listen',
      `127.0.0.1:${port}`,
    ],
    { quiet: true },
  );
  mkdirSync(join(broker, 'secrets'), { mode: 0o700 });
  writeFileSync(join(broker, 'secrets', 'db-replica'), BROKER_PASSWORD, { mode: 0o600 });
  writeFileSync(join(broker, 'catalogue.yaml'), demoCatalogue(postgres), { mode: 0o600 });
  await oncall('operator', ['broker', 'check', broker]);
  await serve(broker, `https://localhost:${port}`);

  step('two people enrol: ana, who is on call, and dora, who will declare the incident');
  for (const person of ['dora', 'ana']) await enroll(broker, person);

  step('dora declares the incident; ana, on call, requests access: decided by policy, in milliseconds');
  await oncall('dora', [
    'incident',
    'declare',
    'P1-123',
    '--service',
    'orders',
    '--priority',
    'P1',
    '--title',
    'orders are slow',
  ]);
  await oncall('ana', ['request', 'db-replica', '--incident', 'P1-123']);

  step('a query as a role that did not exist a minute ago');
  const client = queryClient();
  await oncall('ana', [
    'run',
    'db-replica',
    '--',
    ...client.command,
    "select current_user, count(*) || ' orders' from orders",
  ]);
  const login = await loginOf();
  await oncall('ana', ['status']);

  step('renewed: the same login, a later end');
  await oncall('ana', ['renew', 'db-replica']);

  step('released: the login is refused from now on, and that is proven');
  await oncall('ana', ['release', 'db-replica']);
  await expectRefused(postgres, login);

  step('the audit log, exported and verified offline');
  await oncall('dora', ['audit', 'export', '-f', join(folder, 'audit.jsonl')]);
  await oncall('dora', ['audit', 'verify', join(folder, 'audit.jsonl')]);

  if (keep) return tellWhatIsLeft(broker);
  await end();
  say('done: nothing is left running, nothing is left on disk');
}

const BROKER_PASSWORD = `demo-${Math.random().toString(36).slice(2)}`;

async function prepareTarget(postgres: PostgresServer): Promise<void> {
  const admin = new pg.Client({ connectionString: postgresUrl(postgres, 'postgres') });
  await admin.connect();
  await admin.query('CREATE DATABASE orders');
  await admin.end();
  const orders = new pg.Client({ connectionString: postgresUrl(postgres, 'orders') });
  await orders.connect();
  await orders.query(TARGET_SQL(BROKER_PASSWORD));
  await orders.end();
}

async function serve(broker: string, url: string): Promise<void> {
  show(['broker', 'serve', broker]);
  const log: string[] = [];
  const child = spawn(process.execPath, [ONCALL, 'broker', 'serve', broker], {
    env: envOf('operator'),
    stdio: 'pipe',
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => log.push(text));
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  endings.push(async () => {
    child.kill('SIGTERM');
    await gone;
  });
  const started = Date.now();
  while (!log.join('').includes('"serving"')) {
    if (child.exitCode !== null || Date.now() - started > 20_000)
      throw new Error(`the broker did not start:\n${log.join('')}`);
    await new Promise((done) => setTimeout(done, 20));
  }
  detail(`serving at ${url}`);
}

/** With the keychain where there is one; where there is none, says so and uses a file. */
async function enroll(broker: string, person: string): Promise<void> {
  const invited = await oncall('operator', ['broker', 'invite', person, '--dir', broker, '--json'], {
    quiet: true,
  });
  const { url } = JSON.parse(invited.output) as { url: string };
  const shown = ['enroll', `${url.slice(0, url.indexOf('#') + 6)}…`];
  const inKeychain = await oncall(person, ['enroll', url, '--keystore', 'keychain'], {
    quiet: true,
    mayFail: true,
  });
  if (inKeychain.code === 0) {
    show(shown, person);
    // The keychain is the user's own: what the demo put there must not stay.
    endings.push(() => revokeDevice(person));
    return;
  }
  show([...shown, '--keystore', 'file'], person);
  if (person === 'dora') detail(`no keychain here (exit ${inKeychain.code}): the demo keeps keys in a file`);
  await oncall(person, ['enroll', url, '--keystore', 'file'], { quiet: true });
}

async function revokeDevice(person: string): Promise<void> {
  const { output } = await oncall(person, ['whoami', '--json'], { quiet: true });
  const { device } = JSON.parse(output) as { device: { id: string } };
  await oncall(person, ['devices', 'revoke', device.id], { quiet: true });
}

function queryClient(): { command: string[] } {
  const psql = (process.env.PATH ?? '')
    .split(delimiter)
    .map((path) => join(path, 'psql'))
    .find(existsSync);
  return { command: psql ? ['psql', '-XAtc'] : [process.execPath, resolve('dist/test/query.js')] };
}

/** The very login that `run` used: user and password, to be tried again after release. */
async function loginOf(): Promise<{ user: string; password: string }> {
  const { output } = await oncall('ana', ['credential', 'db-replica', '--format', 'json'], { quiet: true });
  return JSON.parse(output) as { user: string; password: string };
}

async function expectRefused(
  postgres: PostgresServer,
  { user, password }: { user: string; password: string },
): Promise<void> {
  const client = new pg.Client({
    connectionString: postgresUrl({ ...postgres, port: postgres.port, user, password }, 'orders'),
    ssl: { ca: readFileSync(postgres.caFile, 'utf8') },
  });
  const refusal = await client.connect().then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (refusal === undefined) throw new Error('the login still works');
  detail(`the same user and password again: ${refusal}`);
}

function tellWhatIsLeft(broker: string): void {
  say('it stays running; try these, and end it with Ctrl-C:');
  const env = `ONCALL_HOME=${join(folder, 'home', 'ana')}`;
  for (const line of [
    `${env} ${ONCALL} request db-replica:write -i P1-123 -r 'fix the index' --no-wait`,
    `${env} ${ONCALL} explain db-replica:write -i P1-123`,
    `${env} ${ONCALL} status --watch`,
    `${ONCALL} broker target db-replica --check --dir ${broker}`,
  ]) {
    process.stdout.write(`  ${line}\n`);
  }
  setInterval(() => undefined, 60_000);
}

function envOf(person: string): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _unused, ...env } = process.env;
  return {
    ...env,
    ONCALL_HOME: join(folder, 'home', person),
    ...(process.stdout.isTTY && { FORCE_COLOR: '1' }),
  };
}

async function oncall(
  person: string,
  args: string[],
  { quiet = false, mayFail = false }: { quiet?: boolean; mayFail?: boolean } = {},
): Promise<Outcome> {
  if (!quiet) show(args, person);
  const child = spawn(process.execPath, [ONCALL, ...args], {
    env: envOf(person),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let problems = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    problems += text;
  });
  const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? 1)));
  if (!quiet) process.stdout.write(indent(output + problems));
  if (code !== 0 && !mayFail)
    throw new Error(`oncall ${args.join(' ')} ended with ${code}:\n${output}${problems}`);
  return { code, output };
}

function say(text: string): void {
  process.stdout.write(`${paint.bold(text)}\n`);
}

function step(text: string): void {
  process.stdout.write(`\n${paint.cyan('──')} ${paint.bold(text)}\n`);
}

function show(args: string[], person = ''): void {
  const prompt = person === '' || person === 'operator' ? '$' : `${person} $`;
  const words = args.map((arg) =>
    /^[\w@%+=:,./…-]+$/.test(arg) ? arg : arg.includes("'") ? `"${arg}"` : `'${arg}'`,
  );
  process.stdout.write(`   ${paint.dim(prompt)} oncall ${words.join(' ').replaceAll(folder, '…')}\n`);
}

function detail(text: string): void {
  process.stdout.write(`     ${text}\n`);
}

function indent(text: string): string {
  return text.replaceAll(folder, '…').replace(/^(?=.)/gm, '     ');
}

async function end(): Promise<void> {
  for (const ending of endings.splice(0).reverse()) await ending();
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void end().finally(() => process.exit(130)));
}
main().catch(async (error: Error) => {
  process.stderr.write(`${error.stack ?? error.message}\n`);
  await end();
  process.exit(1);
});
