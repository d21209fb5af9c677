// Break-glass with no broker at all: packs on the disk, the command line as a person types it, and the real tools against a real sshd and a
// real PostgreSQL.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseEntry } from '../../src/break-glass/journal-entry.ts';
import {
  type GlassAuthority,
  type GlassDevice,
  givePack,
  glassAuthority,
  glassDevice,
} from '../break-glass/device.ts';
import { type PostgresTarget, postgresTarget, type SshTarget, sshTarget } from '../break-glass/targets.ts';
import { part } from '../support/parts.ts';
import { type CliOptions, runCli, startProcess } from '../support/process.ts';

const REASON = ['--reason', 'replica is down and the broker too'];

describe.skipIf(!part('postgres') || !part('psql') || !part('sshd'))('break-glass without a broker', () => {
  const authority: GlassAuthority = glassAuthority();
  let [ssh, postgres]: [SshTarget?, PostgresTarget?] = [];
  let device: GlassDevice;
  const oncall = (args: readonly string[], options: CliOptions = {}) =>
    runCli(args, { ...options, env: { ONCALL_HOME: device.home, ...options.env } });
  const journal = () =>
    readFileSync(join(device.context.paths.breakGlassDir, 'journal'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map(parseEntry);

  beforeAll(async () => {
    [ssh, postgres] = await Promise.all([sshTarget(authority), postgresTarget(authority)]);
    device = await glassDevice(authority);
    await givePack(authority, device, { place: ssh.place });
    await givePack(authority, device, { resource: 'db-replica', role: 'read', place: postgres.place });
  }, 60_000);

  it('logs in to a host with plain ssh', async () => {
    const opened = await oncall(['break-glass', 'db-host', ...REASON]);
    expect(opened).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('BREAK-GLASS db-host:operator'),
    });
    expect(opened.stderr).toContain('the broker does not decide');
    const config = join(device.context.paths.runDir, 'ssh_config');
    const child = startProcess('ssh', ['-F', config, 'db-host', 'whoami'], { input: '' });
    expect({ ...(await child.ended), out: child.stdout(), err: child.stderr() }).toMatchObject({
      code: 0,
      out: `${ssh?.sshd.login}\n`,
    });
    expect(ssh?.sshd.log()).toMatch(/Accepted publickey .*ID bg\/ana\/bg_\w+\/\d+ \(serial \d+\)/);
    expect(journal().map(({ event }) => event.type)).toEqual(['begin', 'outage', 'open', 'use']);
  });

  it('runs psql by certificate', async () => {
    const opened = await oncall(['break-glass', 'db-replica', ...REASON, '--json']);
    expect(opened).toMatchObject({ code: 0 });
    expect(opened.json()).toMatchObject({
      schema: 'oncall.break-glass/v1',
      decidedBy: 'device',
      opened: [{ target: { resource: 'db-replica', role: 'read' }, wasOpen: false }],
    });
    const query = ['--', 'psql', '-XAtc', 'select count(*), current_user from orders'];
    const ran = await oncall(['run', 'db-replica', ...query]);
    expect(ran).toMatchObject({ code: 0, stdout: '42|breakglass_read\n' });
    expect(journal().at(-1)?.event).toMatchObject({ type: 'use', tool: 'psql' });
  });

  it('says what is open wherever one looks, and prints it for another tool', async () => {
    const status = await oncall(['status']);
    expect(status.stdout).toMatch(/^BREAK-GLASS OPEN db-host:operator until .*replica is down/m);
    expect(status.stdout).toMatch(/^break-glass ready for db-replica:read: pack of .* ago, covers until/m);
    expect(status.stdout).toMatch(/entries of the break-glass journal to go to the broker/);
    expect((await oncall(['status', '--json'])).json()).toMatchObject({
      breakGlass: { open: [{ slot: 0 }, { slot: 0 }], broken: null },
    });
    expect((await oncall(['held', 'db-host'])).code).toBe(0);
    const printed = await oncall(['credential', 'db-replica', '--format', 'json']);
    expect(printed.json()).toMatchObject({ kind: 'postgres', user: 'breakglass_read' });
    expect((await oncall(['credential', 'db-replica', '--format', 'pgpass'])).code).toBe(2);
    const shown = [status.stdout, status.stderr].join('');
    expect(shown).not.toContain('PRIVATE KEY');
  });

  it('connects as with any grant', async () => {
    const ran = await oncall(['connect', 'db-host', '--', 'whoami']);
    expect(ran).toMatchObject({ code: 0, stdout: `${ssh?.sshd.login}\n` });
    expect(ran.stderr).toContain('BREAK-GLASS db-host:operator until');
  });

  it('lets nobody in once the target does not know the name any more', async () => {
    await postgres?.database.sql('alter role breakglass_read nologin');
    const ran = await oncall(['run', 'db-replica', '--', 'psql', '-XAtc', 'select 1']);
    expect(ran.code).toBe(2);
    await postgres?.database.sql('alter role breakglass_read login');
  });

  it('is given back without the broker, and then nothing logs in here', async () => {
    const released = await oncall(['release', 'db-host']);
    expect(released).toMatchObject({ code: 0, stdout: expect.stringMatching(/^closed db-host:operator/) });
    expect(journal().at(-1)?.event).toMatchObject({ type: 'close', cause: 'released' });
    expect((await oncall(['held', 'db-host'])).code).toBe(1);
    const without = await oncall(['run', 'db-host', '--', 'ssh', 'db-host', 'true']);
    expect(without.code).toBe(125);
    expect((await oncall(['release', '--all'])).code).toBe(5);
    expect((await oncall(['status', '--json'])).json()).toMatchObject({ breakGlass: { open: [] } });
  });

  it('drills: the same way, to a login with the ordinary tool, and nothing stays open', async () => {
    const place = postgres?.place;
    if (place === undefined) throw new Error('no database');
    // What there was for now is spent.
    const another = () => givePack(authority, device, { resource: 'db-replica', role: 'read', place });
    await another();
    const drilled = await oncall(['drill', 'db-replica', '--json']);
    expect(drilled.json()).toMatchObject({ passed: true, tool: 'psql', because: null, recorded: false });
    expect(drilled.code).toBe(0);
    const told = journal().map(({ event }) => event);
    expect(told.findLast(({ type }) => type === 'login')).toMatchObject({ passed: true, tool: 'psql' });
    expect(told.findLast(({ type }) => type === 'close')).toMatchObject({ cause: 'released' });
    await another();
    await postgres?.server.stop();
    const failed = await oncall(['drill', 'db-replica', '--json']);
    await postgres?.server.start();
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.json()).toMatchObject({ passed: false, because: expect.stringContaining('refused') });
  });
});
