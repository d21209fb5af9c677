import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { EndReport } from '../../src/issuers/issuer.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { codeOf, createLogin } from './contract.ts';
import { type PostgresWorld, resourceWith, startPostgresWorld } from './postgres-world.ts';

describe.skipIf(!part('postgres') || !part('psql'))('the end of a postgres login', () => {
  let world: Promise<PostgresWorld> | undefined;
  const shared = (): Promise<PostgresWorld> => {
    world ??= startPostgresWorld();
    return world;
  };

  /** A login that runs SQL, and then ends. */
  async function startLogin(own: PostgresWorld) {
    const device = own.createDevice();
    const login = createLogin(own, {}, device);
    const issued = await login.issue();
    return {
      ...login,
      connect: (database?: string): Promise<pg.Client> => own.connect(issued, device, database),
      async run(sql: string, database?: string): Promise<void> {
        const client = await own.connect(issued, device, database);
        await client.query(sql);
        await client.end();
      },
    };
  }

  async function ownerOf(own: PostgresWorld, table: string): Promise<unknown> {
    const [row] = await own.database.sql('select tableowner from pg_tables where tablename = $1', [table]);
    return row?.tableowner;
  }

  async function endAndProve(login: {
    end(): Promise<EndReport>;
    prove(): Promise<unknown>;
  }): Promise<EndReport> {
    const report = await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    return report;
  }

  test('cuts its sessions, idle, busy and waiting, and counts them', async () => {
    const own = await shared();
    const login = await startLogin(own);
    const [idle, busy, locker, waiter] = await Promise.all([1, 2, 3, 4].map(() => login.connect()));
    const other = await startLogin(own);
    const bystander = await other.connect();
    const asleep = busy!.query('select pg_sleep(600)').catch((error: unknown) => error);
    await locker!.query('begin; lock table public.orders in access share mode');
    await bystander.query('select pg_advisory_lock(4711)');
    const waiting = waiter!.query('select pg_advisory_lock(4711)').catch((error: unknown) => error);
    expect((await endAndProve(login)).sessionsEnded).toBe(4);
    expect(await asleep).toBeInstanceOf(Error);
    expect(await waiting).toBeInstanceOf(Error);
    await expect(idle!.query('select 1')).rejects.toThrow();
    expect((await bystander.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await bystander.end();
    await other.end();
  });

  test('hands what it owned to the quarantine role, which has no rights before and after', async () => {
    const own = await shared();
    const login = await startLogin(own);
    await login.run(`
      create table plain (id int); insert into plain values (7);
      create table "odd "" name; --" (id int);
      create sequence numbers; create view shown as select * from plain; create type pair as (a int);
      create domain small as int; create function plain_fn() returns int language sql as 'select 1';
      create operator === (leftarg = int, rightarg = int, function = int4eq);
      create aggregate total(int) (sfunc = int4pl, stype = int);
      create collation mine from "C"; create text search dictionary words (template = simple);
      create statistics about on id, (id + 1) from plain;
      grant select on plain to public;
      alter default privileges grant select on tables to public;
      select lo_create(4242)`);
    const { leftovers } = await endAndProve(login);
    expect(await ownerOf(own, 'plain')).toBe('oncall_quarantine');
    expect(await own.database.sql('select * from plain')).toEqual([{ id: 7 }]);
    expect(leftovers).toHaveLength(13);
    const { database } = own.settings;
    expect(leftovers).toContain(`table public.plain reassigned to oncall_quarantine in database ${database}`);
    expect(leftovers).toContain(
      `function public.plain_fn() reassigned to oncall_quarantine in database ${database}`,
    );
    expect(
      await own.database.sql(
        `select has_schema_privilege('oncall_quarantine', 'public', 'create') as creates,
                (select count(*)::int from pg_auth_members where member = 'oncall_quarantine'::regrole) as member`,
      ),
    ).toEqual([{ creates: false, member: 0 }]);
  });

  test('reaches every database of the cluster in which it left something', async () => {
    const own = await shared();
    const second = await own.server.database('billing');
    await second.sql('grant usage, create on schema public to readers');
    const login = await startLogin(own);
    await login.run('create table first_one (id int)');
    await login.run('create table second_one (id int)', second.database);
    const { leftovers } = await endAndProve(login);
    expect(leftovers.map((line) => line.split(' ').at(-1))).toEqual([own.settings.database, second.database]);
    expect(await second.sql("select tableowner from pg_tables where tablename = 'second_one'")).toEqual([
      { tableowner: 'oncall_quarantine' },
    ]);
  });

  describe('of one that left code for others to run', () => {
    const TRAPS = `
      create function definer() returns text language sql security definer as 'select current_user::text';
      create procedure proc() language sql security definer as 'select 1';
      create function snoop() returns trigger language plpgsql as 'begin return new; end';
      create trigger on_others before insert on public.orders for each row execute function snoop();
      create table mine (id int);
      create trigger on_mine before update on mine for each row execute function suppress_redundant_updates_trigger();
      create function resting() returns int language sql security definer as 'select 1';
      create table rests (id int default resting())`;
    const TIDY = `drop table mine, rests; drop function resting() cascade;
      drop function if exists definer(), snoop() cascade; drop procedure if exists proc()`;

    async function routines(own: PostgresWorld) {
      return await own.database.sql(
        `select proname as name, prosecdef as definer, proowner::regrole::text as owner from pg_proc
          where proname in ('definer', 'proc', 'snoop', 'resting') order by 1`,
      );
    }
    async function triggers(own: PostgresWorld): Promise<unknown[]> {
      const rows = await own.database.sql('select tgname from pg_trigger where not tgisinternal order by 1');
      return rows.map(({ tgname }) => tgname);
    }

    test('drops definers and triggers, on others’ tables too, and disarms those that something rests on', async () => {
      const own = await shared();
      const login = await startLogin(own);
      await login.run(TRAPS);
      expect(await triggers(own)).toEqual(['on_mine', 'on_others']);
      const { leftovers } = await endAndProve(login);
      expect(await triggers(own)).toEqual([]);
      expect(await routines(own)).toEqual([{ name: 'resting', definer: false, owner: 'oncall_quarantine' }]);
      for (const words of [
        'trigger on_mine on public.mine dropped',
        'routine public.proc() dropped',
        'on_others',
      ]) {
        expect(leftovers.join('\n')).toContain(words);
      }
      await own.database.sql(TIDY);
    });

    test('leaves them, without rights, where the catalogue says so', async () => {
      const own = await shared();
      const keeping = { ...own, resource: resourceWith({ ...own.settings, keepDefiners: true }) };
      const login = await startLogin(keeping);
      await login.run(TRAPS);
      await endAndProve(login);
      expect(await triggers(own)).toEqual(['on_mine', 'on_others']);
      expect((await routines(own)).map(({ owner, definer }) => [owner, definer])).toEqual([
        ['oncall_quarantine', true],
        ['oncall_quarantine', true],
        ['oncall_quarantine', true],
        ['oncall_quarantine', false],
      ]);
      await expect(own.database.sql('select definer()')).resolves.toEqual([{ definer: 'oncall_quarantine' }]);
      await own.database.sql(TIDY);
    });
  });

  test('rolls back what it prepared, with the locks that this holds', async () => {
    const own = await startPostgresWorld();
    await own.database.sql('alter system set max_prepared_transactions = 5');
    await own.server.stop();
    await own.server.start();
    const login = await startLogin(own);
    await login.run(`begin; create table promised (id int); prepare transaction 'it''s; "mine"'`);
    expect(await own.database.sql('select gid from pg_prepared_xacts')).toHaveLength(1);
    const { leftovers } = await endAndProve(login);
    expect(leftovers[0]).toContain(`prepared transaction it's; "mine" rolled back`);
    expect(await own.database.sql('select gid from pg_prepared_xacts')).toEqual([]);
  });

  test('waits for nobody who holds a lock on what it left, and is finished at the next try', async () => {
    const own = await shared();
    const login = await startLogin(own);
    await login.run('create table contested (id int); grant all on contested to public');
    const other = await startLogin(own);
    const holder = await other.connect();
    await holder.query('begin; lock table contested in access exclusive mode');
    expect(await codeOf(login.end())).toBe('target_unreachable');
    expect(await login.works()).toBe(false);
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    await holder.query('rollback');
    await holder.end();
    expect((await endAndProve(login)).leftovers).toHaveLength(1);
    await other.end();
  });

  test('is not proven while a session is open, or the role is there', async () => {
    const own = await shared();
    const login = await startLogin(own);
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    await own.database.sql(`alter role "${login.handle}" nologin`);
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    await login.end();
  });

  test('happens while logins pour in, and none of them survives it', async () => {
    const own = await shared();
    const login = await startLogin(own);
    let stop = false;
    const clients: pg.Client[] = [];
    const pouring = Array.from({ length: 3 }, async () => {
      while (!stop)
        await login.connect().then(
          (client) => clients.push(client),
          () => undefined,
        );
    });
    await waitFor(() => clients.length >= 3, { what: 'the first logins' });
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    stop = true;
    await Promise.all(pouring);
    expect(clients.length).toBeGreaterThanOrEqual(3);
    for (const client of clients) await expect(client.query('select 1')).rejects.toThrow();
    expect(
      await own.database.sql(
        `select pid from pg_stat_activity where usesysid is not null
            and usesysid not in (select oid from pg_roles)`,
      ),
    ).toEqual([]);
  });
});
