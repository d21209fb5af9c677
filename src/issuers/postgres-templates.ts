/** Whether template roles give what they should and nothing that would let a login outlive its end. */
import type { PostgresSettings } from '../catalogue/types.ts';
import type { Requirement } from './issuer.ts';
import { quoteName, type TargetSession } from './postgres-connection.ts';
import { fixes } from './postgres-guide.ts';
import { fulfilled, missing } from './requirement.ts';

/** Roles of PostgreSQL's own that reach the server's operating system: who has one is as good as a superuser. */
const DANGEROUS = ['pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files'];

interface TemplateRow {
  login: boolean;
  admin: boolean;
  /** Itself or roles it is a member of, that are dangerous or have attributes beyond plain rights. */
  dangerous: string[];
  owns: number;
}

export async function checkTemplates(
  session: TargetSession,
  settings: PostgresSettings,
): Promise<Requirement[]> {
  const templates = [...new Set([...settings.roles.values()].map(({ template }) => template))];
  const requirements: Requirement[] = [];
  for (const template of templates) {
    requirements.push(await checkTemplate(session, settings, template));
  }
  return requirements;
}

async function checkTemplate(
  session: TargetSession,
  settings: PostgresSettings,
  template: string,
): Promise<Requirement> {
  const name = `template ${template}`;
  const row = await readTemplate(session, template);
  if (!row) return missing(name, 'does not exist', fixes.missingRole(template));
  if (!row.admin) {
    return missing(
      name,
      `${settings.broker.user} has no ADMIN OPTION`,
      fixes.templateGrant(settings, template, session.version),
    );
  }
  if (row.login) return missing(name, 'can log in by itself', fixes.templateNologin(template));
  const [worst] = row.dangerous;
  if (worst !== undefined) {
    const fix =
      worst === template
        ? `ALTER ROLE ${quoteName(template)} WITH NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;`
        : `REVOKE ${quoteName(worst)} FROM ${quoteName(template)};`;
    return missing(name, `has more than plain rights, through ${worst}`, fix);
  }
  // Its members have an owner's rights on what it owns: they could leave triggers and rules there that outlive them.
  if (row.owns > 0) {
    const fix = `REASSIGN OWNED BY ${quoteName(template)} TO …;   -- an owner that nobody logs in as`;
    return missing(name, `owns ${row.owns} objects`, fix);
  }
  return fulfilled(name, 'grantable, no login, plain rights');
}

async function readTemplate(session: TargetSession, template: string): Promise<TemplateRow | undefined> {
  const [row] = await session.query<TemplateRow>(
    `with recursive up(oid) as (
       select oid from pg_roles where rolname = $1
       union select m.roleid from pg_auth_members m join up on m.member = up.oid)
     select t.rolcanlogin as login,
            exists (select from pg_auth_members m join pg_roles b on b.oid = m.member
                     where m.roleid = t.oid and b.rolname = current_user and m.admin_option) as admin,
            array(select r.rolname::text from up join pg_roles r on r.oid = up.oid
                   where r.rolname = any ($2) or r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication
                      or r.rolbypassrls order by r.rolname = $1, 1) as dangerous,
            (select count(*)::int from pg_shdepend s where s.refclassid = 'pg_authid'::regclass
                and s.refobjid = t.oid and s.deptype = 'o'
                and s.classid <> 'pg_default_acl'::regclass) as owns
       from pg_roles t where t.rolname = $1`,
    [template, DANGEROUS],
  );
  return row;
}
