import type { Fields } from '../fields.ts';
import { readRoleEntries } from '../role-entries.ts';
import {
  type BrokerLogin,
  readBrokerLogin,
  readSqlConnection,
  type SqlConnection,
} from './sql-connection.ts';
import type { TargetReader } from './target-reader.ts';

export interface PostgresRole {
  /** The template role whose rights an ephemeral role gets. */
  template: string;
  description: string | undefined;
}

export interface PostgresSettings extends SqlConnection {
  kind: 'postgres';
  /** The broker's own login at the target: CREATEROLE and ADMIN OPTION on the templates, nothing more. */
  broker: BrokerLogin;
  quarantineRole: string;
  /** Leave SECURITY DEFINER functions and triggers that an ephemeral role created. */
  keepDefiners: boolean;
  /** Issuing is refused above this number of ephemeral roles. */
  maxRoles: number;
  roles: ReadonlyMap<string, PostgresRole>;
}

const SQL_NAME = /^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/;
const SQL_FORM = 'a PostgreSQL role name';
const DEFAULT_MAX_ROLES = 200;

export const POSTGRES: TargetReader<PostgresSettings> = {
  keys: ['connection', 'broker', 'quarantineRole', 'keepDefiners', 'maxRoles'],
  credentialSeconds: { least: 1, usual: 600, most: 3600 },
  read: readPostgres,
  secrets: ({ broker }) => [broker.password],
  certificateFiles: ({ caFile }) => [caFile],
};

/** The settings of a postgres resource; undefined after a finding where a required part is missing or wrong. */
function readPostgres(fields: Fields): PostgresSettings | undefined {
  const connection = readSqlConnection(fields, 5432);
  const broker = readBrokerLogin(fields, (text) => SQL_NAME.test(text), SQL_FORM);
  const isSqlName = (text: string) => SQL_NAME.test(text);
  const quarantine = fields.requiredMatching('quarantineRole', isSqlName, SQL_FORM);
  const roles = readRoles(fields);
  const keepDefiners = fields.optional('keepDefiners', (node, path) => fields.reader.boolean(node, path));
  const maxRoles = fields.integer('maxRoles', 1, 10_000);
  if (!connection || !broker || !quarantine || !roles) return undefined;
  for (const [name, role] of roles) {
    // Rights of the broker or of the quarantine owner must never reach an engineer.
    if (role.template === broker.user || role.template === quarantine.value) {
      fields.reader.error(fields.node, `${fields.path}.roles.${name} uses ${role.template} as its template`);
    }
  }
  return {
    kind: 'postgres',
    ...connection,
    broker,
    quarantineRole: quarantine.value,
    keepDefiners: keepDefiners?.value ?? false,
    maxRoles: maxRoles?.value ?? DEFAULT_MAX_ROLES,
    roles,
  };
}

function readRoles(fields: Fields): Map<string, PostgresRole> | undefined {
  return readRoleEntries(fields, ['template', 'description'], (role) => {
    const template = role.requiredMatching('template', (text) => SQL_NAME.test(text), SQL_FORM);
    return template && { template: template.value, description: role.text('description')?.value };
  });
}
