// Plain ssh and plain psql after `oncall setup`, on real targets, in a home whose name has a space and an umlaut: with a grant, without
// one, and beside what the person's own configuration says. The tests are one story, in order.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { ONCALL, startProcess } from '../support/process.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { tempDir } from '../support/temp.ts';
import { bringTargets, type Targets } from './target-guide.ts';
import { succeeded } from './world.ts';

describe.skipIf(!part('postgres') || !part('psql') || !part('sshd'))('plain tools', () => {
  const home = join(tempDir(), 'Anä Ruiz');
  const env = { HOME: home, ONCALL_HOME: undefined };
  const [sshConfig, services] = [join(home, '.ssh', 'config'), join(home, '.pg_service.conf')];
  const ownConfig = 'Host db-host-1\n  User nobody-of-mine\n  LogLevel VERBOSE\nHost own\n  Port 77\n';
  const ownServices = '[mine]\nhost=mine.example';
  let targets: Targets;
  const ana = (args: string) => targets.world.as('ana', args, { env });

  async function tool(program: string, ...args: string[]) {
    const path = `${join(home, 'bin')}:/usr/local/bin:/usr/bin:/bin`;
    const child = startProcess(program, args, {
      env: { PATH: path, HOME: home, SHELL: '/bin/sh' },
      input: '',
    });
    const { code } = await child.ended;
    return { code, stdout: child.stdout(), stderr: child.stderr() };
  }
  // OpenSSH looks for the account's file, wherever HOME points.
  const ssh = (...args: string[]) => tool('ssh', '-F', sshConfig, ...args);
  const psql = (service: string) => tool('psql', `service=${service}`, '-XAtc', 'select current_user');

  beforeAll(async () => {
    mkdirSync(join(home, 'bin'), { recursive: true });
    mkdirSync(join(home, '.ssh'), { mode: 0o700 });
    writeFileSync(join(home, 'bin', 'oncall'), `#!/bin/sh\nexec '${process.execPath}' '${ONCALL}' "$@"\n`);
    chmodSync(join(home, 'bin', 'oncall'), 0o755);
    writeFileSync(sshConfig, ownConfig, { mode: 0o600 });
    writeFileSync(services, ownServices);
    targets = await bringTargets();
    const { world } = targets;
    await world.serve();
    await world.enroll('dora');
    succeeded(await ana(`enroll ${await world.invite('ana')} --keystore file`));
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 120_000);

  it('are set up beside what the person has', async () => {
    for (const name of ['ssh', 'psql']) succeeded(await ana(`setup ${name} --write`));
    expect(readFileSync(sshConfig, 'utf8')).toMatch(
      /^# >>> oncall ssh .*\nInclude ".*\n# <<< .*\nHost db-host-1\n/,
    );
    expect(readFileSync(services, 'utf8').startsWith(`${ownServices}\n# >>> oncall psql `)).toBe(true);
    expect((await ssh('-G', 'own')).stdout).toContain('\nport 77\n');
    expect(await psql('db-replica')).toMatchObject({ code: 2 });
  });

  it('work while a grant lives', async () => {
    succeeded(await ana('request db-replica --incident P1-123'));
    succeeded(await ana('request db-host --incident P1-123'));
    expect(await ssh('db-host-1', 'whoami')).toMatchObject({ code: 0, stdout: `${SSH_LOGIN}\n` });
    for (const service of ['db-replica', 'db-replica:read']) {
      const { code, stdout } = await psql(service);
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^oncall_ana_/) });
    }
    // And the prompt knows.
    const row = readFileSync(join(home, '.local', 'state', 'oncall', 'prompt'), 'utf8');
    expect(row).toMatch(/^\d{10} \d\d:\d\d P1-123 db-(replica:read|host:operator)\n/);
    // What the person says for a host still counts where we say nothing.
    expect((await ssh('-G', 'db-host-1')).stdout).toMatch(/loglevel VERBOSE/);
  });

  it("log in with what is in the person's ssh-agent, for as long as it is held", async () => {
    const socket = join(tempDir(), 'agent');
    await startProcess('ssh-agent', ['-D', '-a', socket]).waitForOutput('SSH_AUTH_SOCK');
    const withAgent = { env: { ...env, SSH_AUTH_SOCK: socket } };
    const { world, sshd } = targets;
    succeeded(await world.as('ana', 'setup ssh --write --agent', withAgent));
    succeeded(await world.as('ana', 'renew db-host --no-extend', withAgent));
    const known = join(tempDir(), 'known_hosts');
    writeFileSync(known, sshd.knownHosts);
    const options = [`IdentityAgent=${socket}`, `UserKnownHostsFile=${known}`, 'BatchMode=yes'];
    const login = ['-p', String(sshd.port), `${SSH_LOGIN}@${sshd.host}`, 'whoami'];
    const agentLogin = () => tool('ssh', '-F', 'none', ...options.flatMap((o) => ['-o', o]), ...login);
    expect(await agentLogin()).toMatchObject({ code: 0, stdout: `${SSH_LOGIN}\n` });
    succeeded(await world.as('ana', 'setup ssh --write', withAgent));
    expect(await agentLogin()).toMatchObject({ code: 255 });
  });

  it('say how to get a grant when none lives, and reach nothing', async () => {
    succeeded(await ana('release --all'));
    const refused = await psql('db-replica');
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('oncall request db-replica');
    const shell = await ssh('-o', 'BatchMode=yes', '-o', 'ConnectTimeout=1', 'db-host-1', 'true');
    expect(shell.code).toBe(255);
    expect(shell.stderr).toContain('oncall: hint: oncall request db-host\n');
    expect((await ssh('-G', 'db-host-1')).stdout).toContain('\nuser nobody-of-mine\n');
    expect(readFileSync(join(home, '.local', 'state', 'oncall', 'prompt'), 'utf8')).toBe('');
  });

  it('work again with the next grant, as another role', async () => {
    succeeded(await ana('request db-replica --incident P1-123'));
    expect((await psql('db-replica')).stdout).toMatch(/^oncall_ana_/);
    expect((await ssh('-G', 'db-host-1')).stderr).toContain('oncall request db-host');
  });

  it('are left exactly as they were when set-up is taken back', async () => {
    for (const name of ['ssh', 'psql']) succeeded(await ana(`setup ${name} --remove`));
    expect(readFileSync(sshConfig, 'utf8')).toBe(ownConfig);
    expect(readFileSync(services, 'utf8')).toBe(ownServices);
    succeeded(await ana('release --all'));
    expect(readFileSync(services, 'utf8')).toBe(ownServices);
  });
});
