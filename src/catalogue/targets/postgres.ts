import { isLoopback } from '../../protocol/loopback.ts';
import { isName } from '../../protocol/names.ts';
import { type Fields, readFields } from '../fields.ts';
import { isHost } from '../host.ts';
import { NAME_FORM } from '../people.ts';
import { readRoleEntries } from '../role-entries.ts';
import { readSecretRef } from '../secret-ref.ts';
import type { SecretRef } from '../types.ts';
import type { TargetReader } from './target-reader.ts';

export interface PostgresRole {
  /** The template role whose rights an ephemeral role gets. */
  template: string;
  description: string | undefined;
}

export interface PostgresSettings {
  kind: 'postgres';
  host: string;
  port: number;
  database: string;
  sslMode: 'disable' | 'require' | 'verify-full';
  /** PEM file of the CA that signed the server's certificate, relative to the catalogue. */
  caFile: string | undefined;
  /** The broker's own login at the target: CREATEROLE and ADMIN OPTION on the templates, nothing more. */
  broker: { user: string; password: SecretRef | undefined };
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
  const connection = readConnection(fields);
  const broker = readBroker(fields);
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

type Connection = Pick<PostgresSettings, 'host' | 'port' | 'database' | 'sslMode' | 'caFile'>;

function readConnection(fields: Fields): Connection | undefined {
  const { reader } = fields;
  const connection = fields.required('connection', (node, path) =>
    readFields(reader, node, path, ['host', 'port', 'database', 'sslMode', 'ca']),
  )?.value;
  if (connection === undefined) return undefined;
  const host = connection.requiredMatching('host', isHost, 'a host name or an address');
  const database = connection.requiredMatching('database', isName, NAME_FORM);
  const sslMode = connection.choice('sslMode', ['disable', 'require', 'verify-full']);
  if (host && sslMode?.value === 'disable' && !isLoopback(host.value)) {
    reader.warn(
      sslMode.node,
      `${connection.path} sends everything in the clear`,
      'write sslMode: verify-full',
    );
  }
  if (!host || !database) return undefined;
  return {
    host: host.value,
    port: connection.integer('port', 1, 65_535)?.value ?? 5432,
    database: database.value,
    sslMode: sslMode?.value ?? 'verify-full',
    caFile: connection.text('ca')?.value,
  };
}

function readBroker(fields: Fields): PostgresSettings['broker'] | undefined {
  const { reader } = fields;
  const broker = fields.required('broker', (node, path) =>
    readFields(reader, node, path, ['user', 'password']),
  )?.value;
  const user = broker?.requiredMatching('user', (text) => SQL_NAME.test(text), SQL_FORM);
  const password = broker?.optional('password', (node, path) => readSecretRef(reader, node, path));
  return user && { user: user.value, password: password?.value };
}

function readRoles(fields: Fields): Map<string, PostgresRole> | undefined {
  return readRoleEntries(fields, ['template', 'description'], (role) => {
    const template = role.requiredMatching('template', (text) => SQL_NAME.test(text), SQL_FORM);
    return template && { template: template.value, description: role.text('description')?.value };
  });
}
