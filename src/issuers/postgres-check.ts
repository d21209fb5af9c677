/**
 * What a PostgreSQL target needs, each requirement proven on the live server, down to a login that is made and dropped in
 * a transaction that never commits.
 */
import { randomBytes } from 'node:crypto';
import type { PostgresSettings, Resource } from '../catalogue/types.ts';
import { encodeBase32 } from '../protocol/ids.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { createScramVerifier } from '../protocol/scram.ts';
import type { Requirement } from './issuer.ts';
import { loginName } from './login-names.ts';
import {
  type PostgresTargets,
  postgresSettings,
  quoteName,
  type TargetSession,
} from './postgres-connection.ts';
import { fixes } from './postgres-guide.ts';
import { countEphemeralRoles } from './postgres-login.ts';
import { loginText, membership, NARROW_VERSION } from './postgres-sql.ts';
import { checkTemplates } from './postgres-templates.ts';
import { checkClock, fulfilled, missing, reasonOf } from './requirement.ts';

const PROBE_SECONDS = 60;

/** Never throws for what the target says: that is a requirement that is missing. */
export async function checkPostgres(
  targets: PostgresTargets,
  resource: Resource,
  signal: AbortSignal,
  now: () => number,
): Promise<readonly Requirement[]> {
  const settings = postgresSettings(resource);
  try {
    const found = await targets.use(resource, { signal }, async (session) => [
      reachable(settings),
      await checkTls(session, settings),
      checkClock(session.targetNowMs, now()),
      checkVersion(session),
      await checkPasswords(session),
      ...(await checkBroker(session, settings)),
      ...(await checkTemplates(session, settings)),
      await checkQuarantine(session, settings),
      await checkCount(session, settings),
    ]);
    return [...found, await checkDryRun(targets, resource, signal, now)];
  } catch (error) {
    const fix = `oncall broker target ${resource.id}   # shows the role, the password's place and the pg_hba.conf lines`;
    return [missing('reachable', reasonOf(error), fix)];
  }
}

function reachable({ host, port, database, broker }: PostgresSettings): Requirement {
  return fulfilled('reachable', `${broker.user}@${host}:${port}/${database}`);
}

async function checkTls(session: TargetSession, { sslMode, host }: PostgresSettings): Promise<Requirement> {
  const [row] = await session.query<{ ssl: boolean; version: string | null }>(
    'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()',
  );
  const verified = sslMode === 'verify-full' ? 'certificate verified' : 'certificate not verified';
  if (row?.ssl) return fulfilled('tls', `${row.version}, ${verified}`);
  if (isLoopback(host)) return fulfilled('tls', 'none, on loopback');
  return missing('tls', 'the connection is not encrypted', 'sslMode: verify-full   # in the catalogue');
}

function checkVersion({ version }: TargetSession): Requirement {
  const detail = `PostgreSQL ${Math.floor(version / 10_000)}`;
  if (version >= NARROW_VERSION) return fulfilled('version', detail);
  return missing(
    'version',
    `${detail}: CREATEROLE equals superuser below 16`,
    'upgrade to PostgreSQL 16 or newer',
  );
}

async function checkPasswords(session: TargetSession): Promise<Requirement> {
  const [row] = await session.query<{ value: string }>(
    "select current_setting('password_encryption') as value",
  );
  const detail = `password_encryption is ${row?.value}`;
  if (row?.value === 'scram-sha-256') return fulfilled('password encryption', detail);
  return missing('password encryption', detail, fixes.scram());
}

async function checkBroker(session: TargetSession, settings: PostgresSettings): Promise<Requirement[]> {
  const [row] = await session.query<{ super: boolean; createrole: boolean; signals: boolean }>(
    `select rolsuper as super, rolcreaterole as createrole,
            pg_has_role('pg_signal_backend', 'usage') as signals
       from pg_roles where rolname = current_user`,
  );
  const { user } = settings.broker;
  return [
    row?.super === false
      ? fulfilled('not superuser', user)
      : missing('not superuser', `${user} is a superuser`, fixes.noSuperuser(settings)),
    row?.createrole
      ? fulfilled('createrole', user)
      : missing('createrole', `${user} cannot make roles`, fixes.createRole(settings)),
    row?.signals
      ? fulfilled('pg_signal_backend', user)
      : missing('pg_signal_backend', `${user} cannot end sessions`, fixes.signalBackend(settings)),
  ];
}

async function checkQuarantine(session: TargetSession, settings: PostgresSettings): Promise<Requirement> {
  const name = 'quarantine role';
  const { quarantineRole: role } = settings;
  const [row] = await session.query<{ rights: boolean; memberships: number; grantable: boolean }>(
    `select r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls as rights,
            (select count(*)::int from pg_auth_members m where m.member = r.oid) as memberships,
            pg_has_role(r.oid, 'usage') as grantable
       from pg_roles r where r.rolname = $1`,
    [role],
  );
  if (!row) return missing(name, `${role} does not exist`, fixes.missingRole(role));
  if (row.rights)
    return missing(name, `${role} has attributes it must not have`, fixes.quarantineNologin(settings));
  if (row.memberships > 0) {
    return missing(name, `${role} is a member of other roles`, `REVOKE … FROM ${quoteName(role)};`);
  }
  if (!row.grantable) {
    return missing(
      name,
      `${settings.broker.user} cannot give objects to ${role}`,
      fixes.quarantineGrant(settings, session.version),
    );
  }
  return fulfilled(name, role);
}

async function checkCount(session: TargetSession, { maxRoles }: PostgresSettings): Promise<Requirement> {
  const count = await countEphemeralRoles(session);
  const detail = `${count} of at most ${maxRoles}`;
  if (count < maxRoles) return fulfilled('ephemeral roles', detail);
  return missing(
    'ephemeral roles',
    detail,
    'oncall status   # on the broker: which logins could not be ended?',
  );
}

async function checkDryRun(
  targets: PostgresTargets,
  resource: Resource,
  signal: AbortSignal,
  now: () => number,
): Promise<Requirement> {
  const settings = postgresSettings(resource);
  const name = loginName('probe', encodeBase32(randomBytes(12)).slice(0, 19));
  const expiresAtMs = now() + PROBE_SECONDS * 1000;
  const quarantine = settings.quarantineRole;
  const verifier = createScramVerifier(randomBytes(24).toString('base64url'));
  try {
    await targets.use(resource, { signal }, async (session) => {
      const { version } = session;
      const deadlineMs = session.targetNowMs + PROBE_SECONDS * 1000;
      await session.query('BEGIN');
      let exists = false;
      for (const { template } of settings.roles.values()) {
        const comment = 'oncall check';
        await session.query(
          loginText({ name, verifier, template, comment, expiresAtMs, deadlineMs, version, exists }),
        );
        exists = true;
      }
      await session.query(membership(name, 'CURRENT_USER', version, 'INHERIT TRUE, SET TRUE'));
      await session.query(membership(name, quoteName(quarantine), version, 'INHERIT TRUE, SET FALSE'));
      await session.query(`REASSIGN OWNED BY ${quoteName(name)} TO ${quoteName(quarantine)}`);
      await session.query(`DROP OWNED BY ${quoteName(name)}`);
      await session.query(`DROP ROLE ${quoteName(name)}`);
      await session.query('ROLLBACK');
    });
    return fulfilled('dry run', 'a login was made and dropped in a transaction that was rolled back');
  } catch (error) {
    const fix = `oncall broker target ${resource.id}   # run its SQL again`;
    return missing('dry run', reasonOf(error), fix);
  }
}
