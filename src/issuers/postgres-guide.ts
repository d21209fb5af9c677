/**
 * What a database's admin runs to bring a PostgreSQL target in. psql runs the SQL as it stands, more than once if need be;
 * the password is the only thing to fill in.
 */
import type { PostgresSettings, Resource } from '../catalogue/types.ts';
import type { TargetGuide } from './issuer.ts';
import { postgresSettings, quoteName, quoteText } from './postgres-connection.ts';
import { membership, NARROW_VERSION } from './postgres-sql.ts';

export function postgresGuide(resource: Resource): TargetGuide {
  const settings = postgresSettings(resource);
  return {
    steps: [
      {
        title: "the broker's role, the quarantine role and the template roles",
        where: `psql, as a superuser, in database ${settings.database} on ${settings.host}:${settings.port}`,
        text: rolesSql(settings),
      },
      {
        title: 'the rights of each template role',
        where: 'the same psql; what they may do is your decision, for example:',
        text: rightsSql(settings),
      },
      {
        title: 'who may connect: with TLS and SCRAM only',
        where: 'pg_hba.conf, above broader lines; then: SELECT pg_reload_conf();',
        text: hbaLines(settings),
      },
      {
        title: 'prove it',
        where: "the broker's host",
        text: `oncall broker target ${resource.id} --check`,
      },
    ],
  };
}

function templatesOf(settings: PostgresSettings): string[] {
  return [...new Set([...settings.roles.values()].map((role) => role.template))];
}

function rolesSql(settings: PostgresSettings): string {
  const broker = settings.broker.user;
  return [
    '\\set ON_ERROR_STOP on',
    "\\set broker_password 'CHANGE-ME'",
    'BEGIN;',
    'SET LOCAL client_min_messages = warning;',
    "SET LOCAL password_encryption = 'scram-sha-256';",
    createIfMissing(broker),
    `ALTER ROLE ${quoteName(broker)} WITH LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD :'broker_password';`,
    `GRANT pg_signal_backend TO ${quoteName(broker)};`,
    `GRANT CONNECT ON DATABASE ${quoteName(settings.database)} TO ${quoteName(broker)};`,
    createIfMissing(settings.quarantineRole),
    fixes.quarantineNologin(settings),
    ...templatesOf(settings).flatMap((template) => [
      createIfMissing(template),
      fixes.templateNologin(template),
    ]),
    `SELECT current_setting('server_version_num')::int >= ${NARROW_VERSION} AS narrow \\gset`,
    '\\if :narrow',
    ...grants(settings, NARROW_VERSION),
    '\\else',
    "-- Below PostgreSQL 16 CREATEROLE equals superuser: whoever has the broker's password can become anybody.",
    ...grants(settings, NARROW_VERSION - 1),
    '\\endif',
    'COMMIT;',
  ].join('\n');
}

function grants(settings: PostgresSettings, version: number): string[] {
  const ofTemplates = templatesOf(settings).map((template) =>
    fixes.templateGrant(settings, template, version),
  );
  return [fixes.quarantineGrant(settings, version), ...ofTemplates];
}

/** One line for each requirement that a check can find missing. `version` is the server's. */
export const fixes = {
  createRole: (settings: PostgresSettings) =>
    `ALTER ROLE ${quoteName(settings.broker.user)} WITH CREATEROLE;`,
  noSuperuser: (settings: PostgresSettings) =>
    `ALTER ROLE ${quoteName(settings.broker.user)} WITH NOSUPERUSER;`,
  signalBackend: (settings: PostgresSettings) =>
    `GRANT pg_signal_backend TO ${quoteName(settings.broker.user)};`,
  scram: () => "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf();",
  templateNologin: (template: string) => `ALTER ROLE ${quoteName(template)} WITH NOLOGIN INHERIT;`,
  templateGrant: (settings: PostgresSettings, template: string, version: number) =>
    `GRANT ${quoteName(template)} TO ${quoteName(settings.broker.user)} WITH ADMIN OPTION${version >= NARROW_VERSION ? ', INHERIT FALSE, SET FALSE' : ''};`,
  quarantineNologin: (settings: PostgresSettings) =>
    `ALTER ROLE ${quoteName(settings.quarantineRole)} WITH NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB;`,
  quarantineGrant: ({ quarantineRole, broker }: PostgresSettings, version: number) =>
    `${membership(quarantineRole, quoteName(broker.user), version, 'INHERIT TRUE, SET TRUE')};`,
  missingRole: (role: string) => `CREATE ROLE ${quoteName(role)} WITH NOLOGIN;`,
};

function createIfMissing(role: string): string {
  // psql has no CREATE ROLE IF NOT EXISTS.
  return `SELECT format('CREATE ROLE %I WITH NOLOGIN', ${quoteText(role)}) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${quoteText(role)}) \\gexec`;
}

function rightsSql(settings: PostgresSettings): string {
  const lines: string[] = [];
  for (const [name, role] of settings.roles) {
    const template = quoteName(role.template);
    lines.push(
      `-- role ${name}`,
      `GRANT CONNECT ON DATABASE ${quoteName(settings.database)} TO ${template};`,
      `GRANT USAGE ON SCHEMA public TO ${template};`,
      `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${template};`,
    );
  }
  return lines.join('\n');
}

function hbaLines(settings: PostgresSettings): string {
  const type = settings.sslMode === 'disable' ? 'host   ' : 'hostssl';
  const lines = [`# the broker: put its address in place of 'samenet'`];
  lines.push(`${type} all "${settings.broker.user}" samenet scram-sha-256`);
  lines.push("# engineers: put their network in place of 'all'");
  for (const template of templatesOf(settings)) {
    // In quotes the plus would lose its meaning, "members of".
    lines.push(`${type} all +${template} all scram-sha-256`);
  }
  return lines.join('\n');
}
