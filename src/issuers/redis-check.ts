/**
 * What a Redis target needs, each requirement proven on the live server, down to users that are made with each role's rules,
 * asked what they may do, and dropped.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { RedisSettings } from '../catalogue/targets/redis.ts';
import type { Resource } from '../catalogue/types.ts';
import { encodeBase32 } from '../protocol/ids.ts';
import { isLoopback } from '../protocol/loopback.ts';
import type { Requirement } from './issuer.ts';
import { loginName } from './login-names.ts';
import { type RedisSession, type RedisTargets, redisSettings } from './redis-connection.ts';
import { fixes } from './redis-guide.ts';
import { countEphemeralUsers, dateWord, dropLogin, exists, loginWords, makeLogin } from './redis-login.ts';
import { REAPED_KEY } from './redis-reaper.ts';
import { checkClock, fulfilled, missing, reasonOf } from './requirement.ts';

const LEAST_VERSION = 7;
const PROBE_MS = 60_000;

/** Commands by which a login would outlive its end or reach the server's host. */
const BEYOND = [
  ['ACL', 'SETUSER', 'x'],
  ['CONFIG', 'SET', 'dir', '/'],
  ['MODULE', 'LOAD', '/x'],
  ['REPLICAOF', '127.0.0.1', '1'],
  ['DEBUG', 'SLEEP', '0'],
  ['FUNCTION', 'LOAD', 'x'],
  ['MIGRATE', '127.0.0.1', '1', 'x', '0', '1'],
  ['PSYNC', '?', '-1'],
  ['SHUTDOWN'],
];

/** Never throws for what the target says: that is a requirement that is missing. */
export async function checkRedis(
  targets: RedisTargets,
  resource: Resource,
  signal: AbortSignal,
  now: () => number,
): Promise<readonly Requirement[]> {
  const settings = redisSettings(resource);
  try {
    return await targets.use(resource, signal, async (session) => [
      fulfilled('reachable', `${settings.broker.user}@${settings.host}:${settings.port}`),
      checkTls(settings),
      checkClock(session.targetNowMs, now()),
      ...(await checkServer(session)),
      fulfilled(
        'broker',
        `${settings.broker.user} may make users: guard its password like an administrator's`,
      ),
      await checkDefaultUser(session),
      await checkAclFile(session),
      ...(await checkRoles(session, settings)),
      await checkReaper(session, resource.id),
      await checkCount(session, settings),
    ]);
  } catch (error) {
    const fix = `oncall broker target ${resource.id}   # shows the user and its rights`;
    return [missing('reachable', reasonOf(error), fix)];
  }
}

function checkTls({ tls, host }: RedisSettings): Requirement {
  if (tls) return fulfilled('tls', 'certificate verified');
  if (isLoopback(host)) return fulfilled('tls', 'none, on loopback');
  return missing('tls', 'the connection is not encrypted', 'tls: true   # in the catalogue');
}

async function checkServer(session: RedisSession): Promise<Requirement[]> {
  const words = (await session.command('HELLO')) as readonly unknown[];
  const told = (name: string) => String(words[words.indexOf(name) + 1]);
  const version = told('version');
  const mode = told('mode');
  return [
    Number.parseInt(version, 10) >= LEAST_VERSION
      ? fulfilled('version', `Redis ${version}`)
      : missing('version', `Redis ${version}: users cannot carry a date`, 'upgrade to Redis 7 or newer'),
    mode === 'cluster'
      ? missing(
          'mode',
          'a cluster: each node has users of its own',
          'a resource for each node, outside a cluster',
        )
      : fulfilled('mode', `${mode}, ${told('role')}: users are made on this server alone`),
  ];
}

async function checkDefaultUser(session: RedisSession): Promise<Requirement> {
  const user = (await session.command('ACL', 'GETUSER', 'default')) as readonly unknown[];
  const flags = user[user.indexOf('flags') + 1] as readonly string[];
  const isOpen = flags.includes('on') && flags.includes('nopass');
  if (!isOpen) return fulfilled('default user', 'needs a password, or is off');
  return missing('default user', 'anybody may come in without a password', fixes.defaultUser());
}

async function checkAclFile(session: RedisSession): Promise<Requirement> {
  try {
    await session.command('ACL', 'SAVE');
    return fulfilled('acl file', 'removed users stay removed after a restart');
  } catch (error) {
    return missing('acl file', reasonOf(error), fixes.aclFile());
  }
}

async function checkRoles(session: RedisSession, settings: RedisSettings): Promise<Requirement[]> {
  const requirements: Requirement[] = [];
  for (const [role, { rules }] of settings.roles) {
    requirements.push(await checkRole(session, settings, role, rules));
  }
  return requirements;
}

async function checkRole(
  session: RedisSession,
  settings: RedisSettings,
  role: string,
  rules: readonly string[],
): Promise<Requirement> {
  const requirement = `role ${role}`;
  const probe = loginName('probe', encodeBase32(randomBytes(12)).slice(0, 19));
  const verifier = createHash('sha256').update(randomBytes(24)).digest('hex');
  const date = dateWord(session.targetNowMs + PROBE_MS, { grantId: 'check', incident: undefined }, 'check');
  try {
    await makeLogin(session, probe, loginWords(verifier, rules, date), () => PROBE_MS);
    const allowed: string[] = [];
    for (const command of BEYOND) {
      const answer = await session.command('ACL', 'DRYRUN', probe, ...command);
      if (answer === 'OK') allowed.push(command.slice(0, 2).join(' '));
    }
    await dropLogin(session, probe);
    if (await exists(session, probe)) throw new Error('the user was not dropped');
    if (allowed.length === 0) return fulfilled(requirement, 'a user was made with its rules and dropped');
    return missing(
      requirement,
      `lets one run ${allowed.join(', ')}`,
      'rules: [-@admin, …]   # in the catalogue',
    );
  } catch (error) {
    return missing(requirement, reasonOf(error), fixes.brokerUser(settings));
  }
}

async function checkReaper(session: RedisSession, id: string): Promise<Requirement> {
  const seconds = await session.command('GET', REAPED_KEY);
  const age = Math.round(session.targetNowMs / 1000 - Number(seconds));
  if (seconds !== null && age < 120) return fulfilled('reaper', `ran ${Math.max(0, age)} s ago`);
  return missing(
    'reaper',
    'it has not run in the last two minutes',
    `systemctl enable --now oncall-redis-${id}.timer`,
  );
}

async function checkCount(session: RedisSession, { maxUsers }: RedisSettings): Promise<Requirement> {
  const count = await countEphemeralUsers(session);
  const detail = `${count} of at most ${maxUsers}`;
  if (count < maxUsers) return fulfilled('ephemeral users', detail);
  return missing(
    'ephemeral users',
    detail,
    'oncall status   # on the broker: which logins could not be ended?',
  );
}
