/**
 * Break-glass at PostgreSQL: a client certificate in place of a password. pg_hba.conf takes the break-glass CA's word for one
 * standing role alone, pg_ident.conf maps one common name to it, and that role has the template's rights and no password. The
 * server's log then has the whole subject, and so the key id (log_connections, "connection authenticated").
 */
import type { PostgresSettings, Resource } from '../catalogue/types.ts';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { AppError } from '../protocol/errors.ts';
import type { BreakGlassCas, BreakGlassIssuer } from './break-glass.ts';
import { pulledFiles, pullSteps } from './break-glass-pull.ts';
import { checkPostgresBreakGlass } from './postgres-break-glass-check.ts';
import { type PostgresAccess, postgresSettings, quoteName, quoteText } from './postgres-connection.ts';
import { membership, NARROW_VERSION } from './postgres-sql.ts';
import type { Revocations } from './revocations.ts';
import type { X509Ca } from './x509-ca.ts';
import { x509Slots } from './x509-slots.ts';

export interface PostgresBreakGlassOptions extends PostgresAccess {
  cas: BreakGlassCas;
  /** The one behind usual logins, which must not get in here. */
  x509Ca: X509Ca;
  /** Where targets pull the list of revocations from. */
  listUrl: string;
  revocations: Revocations;
  revocationWaitMs: number;
  /** For `check`. Milliseconds since 1970. */
  now: () => number;
}

export function createPostgresBreakGlass(options: PostgresBreakGlassOptions): BreakGlassIssuer {
  const { cas } = options;
  return {
    kind: 'postgres',
    ...x509Slots(cas),
    async placeOf(resource, role) {
      const settings = postgresSettings(resource);
      templateOf(settings, resource, role);
      const { host, port, database, sslMode, caFile } = settings;
      return {
        kind: 'postgres',
        user: breakGlassName({ resource: resource.id, role }),
        host,
        port,
        database,
        // Without TLS there is no certificate.
        sslMode: sslMode === 'disable' ? 'require' : sslMode,
        ...(caFile !== undefined && { caPem: await options.readCa(caFile) }),
      };
    },
    steps: (resource) => stepsFor(resource, options),
    check: (resource, signal) => checkPostgresBreakGlass(resource, signal, options),
  };
}

function stepsFor(resource: Resource, { cas, listUrl }: PostgresBreakGlassOptions) {
  const settings = postgresSettings(resource);
  const { host, port, database } = settings;
  const names = namesOf(resource);
  const psql = `psql, as a superuser, in database ${database} on ${host}:${port}`;
  const files = pulledFiles(resource);
  const { ca, crl } = files;
  return [
    {
      title: 'break-glass: a standing role with the rights of its template, and no password',
      where: psql,
      text: names.flatMap(({ name, template }) => roleSql(name, template)).join('\n'),
    },
    ...pullSteps(files, cas.x509, listUrl, {
      where: `a root shell on ${host}`,
      reload: 'systemctl reload postgresql',
    }),
    {
      title: 'break-glass: the server checks client certificates, and says in its log who came by one',
      where: `${psql}; where ssl_ca_file is set already, put both CAs into one file, and a list of each into another`,
      text: [
        '-- A managed server that lets nobody set these has no way in without the broker: breakGlass: { offline: false }',
        `ALTER SYSTEM SET ssl_ca_file = ${quoteText(ca)};`,
        `ALTER SYSTEM SET ssl_crl_file = ${quoteText(crl)};`,
        'ALTER SYSTEM SET log_connections = on;',
        'SELECT pg_reload_conf();',
      ].join('\n'),
    },
    {
      title: 'break-glass: which name is let in as which role',
      where: 'pg_ident.conf',
      text: names.map(({ name }) => identLine(name)).join('\n'),
    },
    {
      title: 'break-glass: a certificate, and nothing else, for these roles',
      where: 'pg_hba.conf, above every other line; then: SELECT pg_reload_conf();',
      text: names.flatMap(({ name }) => hbaLines(name, database)).join('\n'),
    },
  ];
}

export function namesOf(resource: Resource): { role: string; name: string; template: string }[] {
  const settings = postgresSettings(resource);
  return (resource.breakGlass?.roles ?? []).map((role) => ({
    role,
    name: breakGlassName({ resource: resource.id, role }),
    template: templateOf(settings, resource, role),
  }));
}

function templateOf(settings: PostgresSettings, { id }: Resource, role: string): string {
  const found = settings.roles.get(role);
  if (!found) throw new AppError('target_refused', `${id} has no role ${role}`);
  return found.template;
}

function roleSql(name: string, template: string): string[] {
  const role = quoteName(name);
  return [
    '\\set ON_ERROR_STOP on',
    `SELECT format('CREATE ROLE %I', ${quoteText(name)}) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${quoteText(name)}) \\gexec`,
    `ALTER ROLE ${role} WITH LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20 PASSWORD NULL;`,
    `SELECT current_setting('server_version_num')::int >= ${NARROW_VERSION} AS narrow \\gset`,
    '\\if :narrow',
    `${membership(template, role, NARROW_VERSION, 'INHERIT TRUE, SET FALSE')};`,
    '\\else',
    `${membership(template, role, NARROW_VERSION - 1, '')};`,
    '\\endif',
  ];
}

/** One map for all resources: what a role may be is said by the name. PostgreSQL writes subjects by RFC 2253, last part first. */
const MAP = 'oncall-break-glass';

export function identLine(name: string): string {
  return `${MAP} "/^OU=[^,]+,CN=${name}$" "${name}"`;
}

export function hbaLines(name: string, database: string): string[] {
  return [
    `hostssl "${database}" "${name}" all cert map=${MAP} clientname=DN`,
    `host all "${name}" all reject`,
    `local all "${name}" reject`,
  ];
}
