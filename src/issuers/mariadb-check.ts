/** What a MariaDB target needs, each requirement proven on the live server, down to an account that is made and dropped. */
import { randomBytes } from 'node:crypto';
import type { MariadbSettings } from '../catalogue/targets/mariadb.ts';
import type { Resource } from '../catalogue/types.ts';
import { encodeBase32 } from '../protocol/ids.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { createMariadbVerifier } from '../protocol/mariadb-ed25519.ts';
import type { Requirement } from './issuer.ts';
import { loginName } from './login-names.ts';
import { type MariadbSession, type MariadbTargets, mariadbSettings } from './mariadb-connection.ts';
import { fixes, quoteName, rolesOf } from './mariadb-guide.ts';
import { DIGEST, REAP_SECONDS } from './mariadb-procedures.ts';
import { checkClock, fulfilled, missing, reasonOf } from './requirement.ts';

const LEAST_VERSION = [10, 11] as const;
const PROBE_MS = 60_000;

/** Never throws for what the target says: that is a requirement that is missing. */
export async function checkMariadb(
  targets: MariadbTargets,
  resource: Resource,
  signal: AbortSignal,
  now: () => number,
): Promise<readonly Requirement[]> {
  const settings = mariadbSettings(resource);
  try {
    return await targets.use(resource, signal, async (session) => [
      fulfilled('reachable', `${settings.broker.user}@${settings.host}:${settings.port}`),
      await checkTls(session, settings),
      checkClock(session.targetNowMs, now()),
      await checkVersion(session),
      checkProcedures(session, resource.id),
      await checkBroker(session, settings),
      await checkPlugin(session),
      await checkReaper(session),
      ...(await checkRoles(session, settings)),
      checkCount(session, settings),
      ...(await checkDryRuns(targets, resource, signal)),
    ]);
  } catch (error) {
    const fix = `oncall broker target ${resource.id}   # shows the SQL and the password's place`;
    return [missing('reachable', reasonOf(error), fix)];
  }
}

async function checkTls(session: MariadbSession, { sslMode, host }: MariadbSettings): Promise<Requirement> {
  const row = await session.read("SHOW SESSION STATUS LIKE 'Ssl_version'");
  const version = String(row?.Value ?? '');
  const verified = sslMode === 'verify-full' ? 'certificate verified' : 'certificate not verified';
  if (version !== '') return fulfilled('tls', `${version}, ${verified}`);
  if (isLoopback(host)) return fulfilled('tls', 'none, on loopback');
  return missing('tls', 'the connection is not encrypted', 'sslMode: verify-full   # in the catalogue');
}

async function checkVersion(session: MariadbSession): Promise<Requirement> {
  const version = String((await session.read('SELECT @@version AS version'))?.version);
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const [leastMajor, leastMinor] = LEAST_VERSION;
  const isEnough = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  if (isEnough && version.includes('MariaDB')) return fulfilled('version', version);
  return missing('version', version, 'upgrade to MariaDB 10.11 or newer');
}

function checkProcedures({ status }: MariadbSession, id: string): Requirement {
  if (status.digest === DIGEST) return fulfilled('procedures', `as this broker knows them (${DIGEST})`);
  const fix = `oncall broker target ${id}   # run its SQL again`;
  return missing('procedures', `of another version (${status.digest})`, fix);
}

/** The broker's login may call the procedures and nothing else. */
async function checkBroker(session: MariadbSession, settings: MariadbSettings): Promise<Requirement> {
  const row = await session.read(
    `SELECT (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE <> 'USAGE')
      + (SELECT COUNT(*) FROM information_schema.SCHEMA_PRIVILEGES
          WHERE TABLE_SCHEMA <> 'oncall' OR PRIVILEGE_TYPE <> 'EXECUTE' OR IS_GRANTABLE = 'YES')
      + (SELECT COUNT(*) FROM information_schema.TABLE_PRIVILEGES)
      + (SELECT COUNT(*) FROM information_schema.APPLICABLE_ROLES) AS more`,
  );
  const { user } = settings.broker;
  if (row?.more === 0) return fulfilled('broker', `${user} may call the procedures and nothing else`);
  const fix = `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${quoteName(user)}@'%'; ${fixes.execute(settings)}`;
  return missing('broker', `${user} has ${row?.more} rights that it does not need`, fix);
}

