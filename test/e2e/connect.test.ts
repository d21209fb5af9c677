// `oncall connect`: the right client for each kind, on real targets. The tests are one story, in order.
import { beforeAll, describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { startCli } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { bringTargets, type Targets } from './target-guide.ts';
import { errorOf, PEOPLE, postgresResource, succeeded } from './world.ts';

describe.skipIf(!part('postgres') || !part('psql') || !part('sshd'))('connect', () => {
  let targets: Targets;
  const ana = (args: string, more: string[] = []) => targets.world.as('ana', args, {}, more);

  beforeAll(async () => {
    targets = await bringTargets();
    const { world, sshd, postgres } = targets;
    const key = sshd.hostPublicKey.split(' ').slice(0, 2).join(' ');
    const host = (name: string) =>
      `{ name: ${name}, host: ${sshd.host}, port: ${sshd.port}, hostKeys: ["${key}"] }`;
    world.write(
      'catalogue.yaml',
      `${PEOPLE}
bundles:
  both: { targets: [db-replica, "db-host:operator"] }
resources:${postgresResource(postgres)}
  db-host:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    hosts: [${host('web-1')}, ${host('web-2')}]
    roles: { operator: { login: ${SSH_LOGIN} } }
`,
    );
    await world.serve();
    await world.enroll('ana', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 120_000);

  it('opens psql, asking for what is missing, with its own arguments behind --', async () => {
    const { stdout, stderr } = succeeded(
      await ana('connect db-replica -i P1-123', ['--', '-XAtc', 'select 40 + 2']),
    );
    expect(stdout).toBe('42\n');
    expect(stderr).toContain('db-replica:read');
  });

  it("ends with the client's own exit code", async () => {
    expect((await ana('connect db-replica', ['--', '-Xc', 'nonsense'])).code).toBe(1);
    expect((await ana('connect db-host web-1 -i P1-123', ['--', 'exit 42'])).code).toBe(42);
  });

  it('opens ssh on the host that is named, and refuses one that is none', async () => {
    expect(succeeded(await ana('connect db-host web-2', ['--', 'whoami'])).stdout).toBe(`${SSH_LOGIN}\n`);
    for (const args of ['connect db-host nosuch --json', 'connect db-replica nosuch --json']) {
      const refused = await ana(args);
      expect({ code: refused.code, error: errorOf(refused) }).toEqual({ code: 2, error: 'usage' });
    }
  });

  it('asks a script for nothing: with several hosts it names them', async () => {
    const refused = await ana('connect db-host');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('web-1, web-2');
    const bundle = await ana('connect both', ['--', '-c', 'select 1']);
    expect(bundle.code).toBe(2);
    expect(bundle.stderr).toContain('db-replica:read, db-host:operator');
  });

  it.skipIf(!part('pty'))('lets a person pick one, and leaves the terminal to the client', async () => {
    const { code, text } = await runCliTty(['connect', 'db-host', '--', 'echo shell on $HOSTNAME here'], {
      home: targets.world.home('ana'),
      keys: [{ when: 'web-2', type: '\x1b[B\r' }],
    });
    expect({ code, opened: text.includes('shell on') }).toEqual({ code: 0, opened: true });
    expect(targets.sshd.log()).toContain('Accepted publickey');
  });

  it('passes signals on', async () => {
    const child = startCli(
      ['connect', 'db-replica', '--', '-Xc', "select 'be' || 'gun'", '-c', 'select pg_sleep(600)'],
      {
        home: targets.world.home('ana'),
        input: '',
      },
    );
    await child.waitForOutput('begun');
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
  });

  it('asks for nothing where it was told not to', async () => {
    succeeded(await ana('release --all'));
    const refused = await ana('connect db-replica --no-request --json');
    expect({ code: refused.code, error: errorOf(refused) }).toEqual({ code: 1, error: 'not_found' });
  });

  it('names the client that is not there', async () => {
    const home = targets.world.home('ana');
    const env = { PATH: '/nowhere' };
    const refused = await targets.world.as('ana', 'connect db-replica -i P1-123', { home, env });
    expect({ code: refused.code, named: refused.stderr.includes('psql') }).toEqual({
      code: 127,
      named: true,
    });
  });
});
