/** The broker's doors to outside systems: each opened when it is needed first, with the secrets that it names. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Channel, SecretRef, Source } from '../catalogue/types.ts';
import { createChannel } from '../notify/channels.ts';
import type { NoticeChannel } from '../notify/notice.ts';
import type { WebhookProfile } from '../sources/incident.ts';
import { createReaders, type Readers } from '../sources/readers.ts';
import { createWebhookProfile, receivesWebhooks } from '../sources/webhook-profiles.ts';
import { createOpenedOnce } from './opened-once.ts';
import type { CurrentRules } from './rules.ts';

export interface Outside {
  readersOf(source: Source): Promise<Readers>;
  /** Undefined where the catalogue lets nobody deliver for this source. */
  webhookOf(source: Source): Promise<WebhookProfile | undefined>;
  channelOf(channel: Channel): Promise<NoticeChannel>;
  /** Closes what the catalogue in force does not name any more. */
  keepCurrent(): Promise<void>;
  close(): Promise<void>;
}

export function createOutside(
  rules: CurrentRules,
  resolveSecret: (ref: SecretRef) => Promise<string>,
  now: () => number,
): Outside {
  const readers = createOpenedOnce(
    async (source: Source) => createReaders(source, resolveSecret),
    (opened) => opened.close(),
  );
  const webhooks = createOpenedOnce(
    (source: Source) => openWebhook(source, resolveSecret, rules().catalogue.directory),
    async () => {},
  );
  const channels = createOpenedOnce(
    (channel: Channel) => createChannel(channel, resolveSecret, now),
    (opened) => opened.close(),
  );
  return {
    readersOf: (source) => readers.get(source),
    webhookOf: (source) => webhooks.get(source),
    channelOf: (channel) => channels.get(channel),
    async keepCurrent() {
      const { catalogue } = rules();
      await readers.keep(catalogue.sources.values());
      await webhooks.keep(catalogue.sources.values());
      await channels.keep(catalogue.channels.values());
    },
    async close() {
      await readers.keep([]);
      await channels.keep([]);
    },
  };
}

async function openWebhook(
  source: Source,
  resolveSecret: (ref: SecretRef) => Promise<string>,
  directory: string,
): Promise<WebhookProfile | undefined> {
  const { settings } = source;
  if (!receivesWebhooks(settings)) return undefined;
  const refs = 'webhookSecrets' in settings ? settings.webhookSecrets : [];
  const alertmanager = settings.kind === 'alertmanager' ? settings : undefined;
  const caFile = alertmanager?.clientCertificate?.caFile;
  return createWebhookProfile(source, {
    webhookSecrets: await Promise.all(refs.map(resolveSecret)),
    bearer: alertmanager?.bearer && (await resolveSecret(alertmanager.bearer)),
    caPem: caFile === undefined ? undefined : await readFile(resolve(directory, caFile), 'utf8'),
  });
}
