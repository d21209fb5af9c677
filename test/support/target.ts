// A PostgreSQL resource on the run's real server: the roles of `oncall broker target`, and what a test asks of it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { createScramVerifier } from '../../src/protocol/scram.ts';
import { TARGET_SQL } from '../demo/setting.ts';
import { type Installation, type InstallationOptions, install, withPostgres } from './installation.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';

export const PASSWORD = 'correct-horse-battery-staple-0001';

export interface Target {
  database: TestDatabase;
  installation: Installation;
  /** Ephemeral roles that exist at the target now. */
  roles(): Promise<string[]>;
  canLogIn(user: string): Promise<boolean>;
}

/** An installation whose db-replica is a fresh database (of the run's server, unless told), with roles of its own. */
export async function installWithTarget(
  options: InstallationOptions & { credential?: string; database?: TestDatabase } = {},
): Promise<Target> {
  const database = options.database ?? (await testDatabase());
  const names = rolesOf(database.database);
  await database.sql(renamed(TARGET_SQL('broker-secret'), names));
  const connection = `{ host: ${database.host}, port: ${database.port}, database: ${database.database}, sslMode: verify-full, ca: ${JSON.stringify(database.caFile)} }`;
  const catalogue = renamed(withPostgres(connection), names).replace(
    'credential: 10m',
    `credential: ${options.credential ?? '10m'}`,
  );
  const installation = await install({ catalogue, ...options });
  mkdirSync(join(installation.directory, 'secrets'), { mode: 0o700 });
  writeFileSync(join(installation.directory, 'secrets', 'db-replica'), 'broker-secret', { mode: 0o600 });
  return {
    database,
    installation,
    async roles() {
      // Roles belong to the whole server, which other tests use too: ours are members of our template.
      const rows = await database.sql<{ rolname: string }>(
        `SELECT DISTINCT r.rolname FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid
           JOIN pg_roles t ON t.oid = m.roleid
          WHERE t.rolname = ANY($1) AND r.rolname LIKE 'oncall\\_%' AND r.rolname <> $2`,
        [[names.oncall_tpl_read, names.oncall_tpl_write], names.oncall_broker],
      );
      return rows.map(({ rolname }) => rolname);
    },
    async canLogIn(user) {
      const client = new pg.Client({ connectionString: database.urlFor(user, PASSWORD) });
      // The broker may cut this very session, while no statement waits that would hear of it.
      client.on('error', () => {});
      try {
        await client.connect();
        await client.query('select count(*) from orders');
        return true;
      } catch {
        return false;
      } finally {
        await client.end().catch(() => undefined);
      }
    },
  };
}

/** Each verifier has a salt of its own; the password is the same, so that a test can always try it. */
export function material(): { kind: 'postgres'; verifier: string } {
  return { kind: 'postgres', verifier: createScramVerifier(PASSWORD) };
}

type Names = Record<'oncall_broker' | 'oncall_quarantine' | 'oncall_tpl_read' | 'oncall_tpl_write', string>;

function rolesOf(database: string): Names {
  const name = (role: string) => `${role}_${database}`.slice(0, 63);
  return {
    oncall_broker: name('broker'),
    oncall_quarantine: name('quarantine'),
    oncall_tpl_read: name('tpl_read'),
    oncall_tpl_write: name('tpl_write'),
  };
}

function renamed(text: string, names: Names): string {
  return Object.entries(names).reduce((all, [from, to]) => all.replaceAll(from, to), text);
}
