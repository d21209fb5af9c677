import { readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { createPostgresIssuer } from '../../src/issuers/postgres.ts';
import type { AppError } from '../../src/protocol/errors.ts';
import { createId } from '../../src/protocol/ids.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { codeOf, createLogin, HOSTILE, issuerContract, subjectOf } from './contract.ts';
import { type PostgresWorld, psql, RIGHTS, resourceWith, startPostgresWorld } from './postgres-world.ts';

describe.skipIf(!part('postgres') || !part('psql'))('postgres', () => {
  let world: Promise<PostgresWorld> | undefined;
  const shared = (): Promise<PostgresWorld> => {
    world ??= startPostgresWorld();
    return world;
  };
  async function rolesNamed(handle: string) {
    const { database } = await shared();
    return await database.sql('select * from pg_roles where rolname = $1', [handle]);
  }

  issuerContract('postgres', shared);

  describe('a login', () => {
    test('is a role with the template’s rights, a date, few connections, and words that say whose it is', async () => {
      const login = createLogin(await shared());
      const { expiresAtMs } = await login.issue();
      const { database } = await shared();
      const [role] = await database.sql(
        `select *, shobj_description(oid, 'pg_authid') as comment from pg_roles where rolname = $1`,
        [login.handle],
      );
      expect(role).toMatchObject({
        rolcanlogin: true,
        rolsuper: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolreplication: false,
        rolbypassrls: false,
        rolconnlimit: 10,
        rolvaliduntil: new Date(expiresAtMs),
      });
      for (const part of [login.subject.grantId, 'ada', 'P1-123', 'db-replica:read']) {
        expect(role?.comment).toContain(part);
      }
      expect(await login.end()).toEqual({ sessionsEnded: 0, leftovers: [] });
    });

    test('is named the same for the same credential, fits PostgreSQL’s 63 bytes, and differs for another', async () => {
      const { issuer } = await shared();
      for (const user of ['ada', 'Ada.Lovelace@example.com', '', ...HOSTILE]) {
        const subject = subjectOf(await shared(), { user });
        expect(issuer.chooseHandle(subject)).toBe(issuer.chooseHandle(subject));
        expect(issuer.chooseHandle(subject)).toMatch(/^oncall_[a-z0-9_]{1,36}_[0-9a-z]{19}$/);
        const other = { ...subject, credentialId: createId('cr', Date.now()) };
        expect(issuer.chooseHandle(other)).not.toBe(issuer.chooseHandle(subject));
      }
    });

    test.each(['md5a8c9b4', 'SCRAM-SHA-256$4096:x$y:z', 'secret', ''])(
      'is not made with %j in place of a verifier',
      async (verifier) => {
        const login = createLogin(
          await shared(),
          {},
          {
            material: { kind: 'postgres', verifier },
            login: async () => false,
          },
        );
        expect(await codeOf(login.issue())).toBe('invalid_request');
        expect(await rolesNamed(login.handle)).toEqual([]);
      },
    );

    test('is refused after its date, and a renewal moves the date', async () => {
      const login = createLogin(await shared());
      await login.issue({ lifeMs: -1_000 });
      expect(await login.works()).toBe(false);
      const { expiresAtMs } = await login.renew({ lifeMs: 60_000 });
      expect(await login.works()).toBe(true);
      const [role] = await rolesNamed(login.handle);
      expect(role).toMatchObject({ rolvaliduntil: new Date(expiresAtMs) });
      await login.end();
    });

    test('is not renewed once it has ended or its end has begun', async () => {
      const { database } = await shared();
      const login = createLogin(await shared());
      await login.issue();
      await database.sql(`alter role "${login.handle}" nologin`);
      expect(await codeOf(login.renew())).toBe('ended');
      expect(await codeOf(login.issue())).toBe('ended');
      await login.end();
      expect(await codeOf(login.renew())).toBe('ended');
    });

    test('cannot give what it makes to its template, out of the quarantine’s reach', async () => {
      const own = await shared();
      const device = own.createDevice();
      const login = createLogin(own, {}, device);
      const client = await own.connect(await login.issue(), device);
      await client.query('create table handed_over (id int)');
      await expect(client.query('alter table handed_over owner to readers')).rejects.toThrow(/SET ROLE/);
      await expect(client.query('set role readers')).rejects.toThrow(/permission denied/);
      await client.end();
      await login.end();
    });

    test('that is another’s name is never touched', async () => {
      const { issuer, database } = await shared();
      const subject = subjectOf(await shared());
      const call = {
        subject,
        handle: 'postgres',
        publicPart: undefined,
        expiresAtMs: Date.now(),
        nowMs: Date.now(),
        signal: AbortSignal.timeout(5_000),
      };
      expect(await codeOf(issuer.end(call))).toBe('internal');
      expect(await codeOf(issuer.prove(call))).toBe('internal');
      expect(await database.sql("select rolcanlogin from pg_roles where rolname = 'postgres'")).toEqual([
        { rolcanlogin: true },
      ]);
    });

    test('made by somebody else under our name is refused, not taken over', async () => {
      const { database } = await shared();
      const login = createLogin(await shared());
      await database.sql(`create role "${login.handle}" login`);
      const error = await login.issue().catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'target_refused', hint: expect.stringContaining('--check') });
      expect((error as AppError).message).not.toContain('permission');
      expect((error as AppError).cause).toBeInstanceOf(pg.DatabaseError);
      await database.sql(`drop role "${login.handle}"`);
    });
  });

  test('one call made twice at the same time makes one login', async () => {
    const logins = Array.from({ length: 5 }, async () => createLogin(await shared()));
    for (const login of await Promise.all(logins)) {
      await Promise.all([login.issue(), login.issue()]);
      expect(await login.works()).toBe(true);
      await login.end();
    }
  });

  test('a guard stops new logins where ephemeral roles pile up, and those that exist go on', async () => {
    const { issuer, settings } = await shared();
    const full = { ...(await shared()), resource: resourceWith({ ...settings, maxRoles: 2 }) };
    const [first, second, third] = [createLogin(full), createLogin(full), createLogin(full)];
    await first!.issue();
    await second!.issue();
    await expect(third!.issue()).rejects.toMatchObject({
      code: 'target_refused',
      hint: expect.stringContaining('--check'),
    });
    await first!.issue();
    expect(await codeOf(first!.renew())).toBe('done');
    const checked = await issuer.check(full.resource, AbortSignal.timeout(10_000));
    expect(checked.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['ephemeral roles']);
    await first!.end();
    await third!.issue();
    await Promise.all([second!.end(), third!.end()]);
  });

  test('a login is served in TLS only and to members of the templates, by the guide’s pg_hba.conf', async () => {
    const own = await startPostgresWorld();
    const { issuer, resource, database, server } = own;
    const [row] = await database.sql<{ file: string }>("select current_setting('hba_file') as file");
    const lines = issuer.guide(resource).steps.find(({ where }) => where.startsWith('pg_hba.conf'))!.text;
    const before = readFileSync(row!.file, 'utf8');
    writeFileSync(row!.file, `${lines}\nhost all postgres 127.0.0.1/32 scram-sha-256\n`);
    await database.sql('select pg_reload_conf()');
    await waitFor(() => server.log().includes('reloading configuration files'), { what: 'the reload' });
    expect(await database.sql('select error from pg_hba_file_rules where error is not null')).toEqual([]);
    const device = own.createDevice();
    const login = createLogin(own, {}, device);
    await login.issue();
    expect(await login.works()).toBe(true);
    const plain = new pg.Client(database.urlFor(login.handle, device.password));
    await expect(plain.connect()).rejects.toMatchObject({ code: '28000' });
    writeFileSync(row!.file, before);
  });

  test('a broker that trusts another CA, or asks by a name that the certificate lacks, does not connect', async () => {
    const { resource, settings } = await shared();
    for (const change of [{ host: '127.0.0.2' }, { caFile: 'other' }]) {
      const other = createPostgresIssuer({
        installation: 'other/oncall+00000000',
        resolveSecret: async () => 'x',
        readCa: async () => (change.caFile ? '' : readFileSync(settings.caFile!, 'utf8')),
        now: Date.now,
      });
      const target = { ...settings, ...change };
      const checked = await other.check({ ...resource, target }, AbortSignal.timeout(5_000));
      expect(checked).toMatchObject([{ name: 'reachable', ok: false, fix: expect.any(String) }]);
      await other.close();
    }
  });

  describe('the check', () => {
    async function missingIn(own: PostgresWorld): Promise<string[]> {
      const found = await own.issuer.check(own.resource, AbortSignal.timeout(10_000));
      for (const { ok, fix } of found) expect(fix === undefined).toBe(ok);
      return found.filter(({ ok }) => !ok).map(({ name }) => name);
    }

    test('passes on a fresh server set up by the guide, a second time too', async () => {
      const own = await shared();
      expect(await missingIn(own)).toEqual([]);
      const [roles] = own.issuer.guide(own.resource).steps;
      const { rolpassword } = (
        await own.database.sql("select rolpassword from pg_authid where rolname = 'oncall_broker'")
      )[0]!;
      await psql(own.database, roles!.text);
      await own.database.sql(`alter role oncall_broker password '${rolpassword}'`);
      expect(await missingIn(own)).toEqual([]);
      const rights = own.issuer.guide(own.resource).steps[1]!;
      await psql(own.database, rights.text);
      await own.database.sql(RIGHTS);
    });

    test.each([
      ['alter role oncall_broker superuser', ['not superuser'], 'alter role oncall_broker nosuperuser'],
      [
        'alter role oncall_broker nocreaterole',
        ['createrole', 'dry run'],
        'alter role oncall_broker createrole',
      ],
      [
        'revoke pg_signal_backend from oncall_broker',
        ['pg_signal_backend'],
        'grant pg_signal_backend to oncall_broker',
      ],
      ['alter role readers login', ['template readers'], 'alter role readers nologin'],
      [
        'grant pg_read_server_files to readers',
        ['template readers'],
        'revoke pg_read_server_files from readers',
      ],
      [
        'create role between nologin; grant pg_execute_server_program to between; grant between to readers',
        ['template readers'],
        'drop role between',
      ],
      [
        'create table owned (i int); alter table owned owner to readers',
        ['template readers'],
        'drop table owned',
      ],
      [
        'revoke admin option for readers from oncall_broker',
        ['template readers', 'dry run'],
        'grant readers to oncall_broker with admin option, inherit false, set false',
      ],
      ['alter role oncall_quarantine login', ['quarantine role'], 'alter role oncall_quarantine nologin'],
      [
        'revoke oncall_quarantine from oncall_broker',
        ['quarantine role', 'dry run'],
        'grant oncall_quarantine to oncall_broker with inherit true, set true',
      ],
      ["alter role oncall_broker set password_encryption = 'md5'", ['password encryption'], ''],
    ])('finds what is wrong after: %s', async (harm, names, repair) => {
      const own = await startPostgresWorld({}, (await shared()).server);
      await own.database.sql(harm);
      expect(await missingIn(own)).toEqual(names);
      await own.database.sql(repair || 'alter role oncall_broker reset password_encryption');
    });

    test('leaves nothing behind', async () => {
      const { database } = await shared();
      expect(await database.sql("select rolname from pg_roles where rolname like 'oncall_probe%'")).toEqual(
        [],
      );
    });

    test('says that the clocks are apart', async () => {
      const own = await startPostgresWorld({}, (await shared()).server);
      own.clock.skewMs = -60_000;
      expect(await missingIn(own)).toEqual(['clock']);
    });
  });
});
