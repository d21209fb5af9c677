// The main job on real parts, as one would do it by hand: targets brought in by what the broker prints, a request, psql and
// ssh with what came back, renewal, release, and both targets' refusal afterwards. The tests are one story, in order.
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrantView, RequestView } from '../../src/protocol/messages.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { bringTargets, psqlAsAdmin, type Targets } from './target-guide.ts';
import { errorOf, type Json, succeeded, type World } from './world.ts';

interface Asked {
  request: RequestView;
  credentials: { handle: string }[];
}
interface Checked {
  requirements: { name: string; ok: boolean; fix?: string }[];
}

interface Entry {
  event: string;
  subject: { handle?: string };
}

const COUNT = ['--', 'psql', '-XAtc', 'select count(*), current_user from orders'];

describe.skipIf(!part('postgres') || !part('psql') || !part('sshd'))('the main job', () => {
  let targets: Targets;
  let world: World;
  const ana = (args: string, more: string[] = []) => world.as('ana', args, {}, more);
  const runDir = () => join(world.home('ana'), 'oncall/run');

  /** The real ssh and nothing but the configuration that oncall wrote. */
  async function ssh(config: string, ...words: string[]) {
    const child = startProcess('ssh', ['-F', config, 'db-host-1', ...words], { input: '' });
    const { code } = await child.ended;
    return { code, stdout: child.stdout(), stderr: child.stderr() };
  }

  /** The real psql and a password, as somebody would who kept them. */
  async function psql(env: Json) {
    const words = ['-XAtc', 'select current_user'];
    const child = startProcess('psql', words, { env: { PATH: '/usr/bin:/bin', ...env }, input: '' });
    const { code } = await child.ended;
    return { code, stdout: child.stdout(), stderr: child.stderr() };
  }

  beforeAll(async () => {
    targets = await bringTargets();
    world = targets.world;
    succeeded(await world.operator('broker check'));
    await world.serve();
    targets.host.startTimer();
    await world.enroll('ana', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 120_000);

  async function check(resource: string) {
    const checked = await world.operator(`broker target ${resource} --check --json`);
    const { requirements } = checked.json() as Checked;
    return { code: checked.code, requirements, missing: requirements.filter(({ ok }) => !ok) };
  }

  it('finds both targets in order once their guides were followed', async () => {
    const [database, host] = await Promise.all([check('db-replica'), check('db-host')]);
    expect(database).toMatchObject({ code: 0, missing: [] });
    expect(host).toMatchObject({ code: 0, missing: [] });
    expect(database.requirements.map(({ name }) => name)).toEqual(expect.arrayContaining(['tls', 'dry run']));
    expect(host.requirements.map(({ name }) => name)).toEqual([
      'db-host-1: login as operator',
      'db-host-1: revocation list',
    ]);
  });

  it('finds what is missing at each, with the line that puts it right', async () => {
    await psqlAsAdmin(targets.postgres, 'orders', 'REVOKE pg_signal_backend FROM oncall_broker');
    writeFileSync(targets.host.principalsFile, '');
    const [database, host] = await Promise.all([check('db-replica'), check('db-host')]);
    expect(database).toMatchObject({ code: 1, missing: [{ name: 'pg_signal_backend' }] });
    expect(host).toMatchObject({ code: 1, missing: [{ name: 'db-host-1: login as operator' }] });
    await psqlAsAdmin(targets.postgres, 'orders', database.missing[0]!.fix!);
    await targets.host.shell(host.missing[0]!.fix!);
    expect((await Promise.all([check('db-replica'), check('db-host')])).map(({ code }) => code)).toEqual([
      0, 0,
    ]);
  });

  it('grants by policy, and shows no secret', async () => {
    const asked = await ana('request db-replica --incident P1-123 --json');
    const { request, credentials } = succeeded(asked).json() as Asked;
    expect(request).toMatchObject({ state: 'granted', grants: [{ state: 'active', held: false }] });
    expect(credentials).toHaveLength(1);
    const printed = (await ana('credential db-replica --format json')).json() as Json;
    expect(printed).toMatchObject({ user: credentials[0]?.handle });
    expect(asked.stdout + asked.stderr).not.toContain(printed.password);
  });

  it('runs the real psql as a role that is gone in minutes', async () => {
    const ran = succeeded(await ana('run db-replica', COUNT));
    expect(ran.stdout).toMatch(/^42\|oncall_ana_\w+\n$/);
    const [login] = await targets.postgres
      .database()
      .then((database) =>
        database.sql<{ until: Date }>('select rolvaliduntil as until from pg_roles where rolname = $1', [
          ran.stdout.trim().slice(3),
        ]),
      );
    const minutes = (login!.until.getTime() - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(5);
    expect(minutes).toBeLessThan(15);
    expect((await ana('run db-replica', ['--', 'psql', '-XAtc', 'create table mine ()'])).code).toBe(1);
  });

  it('opens a shell on the host without a first-connection question, through run and with plain ssh', async () => {
    const whoami = ['--', 'ssh', 'db-host-1', 'whoami'];
    const ran = succeeded(await ana('run db-host -i P1-123', whoami));
    expect(ran.stdout).toBe(`${SSH_LOGIN}\n`);
    const config = join(runDir(), 'ssh_config');
    expect(await ssh(config, 'whoami')).toEqual({ code: 0, stdout: `${SSH_LOGIN}\n`, stderr: '' });
    expect(readFileSync(config, 'utf8')).toContain('StrictHostKeyChecking yes');
    expect(targets.sshd.log()).toMatch(/Accepted publickey .*ID ana\/gr_\w+\/P1-123 \(serial \d+\)/);
  });

  it('shows what is held from a file, the broker being down', async () => {
    await world.stop();
    const status = succeeded(await ana('status --json')).json() as { grants: Json[]; incidents: Json[] };
    expect(status.grants.map(({ target }) => target)).toEqual([
      { resource: 'db-replica', role: 'read' },
      { resource: 'db-host', role: 'operator' },
    ]);
    const text = succeeded(await ana('status')).stdout;
    expect(text).toMatch(/db-replica:read .*P1-123/);
    const refused = await ana('status --refresh --json');
    expect({ code: refused.code, error: errorOf(refused) }).toEqual({ code: 5, error: 'broker_unreachable' });
    await world.serve();
    succeeded(await ana('status --refresh'));
  });

  it('renews: the same login, a later end', async () => {
    const before = (await ana('credential db-replica --format json')).json() as Json;
    const { grants: held } = (await ana('status --json')).json() as { grants: GrantView[] };
    const { grants } = await world.json<{ grants: GrantView[] }>('ana', 'renew db-replica');
    expect(grants[0]).toMatchObject({ id: held[0]!.id, extensionsLeft: 3 });
    const longer = Date.parse(grants[0]!.endsAt) - Date.parse(held[0]!.endsAt);
    expect(longer).toBe(2 * 3_600_000);
    const after = (await ana('credential db-replica --format json')).json() as Json;
    expect(after).toMatchObject({ user: before.user, password: before.password });
    expect(Date.parse(String(after.expiresAt))).toBeGreaterThan(Date.parse(String(before.expiresAt)));
    expect(succeeded(await ana('run db-replica', COUNT)).stdout).toContain(String(before.user));
    const fresh = await world.json<{ grants: GrantView[] }>('ana', 'renew db-replica --no-extend');
    expect(fresh.grants[0]).toMatchObject({ endsAt: grants[0]!.endsAt, extensionsLeft: 3 });
  });

  it('is refused by both targets after release, with the very credentials that worked before', async () => {
    const kept = await keepCopies();
    expect(await psql(kept.env)).toMatchObject({ code: 0 });
    expect(await ssh(kept.sshConfig, 'true')).toMatchObject({ code: 0 });

    const released = await world.json<{ grants: GrantView[] }>('ana', 'release --all');
    const proofs = released.grants.map(({ target, credentials }) => [target.resource, credentials[0]?.proof]);
    expect(Object.fromEntries(proofs)).toMatchObject({ 'db-replica': expect.stringMatching(/^proven/) });
    expect(await psql(kept.env)).toMatchObject({ code: 2, stdout: '' });
    // The host refuses as soon as its timer has pulled.
    const isRefused = async () => (await ssh(kept.sshConfig, 'true')).stderr.includes('Permission denied');
    await waitFor(isRefused, { what: "the host's refusal" });
    expect(await ssh(kept.sshConfig, 'true')).toMatchObject({ code: 255 });
    expect(readdirSync(join(runDir(), 'grants'))).toEqual([]);
    expect(existsSync(join(runDir(), 'ssh_config'))).toBe(false);
    expect((await ana('status --json')).json()).toMatchObject({ grants: [] });
  });

  it('leaves a log that verifies offline, with every login recorded before it existed', async () => {
    const file = join(tempDir(), 'audit.jsonl');
    succeeded(await world.as('dora', `audit export -f ${file}`));
    expect((await world.as('dora', `audit verify ${file} --json`)).json()).toMatchObject({ holds: true });
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const first = new Map<string, string>();
    for (const { entry } of lines.map((line) => JSON.parse(line) as { entry?: Entry })) {
      const handle = entry?.subject.handle;
      if (entry && handle && !first.has(handle)) first.set(handle, entry.event);
    }
    expect(first.size).toBeGreaterThan(1);
    expect(new Set(first.values())).toEqual(new Set(['credential.issuing']));
  });

  /** What a thief of the machine would have kept: the password, and the ssh files in another place. */
  async function keepCopies(): Promise<{ env: Json; sshConfig: string }> {
    const { stdout } = succeeded(await ana('credential db-replica --format env'));
    const exported = [...stdout.matchAll(/export (\w+)='(.*)'/g)].map(([, name, value]) => [name, value]);
    const { PGPASSFILE: _, ...env } = Object.fromEntries(exported) as Json;
    const copy = tempDir();
    cpSync(join(runDir(), 'grants'), copy, { recursive: true });
    const sshConfig = join(copy, 'config');
    const config = readFileSync(join(runDir(), 'ssh_config'), 'utf8');
    writeFileSync(sshConfig, config.replaceAll(join(runDir(), 'grants'), copy));
    return { env: { ...env, PGSSLROOTCERT: targets.postgres.caFile }, sshConfig };
  }
});
