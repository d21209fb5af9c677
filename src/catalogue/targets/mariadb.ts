import { isIP } from 'node:net';
import { isLoopback } from '../../protocol/loopback.ts';
import { isName } from '../../protocol/names.ts';
import { type Fields, readFields } from '../fields.ts';
import { isHost } from '../host.ts';
import { NAME_FORM } from '../people.ts';
import { readRoleEntries } from '../role-entries.ts';
import { readSecretRef } from '../secret-ref.ts';
import type { SecretRef } from '../types.ts';
import type { TargetReader } from './target-reader.ts';

export interface MariadbRole {
  /** The MariaDB role whose rights an ephemeral account gets. */
  grant: string;
  description: string | undefined;
}

export interface MariadbSettings {
  kind: 'mariadb';
  host: string;
  port: number;
  database: string;
  sslMode: 'disable' | 'require' | 'verify-full';
  /** PEM file of the CA that signed the server's certificate, relative to the catalogue. */
  caFile: string | undefined;
  /** The broker's own login: it may call the procedures of the guide, and nothing else. */
  broker: { user: string; password: SecretRef | undefined };
  /** Issuing is refused above this number of ephemeral accounts. */
  maxAccounts: number;
  roles: ReadonlyMap<string, MariadbRole>;
}

const SQL_NAME = /^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/;
/** Of the procedures, which nobody logs in as. */
const TAKEN = ['oncall_owner', 'root', 'PUBLIC', 'none', 'mariadb.sys'];
const DEFAULT_MAX_ACCOUNTS = 200;

export const MARIADB: TargetReader<MariadbSettings> = {
  keys: ['connection', 'broker', 'maxAccounts'],
  credentialSeconds: { least: 1, usual: 600, most: 3600 },
  read: readMariadb,
  secrets: ({ broker }) => [broker.password],
  certificateFiles: ({ caFile }) => [caFile],
};

/** The settings of a mariadb resource; undefined after a finding where a required part is missing or wrong. */
function readMariadb(fields: Fields): MariadbSettings | undefined {
  const connection = readConnection(fields);
  const broker = readBroker(fields);
  const maxAccounts = fields.integer('maxAccounts', 1, 10_000);
  const roles = readRoleEntries(fields, ['grant', 'description'], (role) => {
    const grant = role.requiredMatching('grant', isFreeName, 'the name of a MariaDB role');
    return grant && { grant: grant.value, description: role.text('description')?.value };
  });
  if (!connection || !broker || !roles) return undefined;
  for (const [name, role] of roles) {
    if (role.grant === broker.user) {
      fields.reader.error(fields.node, `${fields.path}.roles.${name} grants the broker's own name`);
    }
  }
  return {
    kind: 'mariadb',
    ...connection,
    broker,
    maxAccounts: maxAccounts?.value ?? DEFAULT_MAX_ACCOUNTS,
    roles,
  };
}

type Connection = Pick<MariadbSettings, 'host' | 'port' | 'database' | 'sslMode' | 'caFile'>;

function readConnection(fields: Fields): Connection | undefined {
  const { reader } = fields;
  const connection = fields.required('connection', (node, path) =>
    readFields(reader, node, path, ['host', 'port', 'database', 'sslMode', 'ca']),
  )?.value;
  if (connection === undefined) return undefined;
  const host = connection.requiredMatching('host', isHost, 'a host name or an address');
  const database = connection.requiredMatching('database', isName, NAME_FORM);
  const sslMode = connection.choice('sslMode', ['disable', 'require', 'verify-full']);
  if (!host || !database) return undefined;
  if (sslMode?.value === 'disable' && !isLoopback(host.value)) {
    reader.warn(
      sslMode.node,
      `${connection.path} sends everything in the clear`,
      'write sslMode: verify-full',
    );
  }
  if ((sslMode?.value ?? 'verify-full') === 'verify-full' && isIP(host.value) !== 0) {
    // MariaDB's protocol begins TLS within the connection, and the drivers then check names, not addresses.
    const hint = 'write the name that the server’s certificate has';
    return reader.error(host.node, `${connection.path}.host is an address, which cannot be verified`, hint);
  }
  return {
    host: host.value,
    port: connection.integer('port', 1, 65_535)?.value ?? 3306,
    database: database.value,
    sslMode: sslMode?.value ?? 'verify-full',
    caFile: connection.text('ca')?.value,
  };
}

function readBroker(fields: Fields): MariadbSettings['broker'] | undefined {
  const { reader } = fields;
  const broker = fields.required('broker', (node, path) =>
    readFields(reader, node, path, ['user', 'password']),
  )?.value;
  const user = broker?.requiredMatching('user', isFreeName, 'the name of a MariaDB account');
  const password = broker?.optional('password', (node, path) => readSecretRef(reader, node, path));
  return user && { user: user.value, password: password?.value };
}

function isFreeName(text: string): boolean {
  return SQL_NAME.test(text) && !TAKEN.some((taken) => taken.toLowerCase() === text.toLowerCase());
}
