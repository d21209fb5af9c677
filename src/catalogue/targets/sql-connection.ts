/** What databases have in common in the catalogue: where they are, and what the broker logs in with. */
import { isLoopback } from '../../protocol/loopback.ts';
import { isName } from '../../protocol/names.ts';
import { type Fields, readFields } from '../fields.ts';
import { isHost } from '../host.ts';
import { NAME_FORM } from '../people.ts';
import { readSecretRef } from '../secret-ref.ts';
import type { SecretRef } from '../types.ts';

export interface SqlConnection {
  host: string;
  port: number;
  database: string;
  sslMode: 'disable' | 'require' | 'verify-full';
  /** PEM file of the CA that signed the server's certificate, relative to the catalogue. */
  caFile: string | undefined;
}

export interface BrokerLogin {
  user: string;
  password: SecretRef | undefined;
}

/** `connection`; undefined after a finding where a required part is missing or wrong. */
export function readSqlConnection(fields: Fields, usualPort: number): SqlConnection | undefined {
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
    port: connection.integer('port', 1, 65_535)?.value ?? usualPort,
    database: database.value,
    sslMode: sslMode?.value ?? 'verify-full',
    caFile: connection.text('ca')?.value,
  };
}

/** `broker`: the user in the form that this kind takes, and where the password is. */
export function readBrokerLogin(
  fields: Fields,
  isUser: (text: string) => boolean,
  form: string,
): BrokerLogin | undefined {
  const { reader } = fields;
  const broker = fields.required('broker', (node, path) =>
    readFields(reader, node, path, ['user', 'password']),
  )?.value;
  const user = broker?.requiredMatching('user', isUser, form);
  const password = broker?.optional('password', (node, path) => readSecretRef(reader, node, path));
  return user && { user: user.value, password: password?.value };
}
