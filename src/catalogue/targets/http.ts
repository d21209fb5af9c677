import type { Fields } from '../fields.ts';
import { readRoleEntries } from '../role-entries.ts';
import { isServiceUrl, URL_FORM } from '../url.ts';
import type { TargetReader } from './target-reader.ts';

export interface HttpRole {
  description: string | undefined;
}

export interface HttpSettings {
  kind: 'http';
  /** Where the tool is, for people and for the broker's questions. */
  url: string;
  /** What its tokens say that they are for. */
  audience: string;
  /** PEM file of the CA behind the tool's own certificate, relative to the catalogue. */
  caFile: string | undefined;
  roles: ReadonlyMap<string, HttpRole>;
}

const AUDIENCE = /^[!-~]{1,200}$/;

export const HTTP: TargetReader<HttpSettings> = {
  keys: ['url', 'audience', 'ca'],
  // A proxy that verifies tokens by itself hears of no end but the one in the token.
  credentialSeconds: { least: 60, usual: 300, most: 900 },
  read: readHttp,
  secrets: () => [],
  certificateFiles: ({ caFile }) => [caFile],
};

/** The settings of an http resource; undefined after a finding where a required part is missing or wrong. */
function readHttp(fields: Fields): HttpSettings | undefined {
  const url = fields.requiredMatching('url', isServiceUrl, URL_FORM);
  const audience = fields.matching('audience', (text) => AUDIENCE.test(text), 'plain text without spaces');
  const roles = readRoleEntries(fields, ['description'], (role) => ({
    description: role.text('description')?.value,
  }));
  if (!url || !roles) return undefined;
  const { href } = new URL(url.value);
  return {
    kind: 'http',
    url: href,
    audience: audience?.value ?? href,
    caFile: fields.text('ca')?.value,
    roles,
  };
}