async function checkPlugin(session: MariadbSession): Promise<Requirement> {
  const row = await session.read(
    "SELECT PLUGIN_STATUS AS status FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'ed25519'",
  );
  if (row?.status === 'ACTIVE') return fulfilled('ed25519', 'the plugin is active');
  return missing('ed25519', 'the plugin is not installed', fixes.plugin());
}

async function checkReaper(session: MariadbSession): Promise<Requirement> {
  const { eventStatus, eventAge } = session.status;
  const scheduler = String((await session.read('SELECT @@GLOBAL.event_scheduler AS state'))?.state);
  if (scheduler !== 'ON') return missing('reaper', `event_scheduler is ${scheduler}`, fixes.scheduler());
  if (eventStatus !== 'ENABLED') {
    return missing('reaper', `the event is ${eventStatus ?? 'not there'}`, fixes.enableEvent());
  }
  if (eventAge === undefined || eventAge > REAP_SECONDS * 8) {
    return missing('reaper', `the event has not run for ${eventAge ?? 'ever'} s`, fixes.enableEvent());
  }
  return fulfilled('reaper', `ran ${Math.max(0, eventAge)} s ago`);
}

async function checkRoles(session: MariadbSession, settings: MariadbSettings): Promise<Requirement[]> {
  const requirements: Requirement[] = [];
  for (const role of rolesOf(settings)) requirements.push(await checkRole(session, role));
  return requirements;
}

async function checkRole(session: MariadbSession, role: string): Promise<Requirement> {
  const name = `role ${role}`;
  const [row] = await session.call('look_at_role', role);
  if (!row?.present)
    return missing(name, 'does not exist', `${fixes.missingRole(role)} ${fixes.roleGrant(role)}`);
  if (!row.grantable) return missing(name, 'cannot be granted by the procedures', fixes.roleGrant(role));
  const revoke = `REVOKE … FROM ${quoteName(role)};`;
  if (row.global) return missing(name, 'has rights on everything, the accounts among them', revoke);
  if (row.beyond) return missing(name, 'may grant its rights, or has some on mysql or oncall', revoke);
  if (row.nested) return missing(name, 'has other roles', revoke);
  // Code that runs with a role's rights stays when the login that left it has gone.
  if (row.defines !== 0)
    return missing(name, `defines ${row.defines} objects`, `DROP … -- with DEFINER ${quoteName(role)}`);
  return fulfilled(name, 'grantable, plain rights');
}

function checkCount({ status }: MariadbSession, { maxAccounts }: MariadbSettings): Requirement {
  const detail = `${status.accounts} of at most ${maxAccounts}`;
  if (status.accounts < maxAccounts) return fulfilled('ephemeral accounts', detail);
  return missing(
    'ephemeral accounts',
    detail,
    'oncall status   # on the broker: which logins could not be ended?',
  );
}

async function checkDryRuns(
  targets: MariadbTargets,
  resource: Resource,
  signal: AbortSignal,
): Promise<Requirement[]> {
  const requirements: Requirement[] = [];
  for (const role of rolesOf(mariadbSettings(resource))) {
    requirements.push(await checkDryRun(targets, resource, signal, role));
  }
  return requirements;
}

async function checkDryRun(
  targets: MariadbTargets,
  resource: Resource,
  signal: AbortSignal,
  role: string,
): Promise<Requirement> {
  const requirement = `dry run of ${role}`;
  const name = loginName('probe', encodeBase32(randomBytes(12)).slice(0, 19));
  const verifier = createMariadbVerifier(randomBytes(16).toString('hex'));
  try {
    const state = await targets.use(resource, signal, async (session) => {
      const until = session.targetNowMs + PROBE_MS;
      await session.call('make_login', name, verifier, role, 'oncall check', 'check', until, until, true);
      const [made] = await session.call('look', name);
      await session.call('end_login', name);
      const [dropped] = await session.call('look', name);
      return `${made?.state}, ${dropped?.state}`;
    });
    if (state === 'open, absent') return fulfilled(requirement, 'an account was made and dropped');
    return missing(requirement, `the account was ${state}`, `oncall broker target ${resource.id}`);
  } catch (error) {
    return missing(requirement, reasonOf(error), `oncall broker target ${resource.id}   # run its SQL again`);
  }
}
