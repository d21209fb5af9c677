import { isIP } from 'node:net';
import type { Node } from 'yaml';
import { isLoopback } from '../protocol/loopback.ts';
import { isName, isPartName } from '../protocol/names.ts';
import { type Fields, readFields } from './fields.ts';
import { NAME_FORM, readNamed } from './people.ts';
import type { Placed } from './read.ts';
import { readSecretRef } from './secret-ref.ts';
import type { PostgresRole, PostgresSettings } from './types.ts';

export const POSTGRES_KEYS = ['connection', 'broker', 'quarantineRole', 'keepDefiners', 'maxRoles'];

const SQL_NAME = /^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/;
const SQL_FORM = 'a PostgreSQL role name';
const PART_FORM = 'a name: small letters, digits and -, at most 40';
const HOST_NAME = /^(?!-)[A-Za-z0-9.-]{1,253}$/;
const DEFAULT_MAX_ROLES = 200;

export function isHost(text: string): boolean {
  return isIP(text) !== 0 || HOST_NAME.test(text);
}

/** The settings of a postgres resource; undefined after a finding where a required part is missing or wrong. */
export function readPostgres(fields: Fields): PostgresSettings | undefined {
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

/** `roles` of any kind of resource, in the order written: narrowest first. */
export function readRoleEntries<T>(
  fields: Fields,
  keys: readonly string[],
  read: (role: Fields) => T | undefined,
): Map<string, T> | undefined {
  const { reader } = fields;
  const roles: Placed<Node> | undefined = fields.required('roles', (node) => node);
  if (roles === undefined) return undefined;
  const path = `${fields.path}.roles`;
  const found = new Map<string, T>();
  for (const { key, value } of readNamed(reader, roles.node, path, isPartName, PART_FORM)) {
    const role = readFields(reader, value, `${path}.${key.value}`, keys);
    const settings = role && read(role);
    if (settings !== undefined) found.set(key.value, settings);
  }
  return found.size > 0
    ? found
    : reader.error(roles.node, `${path} has no role`, 'add one, e.g. read: { … }');
}
