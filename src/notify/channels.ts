/** The one place that lists the kinds of channels: a new kind is a file with a channel, and a line here. */
import type { Channel, SecretRef } from '../catalogue/types.ts';
import { createEmailChannel } from './email.ts';
import type { NoticeChannel } from './notice.ts';
import { createPagerDutyEventsChannel } from './pagerduty-events.ts';
import { createSlackChannel } from './slack.ts';
import { createWebhookChannel } from './webhook.ts';

/**
 * Reads the channel's secrets, once, and makes the channel; nothing is connected yet. Throws AppError `config_invalid`,
 * and what `resolveSecret` throws. `now` gives milliseconds since 1970, the machine's clock unless given.
 */
export async function createChannel(
  { id, settings }: Channel,
  resolveSecret: (ref: SecretRef) => Promise<string>,
  now: () => number = Date.now,
): Promise<NoticeChannel> {
  switch (settings.kind) {
    case 'slack':
      return createSlackChannel(id, await resolveSecret(settings.webhook));
    case 'email': {
      const password = settings.password && (await resolveSecret(settings.password));
      return createEmailChannel(id, settings, { password });
    }
    case 'webhook':
      return createWebhookChannel(id, {
        url: settings.url,
        secret: await resolveSecret(settings.secret),
        now,
      });
    case 'pagerduty-events':
      return createPagerDutyEventsChannel(id, {
        url: settings.url,
        routingKey: await resolveSecret(settings.routingKey),
      });
  }
}
