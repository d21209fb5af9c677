import { describe, expect, test } from 'vitest';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { codeOf, createLogin, LIFE_MS } from './contract.ts';
import { BROKER_PASSWORD, type MariadbWorld, startMariadbWorld } from './mariadb-world.ts';

describe.skipIf(!part('mariadb'))('a mariadb target in trouble', () => {
  let world: Promise<MariadbWorld> | undefined;
  const shared = (): Promise<MariadbWorld> => {
    world ??= startMariadbWorld();
    return world;
  };
  async function traceOf(own: MariadbWorld, handle: string): Promise<string> {
    const rows = `SELECT until_ms, closing FROM oncall.logins WHERE name = '${handle}'`;
    const account = `SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv WHERE User = '${handle}'`;
    return own.server.admin(`${rows}; ${account};`);
  }

  test('that is down makes no login and says to try again; nothing is left of it', async () => {
    const own = await shared();
    await own.server.stop('crash');
    const login = createLogin(own);
    expect(await codeOf(login.issue())).toBe('target_unreachable');
    expect(await codeOf(login.end())).toBe('target_unreachable');
    expect(await codeOf(login.prove())).toBe('target_unreachable');
    await own.server.start();
    expect(await traceOf(own, login.handle)).toBe('');
    await login.issue();
    expect(await login.works()).toBe(true);
    await login.end();
  });

  test('that is down at the end keeps the login, and loses it when it is back', async () => {
    const own = await shared();
    const login = createLogin(own);
    await login.issue();
    await own.server.stop('shutdown');
    expect(await codeOf(login.end())).toBe('target_unreachable');
    expect(await codeOf(login.prove())).toBe('target_unreachable');
    await own.server.start();
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
  });

  test('that is frozen is given up at the signal, and makes nothing when it thaws', async () => {
    const own = await shared();
    const warm = createLogin(own);
    await warm.issue();
    const login = createLogin(own);
    own.server.pause();
    const deadlineMs = Date.now() + 600;
    const issuing = codeOf(login.issue({ deadlineMs, signal: AbortSignal.timeout(500) }));
    const ending = codeOf(warm.end({ signal: AbortSignal.timeout(500) }));
    expect(await issuing).toBe('target_unreachable');
    expect(await ending).toBe('target_unreachable');
    await waitFor(() => Date.now() > deadlineMs, { what: 'the end of the lease' });
    own.server.resume();
    await warm.end();
    expect(await traceOf(own, login.handle)).toBe('');
  });

  test('that is asked after the lease does nothing, for a renewal neither', async () => {
    const own = await shared();
    const late = createLogin(own);
    expect(await codeOf(late.issue({ deadlineMs: Date.now() - 1 }))).toBe('target_unreachable');
    expect(await traceOf(own, late.handle)).toBe('');
    const login = createLogin(own);
    await login.issue();
    const before = await traceOf(own, login.handle);
    const renewal = login.renew({ lifeMs: LIFE_MS * 2, deadlineMs: Date.now() - 1 });
    expect(await codeOf(renewal)).toBe('target_unreachable');
    // The first call again, by a broker that was paused: what it made then is left alone.
    expect(await codeOf(login.issue({ deadlineMs: Date.now() - 1 }))).toBe('target_unreachable');
    expect(await traceOf(own, login.handle)).toBe(before);
    expect(await login.works()).toBe(true);
    await login.end();
  });

  test('where a lock held the call up past the lease opens no login, though the call began in time', async () => {
    const own = await shared();
    const login = createLogin(own);
    // A backup's lock: account statements wait for it.
    const blocker = own.server.admin('FLUSH TABLES WITH READ LOCK; SELECT SLEEP(1.5); UNLOCK TABLES;');
    await waitFor(async () => (await own.server.admin('SHOW PROCESSLIST')).includes('SLEEP(1.5)'), {
      what: 'the lock',
    });
    const issuing = await codeOf(login.issue({ deadlineMs: Date.now() + 500 }));
    await blocker;
    expect(issuing).toBe('target_unreachable');
    expect(await login.works()).toBe(false);
    expect(await traceOf(own, login.handle)).toBe('');
    await login.issue();
    expect(await login.works()).toBe(true);
    await login.end();
  });

  test('whose answer was lost may have made the login, and the end takes it away all the same', async () => {
    const own = await shared();
    const login = createLogin(own);
    const blocker = own.server.admin('FLUSH TABLES WITH READ LOCK; SELECT SLEEP(1.2); UNLOCK TABLES;');
    await waitFor(async () => (await own.server.admin('SHOW PROCESSLIST')).includes('SLEEP(1.2)'), {
      what: 'the lock',
    });
    expect(await codeOf(login.issue({ signal: AbortSignal.timeout(300) }))).toBe('target_unreachable');
    await blocker;
    // The call goes on at the server, which does not see that nobody waits: it is in time.
    await waitFor(async () => (await traceOf(own, login.handle)).split('\n').length === 2, {
      what: 'the account of the call that was given up',
    });
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    expect(await traceOf(own, login.handle)).toBe('');
  });

  test('whose call died half-way has left an account that is locked, and the end takes it away', async () => {
    const own = await shared();
    const login = createLogin(own);
    await login.issue();
    await own.server.admin(`ALTER USER '${login.handle}'@'%' ACCOUNT LOCK`);
    expect(await login.works()).toBe(false);
    expect(await codeOf(login.renew())).toBe('ended');
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    expect(await traceOf(own, login.handle)).toBe('');
  });

  test('that is read-only still lets in, renews and ends', async () => {
    const own = await shared();
    await own.server.admin('SET GLOBAL read_only = ON');
    try {
      const login = createLogin(own);
      await login.issue();
      expect(await login.works()).toBe(true);
      await login.renew();
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'proven' });
    } finally {
      await own.server.admin('SET GLOBAL read_only = OFF');
    }
  });

  test('that knows the broker by another password refuses, without a word of it in the message', async () => {
    const own = await shared();
    const password = (text: string) =>
      own.server.admin(`ALTER USER oncall_broker@'%' IDENTIFIED VIA ed25519 USING PASSWORD('${text}')`);
    await password('another');
    const error = await createLogin(own)
      .issue()
      .catch((caught: unknown) => caught);
    await password(BROKER_PASSWORD);
    expect(error).toMatchObject({ code: 'target_refused', message: expect.not.stringContaining('password') });
  });

  test('whose role is gone refuses, and what was half made is taken away by the end', async () => {
    const own = await startMariadbWorld({}, (await shared()).server);
    await own.server.admin('DROP ROLE readers');
    const login = createLogin(own);
    expect(await codeOf(login.issue())).toBe('target_refused');
    expect(await login.works()).toBe(false);
    await login.end();
    expect(await traceOf(own, login.handle)).toBe('');
  });
});
