import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createMariadbIssuer } from '../../src/issuers/mariadb.ts';
import type { AppError } from '../../src/protocol/errors.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { createLogin } from './contract.ts';
import { BROKER_PASSWORD, type MariadbWorld, startMariadbWorld } from './mariadb-world.ts';

describe.skipIf(!part('mariadb'))('the check of a mariadb target', () => {
  let world: Promise<MariadbWorld> | undefined;
  const shared = (): Promise<MariadbWorld> => {
    world ??= startMariadbWorld();
    return world;
  };

  async function missingIn(own: MariadbWorld): Promise<string[]> {
    const found = await own.issuer.check(own.resource, AbortSignal.timeout(10_000));
    for (const { ok, fix } of found) expect(fix === undefined).toBe(ok);
    return found.filter(({ ok }) => !ok).map(({ name }) => name);
  }
  /** The event has run at least once, as on a server that was brought in a moment ago. */
  async function reaped(own: MariadbWorld): Promise<void> {
    await waitFor(async () => !(await missingIn(own)).includes('reaper'), {
      what: 'the first run of the event',
    });
  }

  test('passes on a server set up by the guide, a second time too, and leaves nothing behind', async () => {
    const own = await shared();
    await reaped(own);
    expect(await missingIn(own)).toEqual([]);
    await startMariadbWorld({}, own.server);
    await reaped(own);
    expect(await missingIn(own)).toEqual([]);
    expect(
      await own.server.admin("SELECT COUNT(*) FROM mysql.global_priv WHERE User LIKE 'oncall_probe%'"),
    ).toBe('0');
  });

  test.each([
    ['SET GLOBAL event_scheduler = OFF', ['reaper'], 'SET GLOBAL event_scheduler = ON'],
    ['ALTER EVENT oncall.reap DISABLE', ['reaper'], 'ALTER EVENT oncall.reap ENABLE'],
    [
      "GRANT SELECT ON orders.* TO oncall_broker@'%'",
      ['broker'],
      "REVOKE SELECT ON orders.* FROM oncall_broker@'%'",
    ],
    [
      "GRANT CREATE USER ON *.* TO oncall_broker@'%'",
      ['broker'],
      "REVOKE CREATE USER ON *.* FROM oncall_broker@'%'",
    ],
    ['GRANT CREATE USER ON *.* TO readers', ['role readers'], 'REVOKE CREATE USER ON *.* FROM readers'],
    ['GRANT SELECT ON *.* TO readers', ['role readers'], 'REVOKE SELECT ON *.* FROM readers'],
    ['GRANT SELECT ON mysql.* TO readers', ['role readers'], 'REVOKE SELECT ON mysql.* FROM readers'],
    [
      'GRANT UPDATE ON oncall.logins TO readers',
      ['role readers'],
      'REVOKE UPDATE ON oncall.logins FROM readers',
    ],
    ['CREATE ROLE other; GRANT other TO readers', ['role readers'], 'DROP ROLE other'],
    [
      'SET ROLE readers; CREATE DEFINER = CURRENT_ROLE PROCEDURE orders.left_behind() SELECT 1',
      ['role readers'],
      'DROP PROCEDURE orders.left_behind',
    ],
    [
      'REVOKE ADMIN OPTION FOR readers FROM oncall_owner@localhost',
      ['role readers', 'dry run of readers'],
      'GRANT readers TO oncall_owner@localhost WITH ADMIN OPTION',
    ],
  ])('finds what is wrong after: %s', async (harm, names, repair) => {
    const own = await shared();
    await reaped(own);
    await own.server.admin(harm);
    expect(await missingIn(own)).toEqual(names);
    await own.server.admin(repair);
    await reaped(own);
    expect(await missingIn(own)).toEqual([]);
  });

  test('finds procedures of another version, and a broker that may not call them', async () => {
    const own = await startMariadbWorld({}, (await shared()).server);
    await own.server.admin(`CREATE OR REPLACE DEFINER = oncall_owner@localhost PROCEDURE oncall.status()
        SELECT 'another' AS digest, oncall.clock_ms() AS now_ms, 0 AS accounts, 'ENABLED' AS event_status, 1 AS event_age;`);
    expect(await missingIn(own)).toEqual(['procedures']);
    await own.server.admin("REVOKE EXECUTE ON oncall.* FROM oncall_broker@'%'");
    expect(await missingIn(own)).toEqual(['reachable']);
    const error = await createLogin(own)
      .issue()
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'target_refused', hint: expect.stringContaining('--check') });
    expect((error as AppError).message).not.toContain('denied');
    await startMariadbWorld({}, own.server);
  });

  test('says that the clocks are apart', async () => {
    const own = await startMariadbWorld({}, (await shared()).server);
    await reaped(own);
    own.clock.skewMs = -60_000;
    expect(await missingIn(own)).toEqual(['clock']);
  });

  test('a broker that trusts another CA, or asks by a name that the certificate lacks, does not connect', async () => {
    const { resource, settings } = await shared();
    for (const change of [
      { host: 'ip6-localhost' },
      { host: 'localhost.localdomain' },
      { caFile: 'other' },
    ]) {
      const other = createMariadbIssuer({
        installation: 'other/oncall+00000000',
        resolveSecret: async () => BROKER_PASSWORD,
        readCa: async () => (change.caFile ? '' : readFileSync(settings.caFile!, 'utf8')),
        now: Date.now,
      });
      const target = { ...settings, ...change };
      const checked = await other.check({ ...resource, target }, AbortSignal.timeout(5_000));
      expect(checked).toMatchObject([{ name: 'reachable', ok: false, fix: expect.any(String) }]);
    }
  });
});
