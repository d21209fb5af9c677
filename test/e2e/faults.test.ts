// Exit codes and what stands behind them, while the parts that oncall rests on come and go: database, broker, clock.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrantList, GrantView, RequestView } from '../../src/protocol/messages.ts';
import { part } from '../support/parts.ts';
import { runCli, startCli } from '../support/process.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { bringDatabase, type Database } from './target-guide.ts';
import { errorOf, type Json, succeeded, type World } from './world.ts';

const SELECT = ['--', 'psql', '-XAtc', 'select 1'];

describe.skipIf(!part('postgres') || !part('psql'))('exit codes', () => {
  let world: World;
  let postgres: Database['postgres'];
  const ana = (args: string, more: string[] = []) => world.as('ana', args, {}, more);

  async function failure(args: string, user = 'ana') {
    const result = await world.as(user, `${args} --json`);
    return { code: result.code, error: errorOf(result) };
  }

  beforeAll(async () => {
    ({ world, postgres } = await bringDatabase());
    await world.serve();
    await world.enroll('ana', 'ben', 'carla', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
    succeeded(await world.as('dora', 'incident declare P1-100 --service orders --priority P1'));
    succeeded(await world.as('dora', 'incident resolve P1-100'));
    succeeded(await ana('incident declare OWN-1 --service orders --priority P1'));
  }, 120_000);

  it.each([
    'request',
    'request db-replica -d 0',
    'request db-replica -d -1',
    'request db-replica -d 999',
    'request Db_Replica',
    'request db-replica:read:more',
    'request db-replica -x',
    'run db-replica',
    'revoke -r why -y',
    'no-such-command',
    'request db-replica -o xml',
  ])('2: oncall %s', async (args) => {
    const { code, stdout, stderr } = await ana(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^oncall: error: /);
  });

  it('3: denied by policy, with the reason on stdout for machines', async () => {
    for (const [user, args] of [
      ['ben', 'request db-replica'],
      ['ana', 'request db-replica'],
      ['carla', 'request db-replica -i P1-123'],
      ['ben', 'audit list'],
      ['ben', 'grants --all'],
    ] as const)
      expect({ user, args, ...(await failure(args, user)) }).toMatchObject({ user, args, code: 3 });
    const shown = await ana('request db-replica');
    expect(shown.code).toBe(3);
    expect(shown.stderr).toContain('declared by somebody else, were open: granted');
    expect(shown.stderr).toMatch(/oncall: hint: oncall request db-replica:read -i INCIDENT/);
    const denied = await world.as('ben', 'request db-replica --json');
    expect(denied.json()).toMatchObject({ request: { state: 'denied' }, credentials: [] });
    expect(errorOf(denied)).toBe('denied');
  });

  it('8: an incident of one’s own does not open production by itself', async () => {
    expect(await failure('request db-replica -i OWN-1 --no-wait')).toEqual({ code: 8, error: 'pending' });
    expect(await failure('request db-replica -i OWN-1 --timeout 1s')).toEqual({ code: 8, error: 'timeout' });
    expect((await ana('request db-replica -i OWN-1 --dry-run')).code).toBe(0);
  });

  it('1: what is not there', async () => {
    expect(await failure('request no-such-thing -i P1-123')).toMatchObject({ error: 'not_found' });
    expect(await failure('request db-replica -i NO-1')).toMatchObject({ error: 'not_found' });
    expect((await failure('release db-replica')).error).toBe('not_found');
  });

  it('4: a device that is not enrolled, and one that was revoked by an administrator', async () => {
    expect((await runCli(['request', 'db-replica'], { home: tempDir() })).code).toBe(4);
    expect((await runCli(['status'], { home: tempDir() })).code).toBe(4);
    const used = await world.invite('ben');
    const home = tempDir();
    succeeded(await runCli(['enroll', used, '--keystore', 'file'], { home }));
    expect((await runCli(['enroll', used, '--keystore', 'file'], { home: tempDir() })).code).toBe(4);
    const { device } = (await runCli(['whoami', '--json'], { home })).json() as { device: { id: string } };
    succeeded(await world.as('dora', `devices revoke ${device.id}`));
    const revoked = await runCli(['whoami', '--json'], { home });
    expect({ code: revoked.code, error: errorOf(revoked) }).toEqual({ code: 4, error: 'unauthenticated' });
    // Said by somebody else: this machine keeps what it has, until its owner cleans up.
    expect(existsSync(join(home, 'oncall/config/config.yaml'))).toBe(true);
  });

  it("125 to 127 and the child's own", async () => {
    expect((await ana('run db-replica -i P1-123', ['--', 'sh', '-c', 'exit 42'])).code).toBe(42);
    expect((await ana('run db-replica', ['--', 'no-such-program'])).code).toBe(127);
    expect((await ana('run db-replica', ['--', '/etc/passwd'])).code).toBe(126);
    expect((await ana('run db-replica:write --no-request', SELECT)).code).toBe(125);
    expect((await ana('run db-replica', ['--', 'sh', '-c', 'kill -9 $$'])).code).toBe(137);
  });

  it('5: the broker is down; what is held still works, and release wipes this machine', async () => {
    succeeded(await ana('request db-replica -i P1-123'));
    await world.stop();
    for (const args of ['request db-replica -i P1-123', 'grants', 'whoami', 'renew', 'status --refresh'])
      expect({ args, ...(await failure(args)) }).toEqual({ args, code: 5, error: 'broker_unreachable' });
    const run = await ana('run db-replica --json', SELECT);
    expect({ code: run.code, error: errorOf(run) }).toEqual({ code: 125, error: 'broker_unreachable' });
    succeeded(await ana('status'));
    expect((await ana('release --all')).code).toBe(5);
    expect(readdirSync(join(world.home('ana'), 'oncall/run/grants'))).toEqual([]);
    await world.serve();
    // The access itself stood: it is given back now that somebody answers.
    expect((await world.json<{ grants: GrantView[] }>('ana', 'release --all')).grants).toHaveLength(1);
  });

  it('6: what was released is gone, for this device and the other one of the same person', async () => {
    const other = tempDir();
    succeeded(await runCli(['enroll', await world.invite('ana'), '--keystore', 'file'], { home: other }));
    const { request } = await world.json<{ request: RequestView }>('ana', 'request db-replica -i P1-123');
    const id = request.grants[0]!.id;
    const session = startCli(['run', 'db-replica', '--', 'psql', '-XAt'], { home: other });
    session.write("select 'open';\n");
    await session.waitForOutput('open');
    succeeded(await ana(`release ${id}`));
    session.write("select 'still here';\n");
    session.endInput();
    expect((await session.ended).code).not.toBe(0);
    expect(session.output()).not.toContain('still here\n');
    const again = await runCli(['run', 'db-replica', '--no-request', '--json', ...SELECT], { home: other });
    expect(again.code).toBe(125);
    expect(await failure(`release ${id}`)).toMatchObject({ error: 'not_found' });
    const cancelled = await ana('request db-replica:write -i P1-123 -r x --no-wait --json');
    const pending = (cancelled.json() as { request: RequestView }).request.id;
    succeeded(await ana(`cancel ${pending}`));
    expect(await failure(`wait ${pending}`)).toEqual({ code: 6, error: 'ended' });
    expect(await failure('request db-replica -i P1-100')).toEqual({ code: 6, error: 'ended' });
  });

  it('7: the database is down; the grant stands, and works as soon as it is back', async () => {
    await postgres.stop();
    expect(await failure('request db-replica -i P1-123')).toEqual({ code: 7, error: 'target_unreachable' });
    expect((await ana('run db-replica', SELECT)).code).toBe(125);
    const check = await world.operator('broker target db-replica --check');
    expect(check.code).toBe(1);
    expect(check.stdout).toContain('reachable');
    await postgres.start();
    const works = async () => (await ana('run db-replica', SELECT)).code === 0;
    await waitFor(works, { what: 'access after the database came back', timeoutMs: 30_000 });
  });

  it('7: the database is down at the end; the login is refused once it is back, without anybody asking', async () => {
    const { user, password } = (await ana('credential db-replica --format json')).json() as Json;
    await postgres.stop();
    const released = await world.json<{ grants: GrantView[] }>('ana', 'release db-replica');
    expect(released.grants).toMatchObject([{ state: 'ended' }]);
    const states = released.grants.flatMap(({ credentials }) => credentials.map(({ state }) => state));
    expect(new Set(states)).toEqual(new Set(['ending']));
    await postgres.start();
    const roles = async () => {
      const database = await postgres.database();
      return database.sql('select 1 from pg_roles where rolname = $1', [user]);
    };
    await waitFor(async () => (await roles()).length === 0, {
      what: 'the end of the role',
      timeoutMs: 60_000,
    });
    expect(typeof password).toBe('string');
    const { grants } = await world.json<GrantList>('ana', 'grants');
    const mine = grants.find(({ id }) => id === released.grants[0]!.id);
    expect(mine?.credentials[0]).toMatchObject({ state: 'ended', proof: expect.stringMatching(/^proven/) });
  }, 90_000);

  it('SIGTERM lets the broker finish what is in flight', async () => {
    postgres.pause();
    const request = startCli(['request', 'db-replica', '-i', 'P1-123', '--json'], {
      home: world.home('ana'),
      input: '',
    });
    try {
      // In flight is: the login is recorded, and the target has not answered yet.
      const isIssuing = async () => {
        const { grants } = await world.json<GrantList>('dora', 'grants --all');
        return grants.some(({ credentials }) => credentials.some(({ state }) => state === 'issuing'));
      };
      await waitFor(isIssuing, { what: 'a call to the target' });
      world.broker().kill('SIGTERM');
      const isClosed = async () => (await world.as('dora', 'whoami')).code === 5;
      await waitFor(isClosed, { what: 'the end of listening' });
      expect(world.broker().running).toBe(true);
    } finally {
      postgres.resume();
    }
    const code = (await request.ended).code;
    expect({ code, stderr: request.stderr() }).toMatchObject({ code: 0 });
    expect(await world.broker().ended).toEqual({ code: 0, signal: null });
    await world.serve();
    succeeded(await ana('run db-replica', SELECT));
  });
});
