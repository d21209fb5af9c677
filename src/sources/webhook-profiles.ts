/** The kinds of sources that send webhooks, and how each one's deliveries are verified and read. */
import type { Source, SourceSettings } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { createAlertmanagerWebhook } from './alertmanager-webhook.ts';
import type { WebhookProfile } from './incident.ts';
import { readIncidentioWebhook } from './incidentio-incident.ts';
import { createPagerdutyWebhook } from './pagerduty-webhook.ts';
import { createRootlyWebhook } from './rootly-webhook.ts';
import { createStandardWebhook } from './standard-webhook.ts';

/** What the source's settings refer to, read: texts of secrets, and the PEM of `caFile`. */
export interface WebhookSecrets {
  /** In the order of `webhookSecrets`. Empty for Alertmanager. */
  webhookSecrets: readonly string[];
  bearer: string | undefined;
  caPem: string | undefined;
}

/** Whether the catalogue lets anybody deliver for this source. */
export function receivesWebhooks(settings: SourceSettings): boolean {
  if ('webhookSecrets' in settings) return settings.webhookSecrets.length > 0;
  return settings.kind === 'alertmanager';
}

/** Throws AppError `config_invalid` for a source that receives none, and for a secret that would let anybody in. */
export function createWebhookProfile(source: Source, secrets: WebhookSecrets): WebhookProfile {
  const { id, settings } = source;
  const { webhookSecrets, bearer, caPem } = secrets;
  if (!receivesWebhooks(settings) || ('webhookSecrets' in settings && webhookSecrets.length === 0))
    throw new AppError('config_invalid', `source ${id} has no secret to verify webhooks with`);
  switch (settings.kind) {
    case 'pagerduty':
      return createPagerdutyWebhook(id, webhookSecrets);
    case 'incidentio':
      return createStandardWebhook(id, webhookSecrets, readIncidentioWebhook);
    case 'rootly':
      return createRootlyWebhook(id, webhookSecrets);
    case 'alertmanager':
      return createAlertmanagerWebhook(id, {
        bearer: settings.bearer && (bearer ?? ''),
        clientCertificate: settings.clientCertificate && {
          caPem: caPem ?? '',
          names: settings.clientCertificate.names,
        },
      });
    case 'ical':
    case 'jsm':
      throw new AppError('config_invalid', `source ${id} sends no webhooks`);
  }
}
