/** What a catalogue names and does not hold: secrets, and certificates of authorities. */
import { targetReader } from './targets/kinds.ts';
import type { Catalogue, Channel, SecretRef, Source } from './types.ts';

/** Something the broker needs at run time, and whose it is, in people's words. */
export interface Needed<T> {
  owner: string;
  ref: T;
  /** What to do where it is missing, besides writing it there. */
  hint: string | undefined;
}

export function secretsOf({ resources, sources, channels, breakGlass }: Catalogue): Needed<SecretRef>[] {
  return [
    ...[...resources.values()].flatMap(({ id, target }) =>
      named(id, targetReader(target.kind).secrets(target), `oncall broker target ${id}`),
    ),
    ...[...sources.values()].flatMap((source) => named(`source ${source.id}`, sourceSecrets(source))),
    ...[...channels.values()].flatMap((channel) => named(`channel ${channel.id}`, channelSecrets(channel))),
    ...named('breakGlass.webhook', [breakGlass.webhook?.secret]),
  ];
}

/** PEM files, relative to the catalogue. */
export function certificateFilesOf({ resources, sources }: Catalogue): Needed<string>[] {
  return [
    ...[...resources.values()].flatMap(({ id, target }) =>
      named(
        id,
        targetReader(target.kind).certificateFiles(target),
        "put the CA of the server's certificate there",
      ),
    ),
    ...[...sources.values()].flatMap(({ id, settings }) =>
      settings.kind === 'alertmanager'
        ? named(
            `source ${id}`,
            [settings.clientCertificate?.caFile],
            'put the CA of the client certificates there',
          )
        : [],
    ),
  ];
}

function sourceSecrets({ settings }: Source): (SecretRef | undefined)[] {
  switch (settings.kind) {
    case 'ical':
      return [settings.feed];
    case 'jsm':
      return [settings.token];
    case 'pagerduty':
    case 'incidentio':
      return [settings.token, ...settings.webhookSecrets];
    case 'rootly':
      return [...settings.webhookSecrets];
    case 'alertmanager':
      return [settings.bearer];
  }
}

function channelSecrets({ settings }: Channel): (SecretRef | undefined)[] {
  switch (settings.kind) {
    case 'slack':
      return [settings.webhook];
    case 'email':
      return [settings.password];
    case 'webhook':
      return [settings.secret];
    case 'pagerduty-events':
      return [settings.routingKey];
  }
}

function named<T>(owner: string, refs: readonly (T | undefined)[], hint?: string): Needed<T>[] {
  return refs.flatMap((ref) => (ref === undefined ? [] : [{ owner, ref, hint }]));
}
