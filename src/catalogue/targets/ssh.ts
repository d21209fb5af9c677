import { isIP } from 'node:net';
import type { Node } from 'yaml';
import { type Fields, readFields } from '../fields.ts';
import { isHost } from '../host.ts';
import { quote, type Reader } from '../read.ts';
import { readRoleEntries } from '../role-entries.ts';
import type { TargetReader } from './target-reader.ts';

export interface SshRole {
  /** The account at the host. */
  login: string;
  forceCommand: string | undefined;
  /** CIDR list for the certificate's source-address option. */
  sourceAddress: string | undefined;
  description: string | undefined;
}

export interface SshHost {
  /** The name people type: an alias in the generated SSH configuration. */
  name: string;
  host: string;
  port: number;
  /** `ssh-ed25519 AAAA…` lines; empty where `hostCa` vouches. */
  hostKeys: readonly string[];
}

export interface SshSettings {
  kind: 'ssh';
  hosts: readonly SshHost[];
  /** A host CA's public key line, for `@cert-authority` in known_hosts. */
  hostCa: string | undefined;
  roles: ReadonlyMap<string, SshRole>;
}

const LOGIN = /^[a-z_][a-z0-9_-]{0,31}$/;
/** It becomes an alias in an SSH configuration, where `*`, `?` and `!` are patterns. */
const HOST_ALIAS = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;
const KEY_TYPES = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521))$/;

export const SSH: TargetReader<SshSettings> = {
  keys: ['hosts', 'hostCa'],
  // sshd never asks again, so a certificate lives no longer than its revocation may take to arrive.
  credentialSeconds: { least: 1, usual: 300, most: 300 },
  read: readSsh,
  secrets: () => [],
  certificateFiles: () => [],
};

/** The settings of an ssh resource; undefined after a finding where a required part is missing or wrong. */
function readSsh(fields: Fields): SshSettings | undefined {
  const { reader } = fields;
  const hostCa = fields.optional('hostCa', (node, path) => readPublicKey(reader, node, path));
  const items = fields.required('hosts', (node, path) => reader.list(node, path));
  const roles = readRoleEntries(fields, ['login', 'forceCommand', 'sourceAddress', 'description'], readRole);
  if (items === undefined) return undefined;
  if (items.value.length === 0) return reader.error(items.node, `${fields.path}.hosts is empty`);
  const hosts: SshHost[] = [];
  for (const item of items.value) {
    const host = readHost(reader, item, `${fields.path}.hosts`, hostCa !== undefined);
    if (host === undefined) continue;
    if (hosts.some((other) => other.name === host.name)) {
      reader.error(item, `${fields.path}.hosts has ${quote(host.name)} twice`);
    }
    hosts.push(host);
  }
  return roles && { kind: 'ssh', hosts, hostCa: hostCa?.value, roles };
}

function readHost(reader: Reader, node: Node, path: string, vouched: boolean): SshHost | undefined {
  const fields = readFields(reader, node, path, ['name', 'host', 'port', 'hostKeys']);
  const name = fields?.requiredMatching('name', (text) => HOST_ALIAS.test(text), 'letters, digits, . and -');
  const host = fields?.requiredMatching('host', isHost, 'a host name or an address');
  const keys = fields?.optional('hostKeys', (list, at) => reader.list(list, at));
  const hostKeys = (keys?.value ?? []).flatMap((key) => readPublicKey(reader, key, `${path}.hostKeys`) ?? []);
  if (!fields || !name || !host) return undefined;
  if (!vouched && (keys?.value ?? []).length === 0) {
    const hint = 'add hostKeys: [...] (ssh-keyscan shows them; compare with the host), or hostCa';
    reader.error(node, `nothing vouches for ${name.value}`, hint);
  }
  return {
    name: name.value,
    host: host.value,
    port: fields.integer('port', 1, 65_535)?.value ?? 22,
    hostKeys,
  };
}

function readRole(role: Fields): SshRole | undefined {
  const login = role.requiredMatching('login', (text) => LOGIN.test(text), 'an account name');
  const source = role.matching('sourceAddress', isCidrList, 'a list of addresses like 10.0.0.0/8,192.0.2.1');
  return (
    login && {
      login: login.value,
      forceCommand: role.text('forceCommand')?.value,
      sourceAddress: source?.value,
      description: role.text('description')?.value,
    }
  );
}

function isCidrList(text: string): boolean {
  return text.split(',').every((entry) => {
    const [address = '', prefix, ...rest] = entry.split('/');
    const family = isIP(address);
    if (family === 0 || rest.length > 0) return false;
    return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
  });
}

/** A public key line without its comment, which would otherwise reach known_hosts. */
function readPublicKey(reader: Reader, node: Node, path: string): string | undefined {
  const text = reader.text(node, path);
  if (text === undefined) return undefined;
  const [type = '', base64 = ''] = text.split(' ');
  const blob = Buffer.from(base64, 'base64');
  // RFC 4253 section 6.6: the blob starts with its own type as a length-prefixed string.
  const named = blob.length > 4 ? blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1') : '';
  if (KEY_TYPES.test(type) && named === type && blob.toString('base64') === base64)
    return `${type} ${base64}`;
  return reader.error(node, `${path} is not a public key line`, 'write it as ssh-ed25519 AAAA…');
}
