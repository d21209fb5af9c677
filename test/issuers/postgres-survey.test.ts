import { describe, expect, test } from 'vitest';
import { type Found, SURVEY_LIMIT } from '../../src/issuers/issuer.ts';
import { part } from '../support/parts.ts';
import { createLogin } from './contract.ts';
import { type PostgresWorld, startPostgresWorld } from './postgres-world.ts';

describe.skipIf(!part('postgres') || !part('psql'))('a survey of a PostgreSQL server', () => {
  let world: Promise<PostgresWorld> | undefined;
  const shared = (): Promise<PostgresWorld> => {
    world ??= startPostgresWorld();
    return world;
  };
  async function survey(): Promise<{ found: readonly Found[]; isComplete: boolean }> {
    const { issuer, resource } = await shared();
    const answer = await issuer.survey(resource, AbortSignal.timeout(9_000));
    if (!answer.persists) throw new Error('roles persist');
    return answer;
  }

  test('lists a role of our scheme that says of nobody whose it is, and never as ours', async () => {
    const { database } = await shared();
    const names = [1, 2, 3, 4].map((n) => `oncall_mallory_${'0'.repeat(18)}${n}`);
    await database.sql(`
      create role ${names[0]} login valid until 'infinity';
      create role ${names[1]} nologin;
      comment on role ${names[1]} is E'oncall grant gr_x, broker \\x1b[31mours, \\n';
      create role ${names[2]};
      comment on role ${names[2]} is '${'x'.repeat(5000)}';
      create role ${names[3]} valid until '2030-01-01T00:00:00Z';
      create role "${names[0]?.slice(0, -1)}"; create role "oncall_Mallory_0000000000000000000"`);
    const { found } = await survey();
    expect(found.map(({ handle, isOurs, expiresAtMs }) => ({ handle, isOurs, expiresAtMs }))).toEqual(
      names.map((handle, n) => ({
        handle,
        isOurs: false,
        expiresAtMs: n === 3 ? Date.parse('2030-01-01T00:00:00Z') : undefined,
      })),
    );
    expect(found[1]?.note).toContain('\\u001b[31mours');
    expect(found[2]?.note).toHaveLength(500);
    await database.sql(`drop role ${names.join(', ')}`);
  });

  test('lists a role whose end was begun, and one that another database of the server was issued for', async () => {
    const { database, server, settings } = await shared();
    const other = await startPostgresWorld({}, server);
    const closed = createLogin(await shared());
    await closed.issue();
    await database.sql(`alter role "${closed.handle}" nologin`);
    const elsewhere = createLogin({ ...other, issuer: (await shared()).issuer });
    await elsewhere.issue();
    expect(other.settings.database).not.toBe(settings.database);
    const { found } = await survey();
    expect(new Set(found.map(({ handle }) => handle))).toEqual(new Set([closed.handle, elsewhere.handle]));
    await closed.end();
    await elsewhere.end();
  });

  test('is bounded, and says that there is more', async () => {
    const { database } = await shared();
    const each = (statement: string) =>
      `do $$ begin for n in 0..${SURVEY_LIMIT} loop
        execute format('${statement}', 'oncall_many_' || lpad(n::text, 19, '0')); end loop; end $$`;
    await database.sql(each('create role %I'));
    const full = await survey();
    expect([full.found.length, full.isComplete]).toEqual([SURVEY_LIMIT, false]);
    await database.sql(`drop role oncall_many_${'0'.repeat(19)}`);
    const exact = await survey();
    expect([exact.found.length, exact.isComplete]).toEqual([SURVEY_LIMIT, true]);
  });
});
