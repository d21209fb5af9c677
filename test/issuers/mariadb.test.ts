import { describe, expect, test } from 'vitest';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { codeOf, createLogin, HOSTILE, issuerContract, LIFE_MS, subjectOf } from './contract.ts';
import { BROKER_PASSWORD, type MariadbWorld, startMariadbWorld } from './mariadb-world.ts';
import { resourceWith } from './postgres-world.ts';

describe.skipIf(!part('mariadb'))('mariadb', () => {
  let world: Promise<MariadbWorld> | undefined;
  const shared = (): Promise<MariadbWorld> => {
    world ??= startMariadbWorld();
    return world;
  };
  async function rowOf(own: MariadbWorld, handle: string) {
    const line = await own.server.admin(
      `SELECT until_ms, closing, about FROM oncall.logins WHERE name = '${handle}'`,
    );
    const [until, closing, about] = line.split('\t');
    return line === '' ? undefined : { untilMs: Number(until), closing, about };
  }
  const accountsNamed = async (own: MariadbWorld, handle: string) =>
    own.server.admin(`SELECT COUNT(*) FROM mysql.global_priv WHERE User = '${handle}'`);

  issuerContract('mariadb', shared);

  describe('a login', () => {
    test('is an account with the role’s rights, few connections, TLS, a date, and words that say whose it is', async () => {
      const own = await shared();
      const login = createLogin(own);
      const { expiresAtMs } = await login.issue();
      const grants = await own.server.admin(`SHOW GRANTS FOR '${login.handle}'@'%'`);
      expect(grants).toContain(`GRANT \`readers\` TO \`${login.handle}\`@\`%\``);
      expect(grants).toContain(`SET DEFAULT ROLE \`readers\` FOR`);
      expect(grants).toMatch(/GRANT USAGE ON \*\.\* TO .* REQUIRE SSL WITH MAX_USER_CONNECTIONS 10/);
      const row = await rowOf(own, login.handle);
      expect(Math.abs(row!.untilMs - expiresAtMs)).toBeLessThan(1_000);
      for (const part of [login.subject.grantId, 'ada', 'P1-123', 'db-replica:read']) {
        expect(row?.about).toContain(part);
      }
      await login.end();
      expect(await rowOf(own, login.handle)).toBeUndefined();
    });

    test('comes in with TLS only', async () => {
      const own = await shared();
      const device = own.createDevice();
      const login = createLogin(own, {}, device);
      await login.issue();
      const plain = { user: login.handle, password: device.password, tls: false };
      expect(await own.server.client(plain, 'SELECT 1')).toMatchObject({ code: 1, stdout: '' });
      expect(await login.works()).toBe(true);
      await login.end();
    });

    test.each([
      '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19',
      'A'.repeat(43),
      'secret',
      `${'A'.repeat(42)}E=`,
      '',
    ])('is not made with %j in place of a verifier', async (verifier) => {
      const device = {
        material: { kind: 'mariadb' as const, verifier: verifier.replace(/^A{43}$/, `${'A'.repeat(42)}B`) },
        login: async () => false,
      };
      const own = await shared();
      const login = createLogin(own, {}, device);
      expect(await codeOf(login.issue())).toBe('invalid_request');
      expect(await accountsNamed(own, login.handle)).toBe('0');
    });

    test('is renewed by its date alone, and a transaction of it goes on across renewals', async () => {
      const own = await shared();
      const device = own.createDevice();
      const login = createLogin(own, {}, device);
      const session = await own.open(await login.issue(), device);
      session.write("START TRANSACTION; SELECT COUNT(*), 'begun' FROM orders.orders;\n");
      await session.waitForOutput('begun');
      const account = () =>
        own.server.admin(`SELECT Priv FROM mysql.global_priv WHERE User = '${login.handle}'`);
      const before = { account: await account(), row: await rowOf(own, login.handle) };
      for (const lifeMs of [500_000, 600_000, 700_000]) await login.renew({ lifeMs });
      const row = await rowOf(own, login.handle);
      expect(await account()).toBe(before.account);
      expect(row!.untilMs).toBeGreaterThan(before.row!.untilMs + 400_000);
      session.write("SELECT COUNT(*), 'still here' FROM orders.orders; COMMIT;\n");
      await session.waitForOutput('still here');
      expect(await login.end()).toEqual({ sessionsEnded: 1, leftovers: [] });
    });

    test('that was dropped by hand is not renewed: it has ended, and is not made again', async () => {
      const own = await shared();
      const login = createLogin(own);
      await login.issue();
      await own.server.admin(`DROP USER '${login.handle}'@'%'`);
      expect(await codeOf(login.renew())).toBe('ended');
      await login.end();
      expect(await codeOf(login.renew())).toBe('ended');
      expect(await accountsNamed(own, login.handle)).toBe('0');
    });

    test('whose end has begun is neither renewed nor made again', async () => {
      const own = await shared();
      const login = createLogin(own);
      await login.issue();
      await own.server.admin(`UPDATE oncall.logins SET closing = 1 WHERE name = '${login.handle}'`);
      expect(await codeOf(login.renew())).toBe('ended');
      expect(await codeOf(login.issue())).toBe('ended');
      await login.end();
    });

    test('that is another’s name is never touched, by the issuer or by the procedures', async () => {
      const own = await shared();
      const times = { expiresAtMs: Date.now(), nowMs: Date.now(), signal: AbortSignal.timeout(5_000) };
      const call = { subject: subjectOf(own), handle: 'root', publicPart: undefined, ...times };
      expect(await codeOf(own.issuer.end(call))).toBe('internal');
      expect(await codeOf(own.issuer.prove(call))).toBe('internal');
      const broker = { user: 'oncall_broker', password: BROKER_PASSWORD };
      const name = 'oncall_ada_0123456789abcdefghj';
      const verifier = 'A'.repeat(43);
      for (const statement of [
        "CALL oncall.end_login('root')",
        `CALL oncall.end_login('${name}\\n')`,
        `CALL oncall.make_login('oncall_broker', '${verifier}', 'readers', '', '', 9e12, 9e12, 1)`,
        `CALL oncall.make_login('${name}', '${verifier}\\n', 'readers', '', '', 9e12, 9e12, 1)`,
        `CALL oncall.make_login('${name}', '''; DROP USER root@localhost', 'readers', '', '', 9e12, 9e12, 1)`,
        `CALL oncall.make_login('${name}', '${verifier}', 'readers\` TO x; --', '', '', 9e12, 9e12, 1)`,
        `CALL oncall.make_login('${name}', '${verifier}', 'boss', '', '', 9e12, 9e12, 1)`,
        'SELECT * FROM oncall.logins',
        'CREATE USER x',
        'DROP USER root@localhost',
        'SELECT * FROM mysql.global_priv',
      ]) {
        const { code, stderr } = await own.server.client(broker, statement);
        expect({ statement, code, stderr }).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('ERROR'),
        });
      }
      expect(await own.server.admin("SELECT COUNT(*) FROM mysql.global_priv WHERE User = 'root'")).not.toBe(
        '0',
      );
      await own.server.admin(`DROP USER IF EXISTS '${name}'; DELETE FROM oncall.logins;`);
    });

    test('has its date by the target’s clock, whatever the broker’s says', async () => {
      const own = await shared();
      const login = createLogin(own);
      const nowMs = Date.now() - 3_600_000;
      const call = { subject: login.subject, handle: login.handle, nowMs, expiresAtMs: nowMs + LIFE_MS };
      const rest = { deadlineMs: nowMs + 10_000, signal: AbortSignal.timeout(9_000), seal: async () => '' };
      await own.issuer.issue({ ...call, ...rest, material: own.createDevice().material });
      const row = await rowOf(own, login.handle);
      expect(Math.abs(row!.untilMs - (Date.now() + LIFE_MS))).toBeLessThan(5_000);
      await login.end();
    });
  });

  describe('the end', () => {
    test('cuts sessions, one in the middle of a statement too, and says how many', async () => {
      const own = await shared();
      const device = own.createDevice();
      const login = createLogin(own, {}, device);
      const issued = await login.issue();
      const sessions = [await own.open(issued, device), await own.open(issued, device)];
      sessions[0]!.write('SELECT SLEEP(600);\n');
      sessions[1]!.write('START TRANSACTION; SELECT COUNT(*) FROM orders.orders;\n');
      const count = () =>
        own.server.admin(
          `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '${login.handle}'`,
        );
      expect(await count()).toBe('2');
      expect(await login.prove()).toMatchObject({ state: 'unproven' });
      expect(await login.end()).toEqual({ sessionsEnded: 2, leftovers: [] });
      expect(await count()).toBe('0');
      expect(await login.prove()).toMatchObject({ state: 'proven' });
      await sessions[0]!.ended;
    });

    test('drops code that runs as the login, names what it was, and leaves its tables', async () => {
      const own = await startMariadbWorld(
        { roles: new Map([['read', { grant: 'builders', description: undefined }]]) },
        (await shared()).server,
      );
      await own.server.admin(`GRANT ALL PRIVILEGES ON orders.* TO builders;`);
      const device = own.createDevice();
      const login = createLogin(own, {}, device);
      const session = await own.open(await login.issue(), device);
      session.write(`USE orders;
        CREATE TABLE mine (id INT);
        CREATE VIEW a_view AS SELECT 1 AS one;
        CREATE TRIGGER a_trigger BEFORE INSERT ON orders FOR EACH ROW SET @x = 1;
        CREATE PROCEDURE \`a\`\`b; DROP TABLE orders\`() SELECT 1;
        CREATE FUNCTION a_function() RETURNS INT RETURN 1;
        CREATE EVENT an_event ON SCHEDULE EVERY 1 DAY DO SELECT 1;
        SELECT 'all made';\n`);
      await session.waitForOutput('all made');
      const { leftovers } = await login.end();
      expect([...leftovers].sort()).toEqual([
        'event orders.an_event dropped',
        'function orders.a_function dropped',
        'procedure orders.a`b; DROP TABLE orders dropped',
        'trigger orders.a_trigger dropped',
        'view orders.a_view dropped',
      ]);
      expect(
        await own.server.admin(
          'INSERT INTO orders.orders VALUES (1); DELETE FROM orders.orders; SHOW TABLES IN orders',
        ),
      ).toBe('mine\norders');
      await own.server.admin('DROP TABLE orders.mine; DROP ROLE builders');
    });

    test('is done by one of two calls at once, and the other finds nothing to do', async () => {
      const own = await shared();
      for (const login of [createLogin(own), createLogin(own)]) {
        await Promise.all([login.issue(), login.issue()]);
        expect(await login.works()).toBe(true);
        await Promise.all([login.end(), login.end(), codeOf(login.renew())]);
        expect(await login.prove()).toMatchObject({ state: 'proven' });
        expect(await rowOf(own, login.handle)).toBeUndefined();
      }
    });
  });

  test('a guard stops new logins where accounts pile up, and those that exist go on', async () => {
    const own = await shared();
    const full = { ...own, resource: resourceWith({ ...own.settings, maxAccounts: 2 }) };
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
    expect(checked.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['ephemeral accounts']);
    await Promise.all([first.end(), second.end()]);
  });

  test('a survey lists an account of our scheme that stands in no table, and never as ours', async () => {
    const own = await shared();
    const name = 'oncall_mallory_0123456789abcdefghj';
    await own.server.admin(
      `ALTER EVENT oncall.reap DISABLE; CREATE USER '${name}'@'%'; CREATE USER oncall_mallory;`,
    );
    const survey = await own.issuer.survey(own.resource, AbortSignal.timeout(5_000));
    expect(survey).toEqual({
      persists: true,
      found: [{ handle: name, isOurs: false, expiresAtMs: undefined, note: '' }],
      isComplete: true,
    });
    await own.server.admin(`DROP USER '${name}'@'%', oncall_mallory; ALTER EVENT oncall.reap ENABLE;`);
  });

  test('nothing of a login reaches the binary log, and so no replica, where its sessions would outlive it', async () => {
    const own = await shared();
    const position = () => own.server.admin('SHOW MASTER STATUS');
    const before = await position();
    const login = createLogin(own);
    await login.issue();
    await login.renew();
    await login.end();
    expect(await position()).toBe(before);
  });

  test('the event drops who outlived their time, cuts their sessions and keeps all others', async () => {
    const own = await shared();
    await own.server.admin('ALTER EVENT oncall.reap ON SCHEDULE EVERY 1 SECOND');
    const device = own.createDevice();
    const [over, alive, stray] = [createLogin(own, {}, device), createLogin(own), createLogin(own)];
    await alive.issue();
    await own.server.admin(`CREATE USER '${stray.handle}'@'%' IDENTIFIED BY 'x'`);
    const session = await own.open(await over.issue({ lifeMs: 1_500 }), device);
    session.write('SELECT SLEEP(600);\n');
    const gone = async (handle: string) => (await accountsNamed(own, handle)) === '0';
    await waitFor(async () => (await gone(over.handle)) && (await gone(stray.handle)), { what: 'the event' });
    await session.ended;
    expect(await over.prove()).toMatchObject({ state: 'proven' });
    expect(await codeOf(over.renew())).toBe('ended');
    expect(await alive.works()).toBe(true);
    await alive.end();
    await own.server.admin('ALTER EVENT oncall.reap ON SCHEDULE EVERY 15 SECOND');
  });

  test.each(HOSTILE)(
    'the table at the target says whose a login is, for an incident named %j too',
    async (incident) => {
      const own = await shared();
      const login = createLogin(own, { incident });
      await login.issue();
      expect((await rowOf(own, login.handle))?.about).toContain(login.subject.grantId);
      await login.end();
    },
  );
});
