import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { type Fields, readFields, readType } from './fields.ts';
import { isHost } from './host.ts';
import { isEmail, NAME_FORM, readNamed } from './people.ts';
import type { Reader } from './read.ts';
import { readSecretRef } from './secret-ref.ts';
import { type Channel, type ChannelSettings, NOTICE_KINDS, type NoticeKind } from './types.ts';
import { isServiceUrl, URL_FORM } from './url.ts';

type ChannelKind = ChannelSettings['kind'];

const KEYS: Record<ChannelKind, readonly string[]> = {
  slack: ['webhook'],
  email: ['host', 'port', 'tls', 'user', 'password', 'from'],
  webhook: ['url', 'secret'],
  'pagerduty-events': ['url', 'routingKey'],
};
const PAGERDUTY_EVENTS_URL = 'https://events.pagerduty.com/v2/enqueue';
/** RFC 8314 §7.3: submission over TLS, and submission that begins with STARTTLS. */
const SMTP_PORT = { tls: 465, startTls: 587 };

export function readChannels(reader: Reader, node: Node | undefined): Map<string, Channel> {
  const channels = new Map<string, Channel>();
  for (const { key, value } of readNamed(reader, node, 'notify', isName, NAME_FORM)) {
    const path = `notify.${key.value}`;
    const kind = readType(reader, value, path, 'channel type', Object.keys(KEYS) as ChannelKind[]);
    const fields = kind && readFields(reader, value, path, ['type', 'notices', ...KEYS[kind]]);
    const settings = fields && readSettings(kind, fields);
    if (settings) channels.set(key.value, { id: key.value, settings, notices: readNotices(fields) });
  }
  return channels;
}

function readSettings(kind: ChannelKind, fields: Fields): ChannelSettings | undefined {
  const readSecret = (node: Node, path: string) => readSecretRef(fields.reader, node, path);
  switch (kind) {
    case 'slack': {
      const webhook = fields.required('webhook', readSecret);
      return webhook && { kind, webhook: webhook.value };
    }
    case 'email':
      return readEmail(fields);
    case 'webhook': {
      const url = fields.requiredMatching('url', isServiceUrl, URL_FORM);
      const secret = fields.required('secret', readSecret);
      return url && secret && { kind, url: url.value, secret: secret.value };
    }
    case 'pagerduty-events': {
      const url = fields.matching('url', isServiceUrl, URL_FORM);
      const routingKey = fields.required('routingKey', readSecret);
      return routingKey && { kind, url: url?.value ?? PAGERDUTY_EVENTS_URL, routingKey: routingKey.value };
    }
  }
}

function readEmail(fields: Fields): ChannelSettings | undefined {
  const { reader } = fields;
  const host = fields.requiredMatching('host', isHost, 'a host name or an address');
  const tls = fields.optional('tls', (node, path) => reader.boolean(node, path))?.value ?? false;
  const port = fields.integer('port', 1, 65_535)?.value ?? (tls ? SMTP_PORT.tls : SMTP_PORT.startTls);
  const user = fields.text('user')?.value;
  const password = fields.optional('password', (node, path) => readSecretRef(reader, node, path))?.value;
  if (fields.has('user') !== fields.has('password')) {
    reader.error(fields.node, `${fields.path} needs both user and password, or neither`);
  }
  const from = fields.requiredMatching('from', isEmail, 'an e-mail address');
  return host && from && { kind: 'email', host: host.value, port, tls, user, password, from: from.value };
}

function readNotices(fields: Fields): readonly NoticeKind[] {
  if (!fields.has('notices')) return NOTICE_KINDS;
  const { reader } = fields;
  const places = fields.texts('notices');
  if (places.length === 0) {
    reader.error(fields.node, `${fields.path} has no notices`, `write some of ${NOTICE_KINDS.join(', ')}`);
  }
  for (const place of places) reader.existing(place, 'notice', new Set(NOTICE_KINDS));
  return NOTICE_KINDS.filter((kind) => places.some(({ value }) => value === kind));
}
