import { describe, expect, test } from 'vitest';
import { prolongText } from '../../src/issuers/postgres-sql.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { codeOf, createLogin } from './contract.ts';
import { type PostgresWorld, startPostgresWorld } from './postgres-world.ts';

describe.skipIf(!part('postgres') || !part('psql'))('a postgres target in trouble', () => {
  let world: Promise<PostgresWorld> | undefined;
  const shared = (): Promise<PostgresWorld> => {
    world ??= startPostgresWorld();
    return world;
  };
  async function roleOf(own: PostgresWorld, handle: string) {
    const [role] = await own.database.sql('select rolvaliduntil from pg_roles where rolname = $1', [handle]);
    return role;
  }

  test('that is down makes no login and says to try again; nothing is left of it', async () => {
    const own = await shared();
    await own.server.stop('crash');
    const login = createLogin(own);
    expect(await codeOf(login.issue())).toBe('target_unreachable');
    expect(await codeOf(login.end())).toBe('target_unreachable');
    expect(await codeOf(login.prove())).toBe('target_unreachable');
    await own.server.start();
    expect(await roleOf(own, login.handle)).toBeUndefined();
    await login.issue();
    expect(await login.works()).toBe(true);
    await login.end();
  });

  test('that is down at the end keeps the login, and loses it when it is back', async () => {
    const own = await shared();
    const login = createLogin(own);
    await login.issue();
    await own.server.stop('fast');
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
    const startedAt = performance.now();
    const deadlineMs = Date.now() + 600;
    const issuing = codeOf(login.issue({ deadlineMs, signal: AbortSignal.timeout(500) }));
    const ending = codeOf(warm.end({ signal: AbortSignal.timeout(500) }));
    expect(await issuing).toBe('target_unreachable');
    expect(await ending).toBe('target_unreachable');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    await waitFor(() => Date.now() > deadlineMs, { what: 'the end of the lease' });
    own.server.resume();
    await waitFor(
      async () => {
        const [row] = await own.database.sql<{ count: number }>(
          "select count(*)::int from pg_stat_activity where application_name = 'oncall broker' and state = 'active'",
        );
        return row?.count === 0;
      },
      { what: 'what was on its way to be over' },
    );
    expect(await roleOf(own, login.handle)).toBeUndefined();
    await warm.end();
  });

  test('that gets to a statement after the lease rolls it back', async () => {
    const own = await shared();
    const late = createLogin(own);
    expect(await codeOf(late.issue({ deadlineMs: Date.now() - 1 }))).toBe('target_unreachable');
    expect(await roleOf(own, late.handle)).toBeUndefined();
    const login = createLogin(own);
    await login.issue();
    const before = await roleOf(own, login.handle);
    expect(await codeOf(login.renew({ lifeMs: 900_000, deadlineMs: Date.now() - 1 }))).toBe(
      'target_unreachable',
    );
    expect(await roleOf(own, login.handle)).toEqual(before);
    await login.end();
  });

  test('whose statement waited for a lock past the lease rolls it back, though it began in time', async () => {
    const own = await shared();
    const login = createLogin(own);
    await login.issue();
    const before = await roleOf(own, login.handle);
    const text = prolongText(login.handle, Date.now() + 900_000, Date.now() + 300);
    const waiting = own.database.sql(`select pg_sleep(0.4); ${text}`);
    await expect(waiting).rejects.toMatchObject({ code: 'OC001' });
    expect(await roleOf(own, login.handle)).toEqual(before);
    await login.end();
  });

  test('that knows the broker by another password refuses, without a word of it in the message', async () => {
    const own = await startPostgresWorld();
    await own.database.sql("alter role oncall_broker password 'another'");
    const error = await createLogin(own)
      .issue()
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'target_refused', message: expect.not.stringContaining('password') });
  });

  test('whose template is gone refuses, and no role is left half made', async () => {
    const own = await startPostgresWorld();
    await own.database.sql('drop owned by readers; drop role readers');
    const login = createLogin(own);
    expect(await codeOf(login.issue())).toBe('target_refused');
    expect(await roleOf(own, login.handle)).toBeUndefined();
  });
});
