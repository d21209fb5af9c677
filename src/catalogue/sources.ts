import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { type Fields, readFields, readType } from './fields.ts';
import { isEmail, NAME_FORM, readNamed } from './people.ts';
import { quote, type Reader } from './read.ts';
import { readSecretRef } from './secret-ref.ts';
import type { SecretRef, Source, SourceKind, SourceSettings } from './types.ts';
import { isServiceUrl, URL_FORM } from './url.ts';

const POLLED = ['poll', 'staleness'];
const TELLS_OF_INCIDENTS = ['priorities', 'trusted'];
const KEYS: Record<SourceKind, readonly string[]> = {
  ical: ['feed', ...POLLED],
  pagerduty: ['url', 'token', 'webhookSecrets', ...POLLED, ...TELLS_OF_INCIDENTS],
  jsm: ['url', 'user', 'token', ...POLLED],
  incidentio: ['url', 'token', 'webhookSecrets', ...POLLED, ...TELLS_OF_INCIDENTS],
  rootly: ['webhookSecrets', ...TELLS_OF_INCIDENTS],
  alertmanager: ['bearer', 'clientCertificate', ...TELLS_OF_INCIDENTS],
};
/** What facts say where no source of this catalogue spoke: people's own word, and this file's rotations. */
const RESERVED = ['manual', 'static'];

const DEFAULTS = { pollSeconds: 60, freshSeconds: 600, usableSeconds: 24 * 3600 };
const SHORTEST_POLL_SECONDS = 10;
const LONGEST_POLL_SECONDS = 3600;
export const PRIORITIES = ['P1', 'P2', 'P3', 'P4', 'P5'];

export function readSources(reader: Reader, node: Node | undefined): Map<string, Source> {
  const sources = new Map<string, Source>();
  for (const { key, value } of readNamed(reader, node, 'sources', isName, NAME_FORM)) {
    const path = `sources.${key.value}`;
    if (RESERVED.includes(key.value)) {
      reader.error(key.node, `the name ${quote(key.value)} is the broker's own`, 'choose another name');
    }
    const kind = readType(reader, value, path, 'source type', Object.keys(KEYS) as SourceKind[]);
    const fields = kind && readFields(reader, value, path, ['type', ...KEYS[kind]]);
    const settings = fields && readSettings(kind, fields);
    if (!fields || !settings) continue;
    sources.set(key.value, { id: key.value, settings, ...readCommon(fields, kind) });
  }
  return sources;
}

/** Whether the source can be asked who is on call. */
export function givesShifts({ settings }: Source): boolean {
  switch (settings.kind) {
    case 'ical':
    case 'jsm':
      return true;
    case 'pagerduty':
    case 'incidentio':
      return settings.token !== undefined;
    case 'rootly':
    case 'alertmanager':
      return false;
  }
}

function readSettings(kind: SourceKind, fields: Fields): SourceSettings | undefined {
  switch (kind) {
    case 'ical': {
      const feed = fields.required('feed', secret(fields));
      return feed && { kind, feed: feed.value };
    }
    case 'pagerduty':
      return readVendor(kind, fields, 'https://api.pagerduty.com');
    case 'incidentio':
      return readVendor(kind, fields, 'https://api.incident.io');
    case 'jsm':
      return readJsm(fields);
    case 'rootly': {
      const webhookSecrets = readSecrets(fields);
      if (webhookSecrets.length > 0) return { kind, webhookSecrets };
      return fields.reader.error(
        fields.node,
        `${fields.path} has no webhookSecrets`,
        'add webhookSecrets: [{ file: secrets/NAME }]',
      );
    }
    case 'alertmanager':
      return readAlertmanager(fields);
  }
}

function readVendor(
  kind: 'pagerduty' | 'incidentio',
  fields: Fields,
  defaultUrl: string,
): SourceSettings | undefined {
  const url = fields.matching('url', isServiceUrl, URL_FORM);
  const token = fields.optional('token', secret(fields));
  const webhookSecrets = readSecrets(fields);
  if (!fields.has('token') && webhookSecrets.length === 0) {
    return fields.reader.error(
      fields.node,
      `${fields.path} has neither a token nor webhookSecrets`,
      'add token: { file: secrets/NAME }',
    );
  }
  return { kind, url: url?.value ?? defaultUrl, token: token?.value, webhookSecrets };
}

