/**
 * Which ephemeral roles a server has. Roles belong to the whole server: those of its other databases are among them, and those
 * of other installations, which their comments give away. Only who may make roles may write comments on them.
 */
import type { Resource } from '../catalogue/types.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { type Found, SURVEY_LIMIT, type Survey } from './issuer.ts';
import { HANDLE_PATTERN, INSTALLATION_PATTERN } from './login-names.ts';
import type { PostgresTargets } from './postgres-connection.ts';

const NOTE_LENGTH = 500;

interface RoleRow {
  name: string;
  /** Null where there is no date. Infinity where there is one that never comes. */
  validUntilMs: number | null;
  comment: string | null;
  installation: string | null;
}

export function surveyRoles(
  targets: PostgresTargets,
  resource: Resource,
  installation: string,
  signal: AbortSignal,
): Promise<Survey> {
  return targets.use(resource, { signal }, async (session) => {
    const rows = await session.query<RoleRow>(
      `select * from (
         select rolname as name, (extract(epoch from rolvaliduntil) * 1000)::float8 as "validUntilMs",
                left(shobj_description(oid, 'pg_authid'), $4) as comment,
                substring(shobj_description(oid, 'pg_authid') from $2) as installation
           from pg_roles where rolname ~ $1) as ephemeral
        where installation is null or installation = $3
        order by name limit $5`,
      [HANDLE_PATTERN, INSTALLATION_PATTERN, installation, NOTE_LENGTH, SURVEY_LIMIT + 1],
    );
    return {
      persists: true,
      found: rows.slice(0, SURVEY_LIMIT).map(toFound),
      isComplete: rows.length <= SURVEY_LIMIT,
    };
  });
}

function toFound({ name, validUntilMs, comment, installation }: RoleRow): Found {
  return {
    handle: name,
    isOurs: installation !== null,
    expiresAtMs: validUntilMs !== null && Number.isFinite(validUntilMs) ? validUntilMs : undefined,
    note: escapeForTerminal(comment ?? '').slice(0, NOTE_LENGTH),
  };
}
