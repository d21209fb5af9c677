/**
 * What an ephemeral role left in one database: code that others would run unknowingly goes, all else moves to the
 * quarantine role, which has no rights. In one transaction.
 */
import type { PostgresSettings } from '../catalogue/types.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { quoteName, quoteText, type TargetSession } from './postgres-connection.ts';
import { membership } from './postgres-sql.ts';

/** Says in words what was there and what became of it. The broker's role has to be a member of the role by now. */
export async function emptyDatabase(
  session: TargetSession,
  { quarantineRole, keepDefiners }: PostgresSettings,
  name: string,
  database: string,
): Promise<string[]> {
  const [role] = await session.query<{ oid: number }>('select oid from pg_roles where rolname = $1', [name]);
  if (!role) return [];
  const report = await rollBackPrepared(session, name);
  await session.query('BEGIN');
  if (!keepDefiners) {
    report.push(...(await dropTriggers(session, role.oid)));
    report.push(...(await dropDefiners(session, role.oid)));
  }
  for (const object of await ownedObjects(session, role.oid)) {
    report.push(`${object} reassigned to ${quarantineRole}`);
  }
  // An owner of functions needs CREATE on their schema, and the quarantine role has no rights: it borrows the ending
  // role's for as long as this transaction lasts, in which nobody can see it.
  await session.query(
    membership(name, quoteName(quarantineRole), session.version, 'INHERIT TRUE, SET FALSE'),
  );
  await session.query(`REASSIGN OWNED BY ${quoteName(name)} TO ${quoteName(quarantineRole)}`);
  await session.query(`REVOKE ${quoteName(name)} FROM ${quoteName(quarantineRole)}`);
  // By now these are rights that it was given and default privileges that it set.
  await session.query(`DROP OWNED BY ${quoteName(name)}`);
  await session.query('COMMIT');
  return report.map((line) => `${escapeForTerminal(line)} in database ${escapeForTerminal(database)}`);
}

/** Prepared transactions outlive their session, and hold its locks. Only their owner may end them. */
async function rollBackPrepared(session: TargetSession, name: string): Promise<string[]> {
  const rows = await session.query<{ gid: string }>(
    'select gid from pg_prepared_xacts where owner = $1 and database = current_database()',
    [name],
  );
  if (rows.length === 0) return [];
  await session.query(`SET ROLE ${quoteName(name)}`);
  for (const { gid } of rows) await session.query(`ROLLBACK PREPARED ${quoteText(gid)}`);
  await session.query('RESET ROLE');
  return rows.map(({ gid }) => `prepared transaction ${gid} rolled back`);
}

async function ownedObjects(session: TargetSession, oid: number): Promise<string[]> {
  const rows = await session.query<{ type: string; identity: string }>(
    `select o.type, o.identity
       from pg_shdepend s, pg_identify_object(s.classid, s.objid, s.objsubid) o
      where s.refclassid = 'pg_authid'::regclass and s.refobjid = $1 and s.deptype = 'o'
        and s.dbid in (0, (select oid from pg_database where datname = current_database()))
        and s.classid <> 'pg_default_acl'::regclass
      order by 1, 2`,
    [oid],
  );
  return rows.map(({ type, identity }) => `${type} ${identity}`);
}

/** On its own tables. A trigger has no owner, so those that it put on others' tables are told by their function's. */
async function dropTriggers(session: TargetSession, oid: number): Promise<string[]> {
  const rows = await session.query<{ trigger: string; table: string }>(
    `select quote_ident(t.tgname) as trigger, t.tgrelid::regclass::text as table
       from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where c.relowner = $1 and not t.tgisinternal and t.tgparentid = 0`,
    [oid],
  );
  for (const { trigger, table } of rows) await session.query(`DROP TRIGGER ${trigger} ON ${table}`);
  return rows.map(({ trigger, table }) => `trigger ${trigger} on ${table} dropped`);
}

/**
 * SECURITY DEFINER routines and trigger functions. Dropping one takes the triggers that use it along, on others' tables
 * too; where anything else rests on it (a column's default, a view) it stays, but runs with its caller's rights.
 */
async function dropDefiners(session: TargetSession, oid: number): Promise<string[]> {
  const rows = await session.query<{ routine: string; used: boolean; triggers: string[] }>(
    `select p.oid::regprocedure::text as routine,
            exists (select from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
                      and d.classid <> 'pg_trigger'::regclass) as used,
            array(select quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass::text from pg_trigger t
                   where t.tgfoid = p.oid and not t.tgisinternal) as triggers
       from pg_proc p
      where p.proowner = $1 and (p.prosecdef or p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype))
      order by 1`,
    [oid],
  );
  const report: string[] = [];
  for (const { routine, used, triggers } of rows) {
    await session.query(
      used ? `ALTER ROUTINE ${routine} SECURITY INVOKER` : `DROP ROUTINE ${routine} CASCADE`,
    );
    report.push(`routine ${routine} ${used ? 'made security invoker, others rest on it' : 'dropped'}`);
    if (!used) report.push(...triggers.map((trigger) => `trigger ${trigger} dropped with its function`));
  }
  return report;
}
