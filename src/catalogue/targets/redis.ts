import { isLoopback } from '../../protocol/loopback.ts';
import { type Fields, readFields } from '../fields.ts';
import { isHost } from '../host.ts';
import { quote } from '../read.ts';
import { readRoleEntries } from '../role-entries.ts';
import { isAclRule, ruleBeyond } from './redis-rules.ts';
import { type BrokerLogin, readBrokerLogin } from './sql-connection.ts';
import type { TargetReader } from './target-reader.ts';

export interface RedisRole {
  /** Words of `ACL SETUSER`, in order: `+@read`, `-keys`, `~orders:*`, `&news`. */
  rules: readonly string[];
  description: string | undefined;
}

export interface RedisSettings {
  kind: 'redis';
  host: string;
  port: number;
  tls: boolean;
  /** PEM file of the CA that signed the server's certificate, relative to the catalogue. */
  caFile: string | undefined;
  /** The broker's own login. It may make users, so it is as good as an administrator. */
  broker: BrokerLogin;
  /** Issuing is refused above this number of ephemeral users. */
  maxUsers: number;
  roles: ReadonlyMap<string, RedisRole>;
}

const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/;
const DEFAULT_MAX_USERS = 200;
const MAX_RULES = 200;

export const REDIS: TargetReader<RedisSettings> = {
  keys: ['connection', 'broker', 'maxUsers'],
  credentialSeconds: { least: 1, usual: 600, most: 3600 },
  read: readRedis,
  secrets: ({ broker }) => [broker.password],
  certificateFiles: ({ caFile }) => [caFile],
};

/** The settings of a redis resource; undefined after a finding where a required part is missing or wrong. */
function readRedis(fields: Fields): RedisSettings | undefined {
  const connection = readConnection(fields);
  const broker = readBrokerLogin(fields, (text) => USER.test(text), 'a Redis user name');
  const roles = readRoleEntries(fields, ['rules', 'description'], readRole);
  const maxUsers = fields.integer('maxUsers', 1, 10_000);
  if (!connection || !broker || !roles) return undefined;
  return { kind: 'redis', ...connection, broker, maxUsers: maxUsers?.value ?? DEFAULT_MAX_USERS, roles };
}

function readConnection(fields: Fields): Pick<RedisSettings, 'host' | 'port' | 'tls' | 'caFile'> | undefined {
  const { reader } = fields;
  const connection = fields.required('connection', (node, path) =>
    readFields(reader, node, path, ['host', 'port', 'tls', 'ca']),
  )?.value;
  const host = connection?.requiredMatching('host', isHost, 'a host name or an address');
  if (connection === undefined || host === undefined) return undefined;
  const tls = connection.optional('tls', (node, path) => reader.boolean(node, path));
  if (tls?.value === false && !isLoopback(host.value)) {
    reader.warn(tls.node, `${connection.path} sends everything in the clear`, 'write tls: true');
  }
  return {
    host: host.value,
    port: connection.integer('port', 1, 65_535)?.value ?? 6379,
    tls: tls?.value ?? true,
    caFile: connection.text('ca')?.value,
  };
}

function readRole(role: Fields): RedisRole | undefined {
  const { reader } = role;
  const path = `${role.path}.rules`;
  const list = role.required('rules', (node, at) => reader.list(node, at));
  if (list === undefined) return undefined;
  if (list.value.length === 0 || list.value.length > MAX_RULES) {
    return reader.error(list.node, `${path} has ${list.value.length} rules`, 'write rules: ["+@read", "~*"]');
  }
  const rules: string[] = [];
  for (const { value, node } of role.texts('rules')) {
    if (isAclRule(value)) rules.push(value);
    else
      reader.error(
        node,
        `${path} has ${quote(value)}, which is no rule`,
        'such as +@read, -keys, ~orders:*, &news',
      );
  }
  if (rules.length < list.value.length) return undefined;
  const beyond = ruleBeyond(rules);
  if (beyond !== undefined) {
    const hint = beyond === '+@all' ? 'take -@admin and -@dangerous away after it' : 'leave it out';
    return reader.error(list.node, `${path} has ${beyond}, by which a login could outlive its end`, hint);
  }
  return { rules, description: role.text('description')?.value };
}
