import { isIP } from 'node:net';
import type { Fields } from '../fields.ts';
import { readRoleEntries } from '../role-entries.ts';
import {
  type BrokerLogin,
  readBrokerLogin,
  readSqlConnection,
  type SqlConnection,
} from './sql-connection.ts';
import type { TargetReader } from './target-reader.ts';

export interface MariadbRole {
  /** The MariaDB role whose rights an ephemeral account gets. */
  grant: string;
  description: string | undefined;
}

export interface MariadbSettings extends SqlConnection {
  kind: 'mariadb';
  /** The broker's own login: it may call the procedures of the guide, and nothing else. */
  broker: BrokerLogin;
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
  const connection = readVerifiable(fields);
  const broker = readBrokerLogin(fields, isFreeName, 'the name of a MariaDB account');
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

/** MariaDB's protocol begins TLS within the connection, and the drivers then check names, not addresses. */
function readVerifiable(fields: Fields): SqlConnection | undefined {
  const connection = readSqlConnection(fields, 3306);
  if (connection?.sslMode !== 'verify-full' || isIP(connection.host) === 0) return connection;
  return fields.reader.error(
    fields.node,
    `${fields.path}.connection.host is an address, which cannot be verified`,
    'write the name that the server’s certificate has',
  );
}

function isFreeName(text: string): boolean {
  return SQL_NAME.test(text) && !TAKEN.some((taken) => taken.toLowerCase() === text.toLowerCase());
}
