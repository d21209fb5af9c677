// MariaDB and Redis as an engineer meets them: brought in by what the broker prints, opened by one request, used through the
// real clients, released, and refused from then on. The tests are one story, in order.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrantView } from '../../src/protocol/messages.ts';
import { BROKER_PASSWORD, bringIn as bringMariadbIn } from '../issuers/mariadb-world.ts';
import { bringIn as bringRedisIn } from '../issuers/redis-world.ts';
import { startMariadb, type TestMariadb } from '../support/mariadb-server.ts';
import { part } from '../support/parts.ts';
import { ONCALL, startCli, startProcess } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { tempDir } from '../support/temp.ts';
import { createWorld, errorOf, type Json, PEOPLE, succeeded, type World } from './world.ts';

const RESOURCE = `
    service: orders
    environment: production
    sensitivity: medium`;

describe.skipIf(!part('mariadb') || !part('redis'))('a database of MariaDB and a cache of Redis', () => {
  let world: World;
  let mariadb: TestMariadb;
  let redis: TestRedis;
  const ana = (args: string, more: string[] = []) => world.as('ana', args, {}, more);
  const credential = async (target: string) =>
    (await ana(`credential ${target} --format json`)).json() as Json;
  const runDir = () => join(world.home('ana'), 'oncall/run');

  async function stepsOf(resource: string): Promise<string[]> {
    const guide = succeeded(await world.operator(`broker target ${resource} --json`));
    return (guide.json() as { steps: { text: string }[] }).steps.map(({ text }) => text);
  }

  beforeAll(async () => {
    [mariadb, redis] = await Promise.all([startMariadb(), startRedis()]);
    world = await createWorld(`${PEOPLE}
resources:
  db:
    type: mariadb${RESOURCE}
    connection: { host: localhost, port: ${mariadb.port}, database: orders, ca: ${JSON.stringify(mariadb.caFile)} }
    broker: { user: oncall_broker, password: { file: secrets/db } }
    roles:
      read: { grant: readers }
  cache:
    type: redis${RESOURCE}
    connection: { host: localhost, port: ${redis.port}, ca: ${JSON.stringify(redis.caFile)} }
    broker: { user: oncall_broker, password: { file: secrets/cache } }
    roles:
      read: { rules: ["+@read", "+ping", "~*"] }
`);
    await bringMariadbIn(mariadb, await stepsOf('db'));
    const { brokerPassword } = await bringRedisIn(redis, await stepsOf('cache'), 'cache');
    world.write('secrets/db', `${BROKER_PASSWORD}\n`);
    world.write('secrets/cache', `${brokerPassword}\n`);
    await redis.admin('SET', 'x', 'forty-two');
    succeeded(await world.operator('broker check'));
    await world.serve();
    await world.enroll('ana', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 120_000);

  it('finds both targets in order once their guides were followed', async () => {
    for (const resource of ['db', 'cache']) {
      const checked = await world.operator(`broker target ${resource} --check --json`);
      const { requirements } = checked.json() as { requirements: { name: string; ok: boolean }[] };
      const missing = requirements.filter(({ ok }) => !ok).map(({ name }) => name);
      // The event of a server that was brought in a moment ago may not have run yet.
      expect(missing.filter((name) => name !== 'reaper')).toEqual([]);
    }
  });

  it('runs the real mariadb and the real redis-cli, and shows no secret', async () => {
    const asked = await ana('request db -i P1-123 --json');
    succeeded(asked);
    const query = ['--', 'mariadb', '-BNe', 'select current_user(), database()'];
    expect(succeeded(await ana('run db', query)).stdout).toMatch(/^oncall_ana_\w+@%\torders\n$/);
    const got = succeeded(await ana('run cache -i P1-123', ['--', 'redis-cli', 'get', 'x']));
    expect(got.stdout).toBe('forty-two\n');
    expect(got.stderr).not.toMatch(/arning/);
    const refused = await ana('run cache', ['--', 'redis-cli', '-e', 'set', 'x', 'y']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('NOPERM') });
    const { password } = await credential('db');
    expect(String(password)).toHaveLength(32);
    expect(asked.stdout + asked.stderr).not.toContain(password);
  });

  it('gives a step of a runbook both at once, in files and variables', async () => {
    const step = [
      'mariadb --defaults-group-suffix=_db -BNe "select 6*7"',
      'redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" --user "$REDIS_USER" --tls --cacert "$REDIS_CA" --no-auth-warning get x',
    ].join('\n');
    const ran = succeeded(await ana('run db cache', ['--', 'sh', '-ec', step]));
    expect(ran.stdout).toBe('42\nforty-two\n');
  });

  describe('after oncall setup', () => {
    const home = () => world.home('ana');
    const ownOptions = '[client]\nuser=somebody\npassword=else\n';

    async function plain(program: string, args: string[]) {
      const bin = join(home(), 'bin');
      const env = {
        PATH: `${bin}:/usr/bin:/bin`,
        HOME: home(),
        ONCALL_HOME: join(home(), 'oncall'),
        ONCALL_AGENT: 'off',
      };
      const child = startProcess(program, args, { env, input: '' });
      const { code } = await child.ended;
      return { code, stdout: child.stdout(), stderr: child.stderr() };
    }
    const query = (suffix: string) =>
      plain('mariadb', [`--defaults-group-suffix=${suffix}`, '-BNe', 'select current_user()']);
    const redisIn = (shell: string, words: string) =>
      plain(shell, [
        '-c',
        `. ${shell === 'fish' ? '~/.config/fish/config.fish' : `~/.${shell}rc`}; ${words}`,
      ]);

    beforeAll(async () => {
      mkdirSync(join(home(), 'bin'));
      const start = `#!/bin/sh\nexec '${process.execPath}' '${ONCALL}' "$@"\n`;
      writeFileSync(join(home(), 'bin', 'oncall'), start, { mode: 0o755 });
      writeFileSync(join(home(), '.my.cnf'), ownOptions);
      succeeded(await ana('setup mariadb --write'));
      for (const shell of ['bash', 'zsh', 'fish'])
        succeeded(await ana(`setup redis --write --shell ${shell}`));
    });

    it('plain mariadb works by the name of the resource, whatever the person’s own file says', async () => {
      for (const suffix of ['_db', '_db:read']) {
        const { code, stdout } = await query(suffix);
        expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^oncall_ana_\w+@%\n$/) });
      }
      expect(readFileSync(join(home(), '.my.cnf'), 'utf8').startsWith(ownOptions)).toBe(true);
    });

    it.skipIf(!part('shells')).each(['bash', 'zsh', 'fish'])('oncall-redis works in %s', async (shell) => {
      expect(await redisIn(shell, 'oncall-redis cache get x')).toMatchObject({
        code: 0,
        stdout: 'forty-two\n',
      });
      expect(await redisIn(shell, 'oncall-redis')).toMatchObject({ code: 2, stdout: '' });
    });

    it('says how to get a grant when none lives, reaches nothing, and goes without a trace', async () => {
      succeeded(await ana('release db'));
      const refused = await query('_db');
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain('no access now: oncall request db');
      succeeded(await ana('setup mariadb --remove'));
      expect(readFileSync(join(home(), '.my.cnf'), 'utf8')).toBe(ownOptions);
      succeeded(await ana('request db -i P1-123'));
    });
  });

  it('opens the client that fits', async () => {
    const cache = await ana('connect cache', ['--', 'get', 'x']);
    expect(succeeded(cache).stdout).toBe('forty-two\n');
    expect(succeeded(await ana('connect db', ['--', '-BNe', 'select 42'])).stdout).toBe('42\n');
  });

  it('renews: the same login, in which a session stays open, with nothing of it in the arguments', async () => {
    const before = { db: await credential('db'), cache: await credential('cache') };
    const words = ['run', 'db', '--', 'mariadb', '--unbuffered', '-BN'];
    const session = startCli(words, { home: world.home('ana') });
    session.write("select 'open';\n");
    await session.waitForOutput('open');
    for (const target of ['db', 'cache', 'db']) succeeded(await ana(`renew ${target} --no-extend`));
    for (const target of ['db', 'cache'] as const) {
      const { user, password, expiresAt } = await credential(target);
      expect({ user, password }).toEqual({ user: before[target].user, password: before[target].password });
      expect(Date.parse(String(expiresAt))).toBeGreaterThan(Date.parse(String(before[target].expiresAt)));
    }
    session.write("select 'still open';\n");
    await session.waitForOutput('still open');
    const lines = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readCommandLine(pid))
      .filter((line) => line.includes('mariadb'));
    expect(lines.join('\n')).not.toContain(String(before.db.password));
    session.endInput();
    expect(await session.ended).toMatchObject({ code: 0 });
  });

  it('is refused by both after release, with the very logins that worked before, and the proof says so', async () => {
    const [db, cache] = [await credential('db'), await credential('cache')];
    const asDb = { user: String(db.user), password: String(db.password) };
    const asCache = { user: String(cache.user), password: String(cache.password) };
    expect(await mariadb.client(asDb, 'select 1')).toMatchObject({ code: 0, stdout: '1\n' });
    expect(await redis.cli(['ping'], asCache)).toMatchObject({ code: 0, stdout: 'PONG\n' });
    const held = redis.open(asCache.user, asCache.password);
    held.write('ping\n');
    await held.waitForOutput('PONG');

    const { grants } = await world.json<{ grants: GrantView[] }>('ana', 'release --all');
    const proofs = grants.map(({ target, credentials }) => [target.resource, credentials[0]?.proof]);
    expect(Object.fromEntries(proofs)).toMatchObject({
      db: expect.stringMatching(/^proven/),
      cache: expect.stringMatching(/^proven/),
    });
    expect(await mariadb.client(asDb, 'select 1')).toMatchObject({ code: 1, stdout: '' });
    expect((await redis.cli(['ping'], asCache)).stdout).not.toContain('PONG');
    held.write('get x\n');
    await held.waitForOutput(/NOAUTH|WRONGPASS|closed|refused|not connected|Error/i);
    expect(held.output()).not.toContain('forty-two');
    expect(readdirSync(join(runDir(), 'grants'))).toEqual([]);
    expect(existsSync(join(runDir(), 'mariadb/my.cnf'))).toBe(false);
    const again = await ana('run cache --no-request --json', ['--', 'redis-cli', 'ping']);
    expect(again.code).toBe(125);
    expect(errorOf(again)).toMatch(/\w/);
  });

  it('leaves a log that verifies offline, in which every login stands before it existed', async () => {
    const file = join(tempDir(), 'audit.jsonl');
    succeeded(await world.as('dora', `audit export -f ${file}`));
    expect((await world.as('dora', `audit verify ${file} --json`)).json()).toMatchObject({ holds: true });
  });
});

/** Of a process that may be gone by now. */
function readCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
