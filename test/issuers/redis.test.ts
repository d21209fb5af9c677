import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRedisIssuer } from '../../src/issuers/redis.ts';
import { findCommand } from '../support/machine-parts.ts';
import { part } from '../support/parts.ts';
import { startRedis } from '../support/redis-server.ts';
import { waitFor } from '../support/temp.ts';
import { codeOf, createLogin, HOSTILE, issuerContract, LIFE_MS } from './contract.ts';
import { resourceWith } from './postgres-world.ts';
import { type RedisWorld, startRedisWorld } from './redis-world.ts';

describe.skipIf(!part('redis'))('redis', () => {
  let world: Promise<RedisWorld> | undefined;
  const shared = (): Promise<RedisWorld> => {
    world ??= startRedisWorld();
    return world;
  };
  async function lineOf(own: RedisWorld, handle: string): Promise<string | undefined> {
    const lines = (await own.redis.admin('ACL', 'LIST')).split('\n');
    return lines.find((line) => line.startsWith(`user ${handle} `));
  }
  async function missingIn(own: RedisWorld): Promise<string[]> {
    const found = await own.issuer.check(own.resource, AbortSignal.timeout(10_000));
    for (const { ok, fix } of found) expect(fix === undefined).toBe(ok);
    return found.filter(({ ok }) => !ok).map(({ name }) => name);
  }
  const untilOf = (line: string | undefined) => Number(/until=(\d+):/.exec(line ?? '')?.[1]);

  issuerContract('redis', shared);

  describe('a login', () => {
    test('is a user with the role’s rules, a date, and words that say whose it is', async () => {
      const own = await shared();
      const login = createLogin(own);
      const { expiresAtMs } = await login.issue();
      const line = await lineOf(own, login.handle);
      expect(line).toMatch(/ ~\* .*-@all \+@read \+@pubsub \+ping \(~oncall:until=/);
      expect(line).toContain(`grant=${login.subject.grantId}:incident=P1-123 `);
      expect(Math.abs(untilOf(line) - expiresAtMs)).toBeLessThan(1_000);
      await login.end();
    });

    test('gives the role’s rights and nothing by the selector that carries its date', async () => {
      const narrow = await startRedisWorld(
        { roles: new Map([['read', { rules: ['+get', '+ping', '~orders:*'], description: undefined }]]) },
        (await shared()).redis,
      );
      const device = narrow.createDevice();
      const login = createLogin(narrow, {}, device);
      await login.issue();
      const as = { user: login.handle, password: device.password };
      const [, dateKey = ''] = /\(~(\S+) /.exec((await lineOf(narrow, login.handle)) ?? '') ?? [];
      const ask = async (...words: string[]) => {
        const { stdout, stderr } = await narrow.redis.cli(words, as);
        return stdout + stderr;
      };
      expect(await ask('get', 'orders:1')).toBe('\n');
      expect(await ask('get', 'users:1')).toContain('NOPERM');
      expect(await ask('set', 'orders:1', 'x')).toContain('NOPERM');
      expect(dateKey).toContain('until=');
      expect(await ask('get', dateKey)).toContain('NOPERM');
      await login.end();
    });

    test.each(['secret', '', 'A'.repeat(64), `${'a'.repeat(64)} nopass`, 'a'.repeat(63)])(
      'is not made with %j in place of a verifier',
      async (verifier) => {
        const device = { material: { kind: 'redis' as const, verifier }, login: async () => false };
        const login = createLogin(await shared(), {}, device);
        expect(await codeOf(login.issue())).toBe('invalid_request');
        expect(await lineOf(await shared(), login.handle)).toBeUndefined();
      },
    );

    test.each(HOSTILE)(
      'for an incident named %j carries a date that the reaper can read',
      async (incident) => {
        const own = await shared();
        const login = createLogin(own, { incident, user: incident });
        await login.issue();
        const line = await lineOf(own, login.handle);
        expect(line).toMatch(
          / \(~oncall:until=\d+:broker=[0-9a-f]{8}%2Foncall%2B00000000:grant=gr_\w+:incident=[A-Za-z0-9_.%-]+ resetchannels -@all\)$/,
        );
        expect(await own.reap()).toEqual({ code: 0, stderr: '' });
        expect(await login.works()).toBe(true);
        await login.end();
      },
    );

    test('is renewed by its date alone, and a session of it, listening too, goes on', async () => {
      const own = await shared();
      const device = own.createDevice();
      const login = createLogin(own, {}, device);
      await login.issue();
      const before = await lineOf(own, login.handle);
      const session = own.redis.open(login.handle, device.password);
      const listening = own.redis.open(login.handle, device.password);
      session.write('ping\n');
      listening.write('subscribe news\n');
      await session.waitForOutput('PONG');
      await listening.waitForOutput('subscribe');
      for (const lifeMs of [500_000, 600_000, 700_000]) await login.renew({ lifeMs });
      const after = await lineOf(own, login.handle);
      expect(untilOf(after)).toBeGreaterThan(untilOf(before));
      expect(after?.replace(/until=\d+/, '')).toBe(before?.replace(/until=\d+/, ''));
      session.write('echo again\nping again\n');
      await session.waitForOutput('again');
      await own.redis.admin('PUBLISH', 'news', 'still here');
      await listening.waitForOutput('still here');
      expect(await login.end()).toEqual({ sessionsEnded: 2, leftovers: [] });
    });

    test('that was dropped by hand is not renewed: it has ended, and is not made again', async () => {
      const own = await shared();
      const login = createLogin(own);
      await login.issue();
      await own.redis.admin('ACL', 'DELUSER', login.handle);
      expect(await codeOf(login.renew())).toBe('ended');
      expect(await lineOf(own, login.handle)).toBeUndefined();
      await login.end();
    });

    test('that is another’s name is never touched', async () => {
      const own = await shared();
      const login = createLogin(own);
      const call = { subject: login.subject, handle: 'default', publicPart: undefined };
      const times = { expiresAtMs: Date.now(), nowMs: Date.now(), signal: AbortSignal.timeout(5_000) };
      expect(await codeOf(own.issuer.end({ ...call, ...times }))).toBe('internal');
      expect(await codeOf(own.issuer.prove({ ...call, ...times }))).toBe('internal');
      expect(await lineOf(own, 'default')).toContain(' on ');
    });
  });

  test('the end cuts open sessions, blocked ones too, and says how many', async () => {
    const own = await startRedisWorld(
      {
        roles: new Map([
          ['read', { rules: ['+@all', '-@admin', '-@dangerous', '~*', '&*'], description: undefined }],
        ]),
      },
      (await shared()).redis,
    );
    const device = own.createDevice();
    const login = createLogin(own, {}, device);
    await login.issue();
    const commands = ['blpop nothing 0', 'subscribe news', 'ping'];
    const sessions = commands.map((command) => {
      const session = own.redis.open(login.handle, device.password);
      session.write(`${command}\n`);
      return session;
    });
    const clients = async () =>
      (await own.redis.admin('CLIENT', 'LIST'))
        .split('\n')
        .filter((line) => line.includes(` user=${login.handle} `));
    await waitFor(async () => (await clients()).length === 3, { what: 'three sessions' });
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    expect(await login.end()).toEqual({ sessionsEnded: 3, leftovers: [] });
    expect(await clients()).toEqual([]);
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    for (const session of sessions) await session.stop();
  });

  test('a survey lists a user of our scheme that says of nobody whose it is, and never as ours', async () => {
    const own = await shared();
    const names = [1, 2].map((n) => `oncall_mallory_${'0'.repeat(18)}${n}`);
    await own.redis.admin('ACL', 'SETUSER', names[0]!, 'on', 'nopass');
    const words = '(~oncall:until=1:broker=%ff:grant=%1b[31m:incident=x)';
    await own.redis.admin('ACL', 'SETUSER', names[1]!, words);
    await own.redis.admin('ACL', 'SETUSER', 'oncall_mallory');
    const survey = await own.issuer.survey(own.resource, AbortSignal.timeout(5_000));
    expect(survey).toEqual({
      persists: true,
      found: names.map((handle) => ({ handle, isOurs: false, expiresAtMs: undefined, note: '' })),
      isComplete: true,
    });
    await own.redis.admin('ACL', 'DELUSER', ...names, 'oncall_mallory');
  });

  test('one call made twice at the same time makes one login', async () => {
    const own = await shared();
    for (const login of [createLogin(own), createLogin(own), createLogin(own)]) {
      await Promise.all([login.issue(), login.issue(), login.issue()]);
      expect(await login.works()).toBe(true);
      await Promise.all([login.end(), codeOf(login.renew()), codeOf(login.renew())]);
      await login.end();
      expect(await lineOf(own, login.handle)).toBeUndefined();
    }
  });

  test('a guard stops new logins where users pile up, and those that exist go on', async () => {
    const own = await shared();
    const full = { ...own, resource: resourceWith({ ...own.settings, maxUsers: 2 }) };
    const [first, second, third] = [createLogin(full), createLogin(full), createLogin(full)];
    await first.issue();
    await second.issue();
    await expect(third.issue()).rejects.toMatchObject({
      code: 'target_refused',
      hint: expect.stringContaining('--check'),
    });
    await first.issue();
    expect(await codeOf(first.renew())).toBe('done');
    const checked = await own.issuer.check(full.resource, AbortSignal.timeout(10_000));
    expect(checked.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['ephemeral users']);
    await Promise.all([first.end(), second.end()]);
  });

  test('a removed user is not back after a restart, though it had been saved', async () => {
    const own = await shared();
    const login = createLogin(own);
    await login.issue();
    await own.redis.admin('ACL', 'SAVE');
    expect(readFileSync(own.redis.aclFile, 'utf8')).toContain(login.handle);
    await login.end();
    await own.redis.stop();
    await own.redis.start();
    expect(await login.works()).toBe(false);
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    expect(readFileSync(own.redis.aclFile, 'utf8')).not.toContain(login.handle);
  });

  test('a server without an ACL file is found, and the guide gives it one that keeps its users as they are', async () => {
    const redis = await startRedis({ aclFile: false });
    const own = await startRedisWorld({}, redis);
    const checked = await own.issuer.check(own.resource, AbortSignal.timeout(10_000));
    expect(checked.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['acl file']);
    // Without a file there is nothing to save: an end is as good.
    const login = createLogin(own);
    await login.issue();
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });

    const step = own.issuer.guide(own.resource).steps.find(({ text }) => text.includes('aclfile'))!.text;
    const lines = step
      .replace('-o redis -g redis ', '')
      .replace(' --askpass', ' --no-auth-warning')
      .replaceAll(/\/etc\/oncall\/\S+\.pem/g, redis.caFile)
      .replaceAll('/etc/redis/users.acl', redis.aclFile)
      .replaceAll('/etc/redis/redis.conf', redis.configFile);
    const env = { PATH: '/usr/bin:/bin', REDISCLI_AUTH: redis.password };
    execFileSync('sh', ['-eu'], { input: lines, env });
    const configuration = readFileSync(redis.configFile, 'utf8').replace(/^requirepass .*\n/m, '');
    writeFileSync(redis.configFile, configuration);
    await redis.stop('shutdown');
    await redis.start();
    expect(await own.reap()).toEqual({ code: 0, stderr: '' });
    expect(await missingIn(own)).toEqual([]);
    expect((await redis.cli(['ping'], { password: 'wrong' })).stdout).not.toContain('PONG');
  });

  describe('the reaper', () => {
    test('drops who outlived their time, cuts their sessions and keeps all others, broker or no broker', async () => {
      const own = await shared();
      const device = own.createDevice();
      const [over, alive] = [createLogin(own, {}, device), createLogin(own)];
      await over.issue({ lifeMs: 200 });
      await alive.issue();
      await own.redis.admin('ACL', 'SAVE');
      const session = own.redis.open(over.handle, device.password);
      session.write('ping\n');
      await session.waitForOutput('PONG');
      await waitFor(
        async () => {
          expect(await own.reap()).toEqual({ code: 0, stderr: '' });
          return (await lineOf(own, over.handle)) === undefined;
        },
        { what: 'the reaper' },
      );
      session.write('ping\n');
      await session.waitForOutput(/NOAUTH|Error|closed|refused|WRONGPASS/i);
      expect(await alive.works()).toBe(true);
      expect(await lineOf(own, 'oncall_broker')).toBeDefined();
      expect(readFileSync(own.redis.aclFile, 'utf8')).not.toContain(over.handle);
      expect(await codeOf(over.renew())).toBe('ended');
      expect(await over.prove()).toMatchObject({ state: 'proven' });
      await alive.end();
    });

    test('drops one of our names that carries no date', async () => {
      const own = await shared();
      const login = createLogin(own);
      await own.redis.admin('ACL', 'SETUSER', login.handle, 'on', 'nopass', '+@all', '~*');
      expect((await own.reap()).code).toBe(0);
      expect(await lineOf(own, login.handle)).toBeUndefined();
    });

    test('says so where the server does not answer or its login is gone', async () => {
      const own = await startRedisWorld();
      await own.redis.admin('ACL', 'SETUSER', 'oncall_reaper', '-acl|list');
      expect(await own.reap()).toMatchObject({ code: 1, stderr: expect.stringContaining('list its users') });
      await own.redis.stop();
      expect(await own.reap()).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('oncall-redis-reaper:'),
      });
    });

    test('may make no user', async () => {
      const own = await shared();
      const rules = await own.redis.admin('ACL', 'DRYRUN', 'oncall_reaper', 'ACL', 'SETUSER', 'x', 'on');
      expect(rules).toContain('no permissions');
    });

    test.skipIf(findCommand('systemd-analyze') === undefined)('has units that systemd takes', async () => {
      const { unitsFolder } = await shared();
      const units = readdirSync(unitsFolder).map((name) => join(unitsFolder, name));
      expect(units).toHaveLength(2);
      const said = execFileSync('systemd-analyze', ['verify', '--man=no', ...units], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
      expect(said).toBe('');
    });
  });

  describe('the check', () => {
    test('passes on a server set up by the guide, says that the broker is as good as an administrator, and leaves nothing', async () => {
      const own = await shared();
      expect(await missingIn(own)).toEqual([]);
      const found = await own.issuer.check(own.resource, AbortSignal.timeout(10_000));
      expect(found.find(({ name }) => name === 'broker')?.detail).toContain('administrator');
      expect(await own.redis.admin('ACL', 'USERS')).not.toContain('oncall_probe');
    });

    test.each([
      ['ACL SETUSER default nopass', ['default user'], 'ACL SETUSER default resetpass >PASSWORD'],
      ['ACL SETUSER oncall_broker -acl|dryrun', ['role read'], 'ACL SETUSER oncall_broker +acl|dryrun'],
      [
        'ACL SETUSER oncall_broker -acl|save',
        ['acl file', 'role read'],
        'ACL SETUSER oncall_broker +acl|save',
      ],
      ['DEL oncall:reaped', ['reaper'], 'SET oncall:reaped NOW'],
    ])('finds what is wrong after: %s', async (harm, names, repair) => {
      const own = await shared();
      await own.reap();
      await own.redis.admin(...harm.split(' '));
      expect(await missingIn(own)).toEqual(names);
      const seconds = String(Math.floor(Date.now() / 1000));
      const words = repair.replace('PASSWORD', own.redis.password).replace('NOW', seconds).split(' ');
      await own.redis.admin(...words);
      expect(await missingIn(own)).toEqual([]);
      await own.redis.cli([], { input: 'ACL LIST\n' });
    });

    test('finds a role that can make users, by asking the server', async () => {
      const own = await shared();
      const roles = new Map([['read', { rules: ['+@all', '~*'], description: undefined }]]);
      const wide = { ...own, resource: resourceWith({ ...own.settings, roles }) };
      const found = await own.issuer.check(wide.resource, AbortSignal.timeout(10_000));
      const role = found.find(({ name }) => name === 'role read');
      expect(role).toMatchObject({ ok: false, detail: expect.stringContaining('ACL SETUSER') });
    });

    test('says that the clocks are apart', async () => {
      const own = await startRedisWorld({}, (await shared()).redis);
      own.clock.skewMs = -60_000;
      expect(await missingIn(own)).toEqual(['clock']);
    });
  });

  test('a broker that trusts another CA, or asks by a name that the certificate lacks, does not connect', async () => {
    const { resource, settings } = await shared();
    for (const change of [{ host: '127.0.0.2' }, { caFile: 'other' }]) {
      const other = createRedisIssuer({
        installation: 'other/oncall+00000000',
        resolveSecret: async () => 'x',
        readCa: async () => (change.caFile ? '' : readFileSync(settings.caFile!, 'utf8')),
        now: Date.now,
      });
      const target = { ...settings, ...change };
      const checked = await other.check({ ...resource, target }, AbortSignal.timeout(5_000));
      expect(checked).toMatchObject([{ name: 'reachable', ok: false, fix: expect.any(String) }]);
    }
  });

  test('the date is by the target’s clock, whatever the broker’s says', async () => {
    const own = await shared();
    const login = createLogin(own);
    const nowMs = Date.now() - 3_600_000;
    const call = { subject: login.subject, handle: login.handle, nowMs, expiresAtMs: nowMs + LIFE_MS };
    const material = own.createDevice().material;
    const rest = { deadlineMs: nowMs + 10_000, signal: AbortSignal.timeout(9_000), seal: async () => '' };
    await own.issuer.issue({ ...call, ...rest, material });
    expect(Math.abs(untilOf(await lineOf(own, login.handle)) - (Date.now() + LIFE_MS))).toBeLessThan(5_000);
    await login.end();
  });
});
