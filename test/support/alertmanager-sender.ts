import { createHash } from 'node:crypto';
import {
  delivery,
  iso,
  type SentDelivery,
  type SentIncident,
  type WebhookSender,
} from './webhook-senders.ts';

/**
 * Alertmanager with a bearer token; without one it must come with a client certificate. Its alerts can't be acknowledged
 * (it repeats itself), and one of another severity is another alert, beside the old one until that resolves.
 */
export function alertmanagerSender(bearer?: string): WebhookSender {
  const sign = (body: string | Uint8Array): SentDelivery =>
    delivery(body, {
      'user-agent': 'Alertmanager/0.28.1',
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    });
  return {
    sign,
    deliver: (happening, incident, atMs) => {
      const resolved = happening === 'resolve';
      const alert = sentAlert(
        incident,
        resolved ? atMs : undefined,
        happening === 'reopen' ? atMs : undefined,
      );
      return sign(sentNotification(incident.id, [alert]));
    },
  };
}

/** One alert of a notification: firing unless it ended. */
export function sentAlert(incident: SentIncident, endedAtMs?: number, startedAtMs = incident.startedAtMs) {
  const labels: Record<string, string> = {
    alertname: incident.id,
    service: incident.service,
    severity: incident.priority,
    ...incident.labels,
  };
  return {
    status: endedAtMs === undefined ? 'firing' : 'resolved',
    labels,
    annotations: { summary: incident.title },
    startsAt: iso(startedAtMs),
    endsAt: endedAtMs === undefined ? '0001-01-01T00:00:00Z' : iso(endedAtMs),
    generatorURL: `http://prometheus.example.com:9090/graph?g0.expr=${incident.id}&g0.tab=1`,
    fingerprint: createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 16),
  };
}

/** Alertmanager's body for a group of alerts. */
export function sentNotification(
  group: string,
  alerts: readonly ReturnType<typeof sentAlert>[],
  truncatedAlerts = 0,
): string {
  const [first, ...others] = alerts;
  const common = Object.entries(first?.labels ?? {}).filter(([name, value]) =>
    others.every(({ labels }) => labels[name] === value),
  );
  return JSON.stringify({
    receiver: 'oncall',
    status: alerts.some(({ status }) => status === 'firing') ? 'firing' : 'resolved',
    alerts,
    groupLabels: { alertname: group },
    commonLabels: Object.fromEntries(common),
    commonAnnotations: {},
    externalURL: 'http://alertmanager.example.com:9093',
    version: '4',
    groupKey: `{}:{alertname="${group}"}`,
    truncatedAlerts,
  });
}
