// `oncall host` on a real sshd whose log is a real journal: sessions end with their grants, logins arrive once, and nobody who types
// a strange name can forge one.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { lookAt } from '../../src/host/processes.ts';
import { part } from '../support/parts.ts';
import type { TestProcess } from '../support/process.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { type HostWorld, pidOf, sshTo, startHostWorld } from './host-world.ts';

const isReady = part('sshd') && part('journal') && process.getuid?.() === 0;

describe.skipIf(!isReady)('oncall host, at an ssh target', () => {
  let world: HostWorld;
  let running: TestProcess;
  /** What nobody has waited for yet is dead all the same. */
  const isAlive = (pid: number) => lookAt(pid) !== undefined;
  const waitForLogins = (serial: string, count: number) =>
    waitFor(() => world.logins().filter((login) => login.serial === serial).length >= count, {
      what: `${count} logins by ${serial}: ${running.output()}`,
      timeoutMs: 20_000,
    });

  beforeAll(async () => {
    world = await startHostWorld();
    running = world.host('run');
    await running.waitForOutput('"started"');
  }, 60_000);

  it('tells of a login, and ends the session with all that runs in it within seconds of the end of its grant', async () => {
    const first = await world.access();
    const other = await world.access('other-host');
    const [ended, stays] = [
      first.ssh('echo $$; sleep 600 & sleep 601'),
      other.ssh('echo $$; exec sleep 600'),
    ];
    const [endedPid, staysPid] = [await pidOf(ended), await pidOf(stays)];
    const children = childrenOf(endedPid);
    expect(children.length).toBeGreaterThan(0);
    await waitForLogins(first.serial, 1);
    await waitForLogins(other.serial, 1);
    expect(world.logins().find(({ serial }) => serial === first.serial)).toMatchObject({
      ...{ kind: 'ssh', account: SSH_LOGIN, identity: `ana/${first.grant}/P1-1`, matched: first.grant },
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    await world.ana.post(`/v1/grants/${first.grant}/release`);
    await waitFor(() => !ended.running, { what: 'the end of the session', timeoutMs: 20_000 });
    await waitFor(() => ![endedPid, ...children].some(isAlive), { what: 'the end of all that ran in it' });
    expect([stays.running, isAlive(staysPid)]).toEqual([true, true]);
    await world.ana.post(`/v1/grants/${other.grant}/release`);
    await waitFor(() => !stays.running, { what: 'the end of the other session', timeoutMs: 20_000 });
  }, 60_000);

  it('puts the list in place by which sshd refuses what was revoked', async () => {
    const { grant, serial, ssh } = await world.access();
    expect(await ssh('true').ended).toMatchObject({ code: 0 });
    const number = () => Number(readFileSync(join(world.folder, 'krl.number'), 'utf8'));
    const before = number();
    await world.ana.post(`/v1/grants/${grant}/release`);
    await waitFor(() => number() > before, { what: `a newer list than ${before}`, timeoutMs: 20_000 });
    expect(await ssh('true').ended).toMatchObject({ code: 255 });
    await waitForLogins(serial, 1);
  }, 60_000);

  it('makes no record of what somebody typed as a name, or wrote into the journal', async () => {
    const { serial, ssh, grant } = await world.access();
    expect(await ssh('true').ended).toMatchObject({ code: 0 });
    await waitForLogins(serial, 1);
    const entries = spawnSync(
      world.journal.inside[0]!,
      [...world.journal.inside.slice(1), 'journalctl', '-o', 'cat', '--no-pager', 'SYSLOG_IDENTIFIER=sshd'],
      { encoding: 'utf8' },
    ).stdout;
    const true_ = entries
      .split('\n')
      .find((line) => line.startsWith('Accepted publickey') && line.includes(serial))!;
    const forged = true_.replace(`(serial ${serial})`, '(serial 4242)');
    expect(forged).toContain('(serial 4242)');

    const file = join(tempDir(), 'key');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
    for (const name of [forged, `x from 192.0.2.1 port 1 ssh2\r\u001b[2J${forged}`, `${forged} \u202e`])
      expect(await sshTo(world.sshd, file, name, 'true').ended).toMatchObject({ code: 255 });
    const logged = spawnSync(
      world.journal.inside[0]!,
      [
        ...world.journal.inside.slice(1),
        ...['setpriv', `--reuid=${SSH_LOGIN}`, '--clear-groups', 'logger', '-t', 'sshd', forged],
      ],
      { encoding: 'utf8' },
    );
    expect(logged).toMatchObject({ status: 0 });

    expect(await ssh('true').ended).toMatchObject({ code: 0 });
    await waitForLogins(serial, 2);
    expect(world.logins().filter((login) => login.serial === '4242')).toEqual([]);
    await world.ana.post(`/v1/grants/${grant}/release`);
  }, 60_000);

  it('goes on where it was after a kill and a rotation, and tells each login once though the broker was away', async () => {
    const broker = world.installation;
    const { serial, ssh } = await world.access();
    expect(await ssh('true').ended).toMatchObject({ code: 0 });
    await waitForLogins(serial, 1);
    running.kill('SIGKILL');
    await running.ended;
    await world.stopBroker();
    expect(await ssh('true').ended).toMatchObject({ code: 0 });
    running = world.host('run');
    await running.waitForOutput('"failed"');
    world.journal.rotate();
    expect(await ssh('true').ended).toMatchObject({ code: 0 });
    const waiting = () => readFileSync(join(world.state, 'spool.ndjson'), 'utf8').split('\n').length - 1;
    await waitFor(() => waiting() === 2, { what: 'both logins on the disk', timeoutMs: 20_000 });
    running.kill('SIGKILL');
    await running.ended;
    running = world.host('run');
    await broker.start();
    await waitForLogins(serial, 3);
    expect(world.logins().filter((login) => login.serial === serial)).toHaveLength(3);
    const status = world.host('status', '--json');
    await status.ended;
    expect(JSON.parse(status.stdout())).toMatchObject({ schema: 'oncall.host.status/v1', lost: 0 });
  }, 90_000);
});

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
  return stdout.split('\n').flatMap((line) => (line.trim() === '' ? [] : [Number(line)]));
}
