/**
 * The end of a PostgreSQL login, in steps that can each be the last before a crash: no new logins; cut the sessions; in
 * every database of the cluster where it left something, hand that to the quarantine role; drop the role. Done again,
 * the steps find less to do.
 */
import type { Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { EndInput, EndReport } from './issuer.ts';
import { requireLoginName } from './login-names.ts';
import {
  type PostgresTargets,
  postgresSettings,
  quoteName,
  sqlState,
  type TargetSession,
} from './postgres-connection.ts';
import { emptyDatabase } from './postgres-leftovers.ts';
import { membership } from './postgres-sql.ts';

const UNDEFINED_OBJECT = '42704';
const TERMINATE_MS = 1_000;
const TERMINATE_ROUNDS = 5;
/** What an audit entry can hold. */
const MAX_LEFTOVERS = 200;

export async function endLogin(targets: PostgresTargets, input: EndInput): Promise<EndReport> {
  const { resource } = input.subject;
  const { signal } = input;
  const name = requireLoginName(input.handle);
  const begun = await targets.use(resource, { signal }, (session) => closeLogin(session, resource, name));
  if (!begun) return { sessionsEnded: 0, leftovers: [] };
  const leftovers: string[] = [];
  for (const database of begun.databases) {
    const found = await targets.use(resource, { signal, database }, (session) =>
      emptyDatabase(session, postgresSettings(resource), name, database),
    );
    leftovers.push(...found);
  }
  const late = await targets.use(resource, { signal }, async (session) => {
    await session.query(`DROP ROLE IF EXISTS ${quoteName(name)}`);
    // A login that was being let in while the first step ran: by now its session can be seen, under the role's number.
    return endSessions(session, resource, begun.oid);
  });
  return { sessionsEnded: begun.sessionsEnded + late, leftovers: shorten(leftovers) };
}

interface Begun {
  oid: number;
  sessionsEnded: number;
  /** Where something depends on the role; the catalogue's first, for what belongs to the whole cluster. */
  databases: string[];
}

/** Undefined where the role is gone already. */
async function closeLogin(
  session: TargetSession,
  resource: Resource,
  name: string,
): Promise<Begun | undefined> {
  const [role] = await session.query<{ oid: number }>('select oid from pg_roles where rolname = $1', [name]);
  if (!role) return undefined;
  try {
    await session.query(`ALTER ROLE ${quoteName(name)} WITH NOLOGIN CONNECTION LIMIT 0 PASSWORD NULL`);
  } catch (error) {
    if (sqlState(error) === UNDEFINED_OBJECT) return undefined;
    throw error;
  }
  const sessionsEnded = await endSessions(session, resource, role.oid);
  // Being a member lets the broker give away what the role owns. The membership goes with the role.
  await session.query(membership(name, 'CURRENT_USER', session.version, 'INHERIT TRUE, SET TRUE'));
  const rows = await session.query<{ datname: string }>(
    `select d.datname from pg_shdepend s join pg_database d on d.oid = s.dbid
      where s.refclassid = 'pg_authid'::regclass and s.refobjid = $1
     union select database from pg_prepared_xacts where owner = $2`,
    [role.oid, name],
  );
  const { database } = postgresSettings(resource);
  const databases = new Set([database, ...rows.map((row) => row.datname)]);
  return { oid: role.oid, sessionsEnded, databases: [...databases] };
}

/** Cuts sessions until none is left, and says how many there were. Throws `target_unreachable` if some stay. */
async function endSessions(session: TargetSession, resource: Resource, oid: number): Promise<number> {
  const seen = new Set<number>();
  for (let round = 0; round < TERMINATE_ROUNDS; round++) {
    const rows = await session.query<{ pid: number }>(
      'select pid, pg_terminate_backend(pid, $2) from pg_stat_activity where usesysid = $1',
      [oid, TERMINATE_MS],
    );
    if (rows.length === 0) return seen.size;
    for (const { pid } of rows) seen.add(pid);
  }
  throw new AppError('target_unreachable', `${resource.id} still has sessions of the login that is ending`);
}

function shorten(leftovers: readonly string[]): string[] {
  if (leftovers.length <= MAX_LEFTOVERS) return [...leftovers];
  const rest = leftovers.length - MAX_LEFTOVERS;
  return [...leftovers.slice(0, MAX_LEFTOVERS), `and ${rest} more`];
}
