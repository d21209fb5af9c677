/**
 * PagerDuty's Events API v2 (developer.pagerduty.com/docs/events-api-v2/trigger-events): an event is enqueued with 202;
 * 400 says that it is malformed, 429 and 5xx that it may be sent again. The deduplication key is the notice's id, or
 * that of its matter: a repeat lands in the same alert, and what says that the matter is over resolves it.
 */
import type { NoticeKind } from '../catalogue/types.ts';
import type { Notice, NoticeChannel } from './notice.ts';
import { noticeKey } from './notice-key.ts';
import { createPoster, refusedAnswer } from './post.ts';
import { wordsOf } from './words.ts';

/** What wakes somebody and what waits for the morning: urgency follows severity at PagerDuty. */
const SEVERITIES: Readonly<Record<NoticeKind, 'critical' | 'error' | 'warning' | 'info'>> = {
  approval: 'critical',
  override: 'critical',
  'break-glass': 'critical',
  review: 'warning',
  ending: 'warning',
  alarm: 'error',
  settled: 'info',
  opened: 'info',
};

export interface PagerDutyEventsOptions {
  /** The address events are posted to, `https://events.pagerduty.com/v2/enqueue` or that of the EU. */
  url: string;
  /** The integration's key, a secret that goes in the body. */
  routingKey: string;
}

/** Throws AppError `config_invalid` for an address that notices may not go to. */
export function createPagerDutyEventsChannel(name: string, options: PagerDutyEventsOptions): NoticeChannel {
  const poster = createPoster(name, options.url);
  return {
    name,
    canReach: () => true,
    async send(notice, signal) {
      const body = JSON.stringify(eventOf(notice, options.routingKey));
      const { status } = await poster.post(body, {}, signal);
      if (status !== 202) throw refusedAnswer(name, status);
    },
    close: poster.close,
  };
}

function eventOf(notice: Notice, routingKey: string): object {
  const { title, command, ...details } = wordsOf(notice);
  return {
    routing_key: routingKey,
    event_action: notice.matter?.isOver ? 'resolve' : 'trigger',
    dedup_key: noticeKey(notice.matter?.id ?? notice.id),
    client: 'oncall',
    payload: {
      summary: command === '' ? title : `${title}: ${command}`,
      source: 'oncall',
      severity: SEVERITIES[notice.kind],
      timestamp: notice.at,
      class: notice.kind,
      custom_details: { ...details, command },
    },
  };
}