/** Its address holds the site's cloud id, so it has no default. */
function readJsm(fields: Fields): SourceSettings | undefined {
  const hint = 'add url: https://api.atlassian.com/jsm/ops/api/CLOUD_ID';
  if (!fields.has('url')) fields.reader.error(fields.node, `${fields.path} has no url`, hint);
  const url = fields.matching('url', isServiceUrl, URL_FORM);
  const user = fields.requiredMatching('user', isEmail, 'an e-mail address');
  const token = fields.required('token', secret(fields));
  return url && user && token && { kind: 'jsm', url: url.value, user: user.value, token: token.value };
}

function readAlertmanager(fields: Fields): SourceSettings | undefined {
  const { reader } = fields;
  const bearer = fields.optional('bearer', secret(fields));
  const clientCertificate = fields.optional('clientCertificate', (node, path) => {
    const certificate = readFields(reader, node, path, ['ca', 'names']);
    const ca = certificate?.requiredText('ca');
    const names = certificate?.texts('names') ?? [];
    if (certificate && names.length === 0) reader.error(node, `${path} has no names`, 'add names: [NAME]');
    return ca && { caFile: ca.value, names: names.map(({ value }) => value) };
  });
  if (!fields.has('bearer') && !fields.has('clientCertificate')) {
    return reader.error(
      fields.node,
      `${fields.path} has neither a bearer token nor a clientCertificate: anybody could post to it`,
      'add bearer: { file: secrets/NAME }',
    );
  }
  return { kind: 'alertmanager', bearer: bearer?.value, clientCertificate: clientCertificate?.value };
}

function readCommon(fields: Fields, kind: SourceKind): Omit<Source, 'id' | 'settings'> {
  const { reader } = fields;
  const poll = fields.duration('poll');
  if (poll && (poll.value < SHORTEST_POLL_SECONDS || poll.value > LONGEST_POLL_SECONDS)) {
    reader.error(poll.node, `${fields.path}.poll must be from 10s to 1h`);
  }
  const pollSeconds = poll?.value ?? DEFAULTS.pollSeconds;
  return {
    pollSeconds,
    ...readStaleness(fields, pollSeconds),
    priorities: readPriorities(fields),
    // Alertmanager's API has no sign-in by default, and its webhook no signature. Rootly never says who declared an incident.
    trusted:
      fields.optional('trusted', (node, path) => reader.boolean(node, path))?.value ??
      (kind !== 'alertmanager' && kind !== 'rootly'),
  };
}

function readStaleness(fields: Fields, pollSeconds: number): Pick<Source, 'freshSeconds' | 'usableSeconds'> {
  const { reader } = fields;
  const staleness = fields.optional('staleness', (node, path) =>
    readFields(reader, node, path, ['fresh', 'usable']),
  );
  const fresh = staleness?.value.duration('fresh');
  const usable = staleness?.value.duration('usable');
  const freshSeconds =
    fresh?.value ?? Math.min(DEFAULTS.freshSeconds, usable?.value ?? Number.POSITIVE_INFINITY);
  const usableSeconds = usable?.value ?? Math.max(DEFAULTS.usableSeconds, freshSeconds);
  if (usable && usableSeconds < freshSeconds) {
    reader.error(
      usable.node,
      `${fields.path}.staleness.usable is shorter than fresh`,
      'raise usable, or lower fresh',
    );
  }
  if (staleness && freshSeconds <= pollSeconds) {
    reader.warn(
      staleness.node,
      `${fields.path} is stale before it is polled again`,
      'write a fresh of several polls, e.g. 10m',
    );
  }
  return { freshSeconds, usableSeconds };
}

function readPriorities(fields: Fields): Record<string, string> {
  const { reader } = fields;
  const priorities: Record<string, string> = Object.create(null);
  fields.optional('priorities', (node, path) => {
    for (const { key, value } of reader.entries(node, path) ?? []) {
      const priority = readPriority(reader, value, `${path}.${key.value}`);
      if (priority !== undefined) priorities[key.value] = priority;
    }
    return priorities;
  });
  return priorities;
}

export function readPriority(reader: Reader, node: Node, path: string): string | undefined {
  const text = reader.text(node, path);
  if (text === undefined || PRIORITIES.includes(text)) return text;
  return reader.error(node, `${path} is ${quote(text)}`, `write one of ${PRIORITIES.join(', ')}`);
}

function readSecrets(fields: Fields): SecretRef[] {
  const path = `${fields.path}.webhookSecrets`;
  return fields.items('webhookSecrets').flatMap((node) => readSecretRef(fields.reader, node, path) ?? []);
}

function secret({ reader }: Fields): (node: Node, path: string) => SecretRef | undefined {
  return (node, path) => readSecretRef(reader, node, path);
}
