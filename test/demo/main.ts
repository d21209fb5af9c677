// `npm run demo`: what oncall does, on real parts, through the spawned command line and the real HTTP broker. Answers no
// question, needs no service, leaves nothing behind; `--keep` leaves it running and says what to try next.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startMariadb, startRedis } from '../support/more-servers.ts';
import { admitBreakGlass, playBreakGlass } from './break-glass.ts';
import { startTarget } from './database.ts';
import { type Broker, enroll, startBroker } from './installation.ts';
import { startListeners } from './listeners.ts';
import { playMainJob } from './main-job.ts';
import { playOnCall } from './on-call.ts';
import { demoCatalogue, MORE } from './setting.ts';
import {
  ask,
  atEnd,
  detail,
  endAll,
  homeOf,
  ONCALL,
  OPERATOR,
  oncall,
  openStage,
  say,
  step,
} from './stage.ts';
import { playStayAlive } from './stay-alive.ts';

const NAMES = { mariadb: 'a MariaDB', redis: 'a Redis' };

interface Guide {
  steps: { text: string }[];
}

async function main(): Promise<void> {
  say('oncall demo: a real broker, a real PostgreSQL, a real device key');
  const folder = openStage();
  // Of 32 letters and digits: what MariaDB's key pairs are made of.
  const [password, bearer] = [randomBytes(16).toString('hex'), randomBytes(24).toString('hex')];

  step('a PostgreSQL as db-replica, with the roles that `oncall broker target db-replica` prints');
  const postgres = await startTarget(folder, password);

  const options = { folder, password, atEnd };
  const started = [await startMariadb(options), await startRedis(options)];
  const more = started.filter((server) => server !== undefined);
  if (more.length > 0)
    detail(`and, since they are installed: ${more.map(({ kind }) => NAMES[kind]).join(', ')}`);

  step('a broker of our own: `oncall broker init`, then `serve`');
  const listeners = await startListeners();
  const secrets = {
    ...listeners.secrets,
    'db-replica': password,
    alertmanager: bearer,
    ...Object.fromEntries(more.map(({ kind }) => [MORE[kind].resource, password])),
  };
  const broker = await startBroker(folder, demoCatalogue(postgres, more, listeners.webhookUrl), secrets);
  for (const { kind, bringIn } of more) {
    const target = ['broker', 'target', MORE[kind].resource, '--dir', broker.directory];
    bringIn((await ask<Guide>(OPERATOR, target)).steps.map(({ text }) => text));
  }

  await admitBreakGlass(broker, postgres);

  step('two people enrol: ana, who is on call, and dora, who is not');
  for (const person of ['dora', 'ana']) await enroll(broker, person);

  await playMainJob(postgres);
  await playStayAlive(postgres, more);
  await playOnCall(broker, postgres, bearer);
  await playBreakGlass(broker, listeners.all);

  step('the audit log, exported and verified offline');
  await oncall('dora', ['audit', 'export', '-f', join(folder, 'audit.jsonl')]);
  await oncall('dora', ['audit', 'verify', join(folder, 'audit.jsonl')]);

  if (process.argv.includes('--keep')) return tellWhatIsLeft(broker);
  await endAll();
  say('done: nothing is left running, nothing is left on disk');
}

function tellWhatIsLeft({ directory }: Broker): void {
  say('it stays running; try these, and end it with Ctrl-C:');
  const [ana, dora] = ['ana', 'dora'].map((person) => `ONCALL_HOME=${homeOf(person)} ${ONCALL}`);
  for (const line of [
    `${dora} incident declare P1-124 --service orders --priority P1`,
    `${ana} request db-replica:write -i P1-124 -r 'fix the index' --no-wait`,
    `${ana} explain db-replica:write -i P1-124`,
    `${ana} status --watch`,
    `${ONCALL} broker target db-replica --check --dir ${directory}`,
  ]) {
    process.stdout.write(`  ${line}\n`);
  }
  setInterval(() => undefined, 60_000);
}

let isEnding = false;
// A second signal, as of a terminal that closes after Ctrl-C, must not leave behind what the first one is ending.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!isEnding) void endAll().finally(() => process.exit(130));
    isEnding = true;
  });
}
main().catch(async (error: Error) => {
  process.stderr.write(`${error.stack ?? error.message}\n`);
  await endAll();
  process.exit(1);
});
