import type { Fields } from '../fields.ts';
import { isHost } from '../host.ts';
import { quote } from '../read.ts';
import { readRoleEntries } from '../role-entries.ts';
import type { TargetReader } from './target-reader.ts';

export interface X509Role {
  /** The certificate's organizational unit, by which the service tells roles apart. */
  unit: string;
  description: string | undefined;
}

export interface X509Settings {
  kind: 'x509';
  /** Where the service is, for people and for the broker's questions. */
  url: string;
  /** `host:port` of each server that stands behind the address, where that is several; else none. */
  servers: readonly string[];
  /** PEM file of the CA behind the service's own certificate, relative to the catalogue. */
  caFile: string | undefined;
  roles: ReadonlyMap<string, X509Role>;
}

/** It stands in subjects, in a web server's configuration and in a regular expression there. */
const UNIT = /^[A-Za-z0-9][A-Za-z0-9 ._/:@-]*$/;
/** RFC 5280 appendix A.1, ub-organizational-unit-name. */
const LONGEST_UNIT = 64;
const SERVER = /^(.+):(\d{1,5})$/;

export const X509: TargetReader<X509Settings> = {
  keys: ['url', 'servers', 'ca'],
  // A service asks when a connection opens, and some never read a list of revocations: the end by time must be near.
  credentialSeconds: { least: 60, usual: 300, most: 900 },
  read: readX509,
  secrets: () => [],
  certificateFiles: ({ caFile }) => [caFile],
};

/** The settings of an x509 resource; undefined after a finding where a required part is missing or wrong. */
function readX509(fields: Fields): X509Settings | undefined {
  const { reader, path } = fields;
  const url = fields.requiredMatching('url', isTlsUrl, 'an https:// address without user, query or fragment');
  const servers = fields.texts('servers');
  for (const { value, node } of servers) {
    if (!isServer(value)) reader.error(node, `${path}.servers has ${quote(value)}`, 'write it as host:port');
  }
  const roles = readRoleEntries(fields, ['ou', 'description'], (role) => {
    const written = role.matching('ou', isUnit, 'at most 64 letters, digits, spaces and ._/:@-');
    // The last two names of its place: resources.tool.roles.read
    const [, resource = '', , name = ''] = role.path.split('.');
    const unit = written?.value ?? `${resource}/${name}`;
    if (unit.length > LONGEST_UNIT) reader.error(role.node, `${role.path} needs a short ou`, 'write ou: …');
    return { unit, description: role.text('description')?.value };
  });
  if (roles !== undefined) refuseTwins(fields, roles);
  return (
    url &&
    roles && {
      kind: 'x509',
      url: new URL(url.value).href,
      servers: servers.map(({ value }) => value),
      caFile: fields.text('ca')?.value,
      roles,
    }
  );
}

function isUnit(text: string): boolean {
  return UNIT.test(text) && text.length <= LONGEST_UNIT;
}

function refuseTwins({ reader, node, path }: Fields, roles: ReadonlyMap<string, X509Role>): void {
  const units = [...roles.values()].map(({ unit }) => unit);
  const twin = units.find((unit, i) => units.indexOf(unit) < i);
  if (twin !== undefined) reader.error(node, `${path}.roles has two roles with the ou ${quote(twin)}`);
}

function isTlsUrl(text: string): boolean {
  if (!URL.canParse(text) || /[?#]/.test(text)) return false;
  const { protocol, username, password } = new URL(text);
  return protocol === 'https:' && username === '' && password === '';
}

function isServer(text: string): boolean {
  const [, host = '', port = ''] = SERVER.exec(text) ?? [];
  return isHost(host.replace(/^\[(.*)\]$/, '$1')) && Number(port) >= 1 && Number(port) <= 65_535;
}
