// Plays the systems that send webhooks: genuine deliveries of their documented shapes, signed as they sign. Made without the
// code under test, so that both can't be wrong in the same way.
import { createHmac, randomUUID } from 'node:crypto';

export type Happening = 'fire' | 'acknowledge' | 'reopen' | 'resolve' | 'change-priority';

export interface SentIncident {
  /** As the sender writes ids; Alertmanager makes its group key of it. */
  id: string;
  number: number;
  title: string;
  service: string;
  priority: string;
  startedAtMs: number;
  /** The sender's ids of people; Alertmanager has none. */
  declarer: string | undefined;
  assignees: readonly string[];
  /** Alertmanager's, besides `service` and `severity`. */
  labels: Readonly<Record<string, string>>;
}

export interface SentDelivery {
  headers: Record<string, string>;
  body: Buffer;
}

export interface WebhookSender {
  /** A first delivery of what happens at this moment. */
  deliver(happening: Happening, incident: SentIncident, atMs: number): SentDelivery;
  /** Any body as this sender would sign it then, under a fresh delivery header: a second try, a replay, another's body. */
  sign(body: string | Uint8Array, atMs: number): SentDelivery;
}

export const sentIncident = (fields: Partial<SentIncident> = {}): SentIncident => ({
  id: 'Q1ORDERSDOWN',
  number: 4711,
  title: 'orders are down',
  service: 'PSVC1',
  priority: 'P1',
  startedAtMs: Date.parse('2026-01-05T02:14:00.000Z'),
  declarer: undefined,
  assignees: ['PANA'],
  labels: {},
  ...fields,
});

/** PagerDuty V3. With several secrets it signs with each, as during a rotation. */
export function pagerdutySender(...secrets: readonly string[]): WebhookSender {
  const event = { fire: 'triggered', acknowledge: 'acknowledged', reopen: 'reopened', resolve: 'resolved' };
  const sign = (body: string | Uint8Array): SentDelivery =>
    delivery(body, {
      'x-pagerduty-signature': secrets.map((secret) => `v1=${hmac(secret, 'hex', body)}`).join(','),
      'x-webhook-id': randomUUID(),
      'x-webhook-subscription': 'PSUB1',
    });
  return {
    sign,
    deliver: (happening, incident, atMs) =>
      sign(
        json({
          event: {
            id: randomUUID().replaceAll('-', '').toUpperCase().slice(0, 26),
            event_type: `incident.${happening === 'change-priority' ? 'priority_updated' : event[happening]}`,
            resource_type: 'incident',
            occurred_at: iso(atMs),
            agent:
              happening === 'fire' && incident.declarer === undefined
                ? reference('service', incident.service)
                : reference('user', incident.declarer ?? incident.assignees[0] ?? 'PANA'),
            client: null,
            data: {
              id: incident.id,
              type: 'incident',
              self: `https://api.pagerduty.com/incidents/${incident.id}`,
              html_url: `https://acme.pagerduty.com/incidents/${incident.id}`,
              number: incident.number,
              status:
                happening === 'resolve'
                  ? 'resolved'
                  : happening === 'acknowledge'
                    ? 'acknowledged'
                    : 'triggered',
              incident_key: incident.id.toLowerCase(),
              created_at: iso(incident.startedAtMs),
              title: incident.title,
              service: { ...reference('service', incident.service), summary: 'Orders' },
              assignees: incident.assignees.map((id) => reference('user', id)),
              priority:
                incident.priority === ''
                  ? null
                  : { ...reference('priority', 'PPRIO'), summary: incident.priority },
              urgency: 'high',
              resolve_reason: null,
            },
          },
        }),
      ),
  };
}

/** incident.io, by Standard Webhooks: `secret` is a `whsec_…`. */
export function incidentioSender(...secrets: readonly string[]): WebhookSender {
  const sign = (body: string | Uint8Array, atMs: number): SentDelivery => {
    const id = `msg_${randomUUID().replaceAll('-', '')}`;
    const seconds = String(Math.floor(atMs / 1000));
    const signatures = secrets.map((secret) => {
      const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
      return `v1,${hmac(key, 'base64', `${id}.${seconds}.`, body)}`;
    });
    return delivery(body, {
      'webhook-id': id,
      'webhook-timestamp': seconds,
      'webhook-signature': signatures.join(' '),
    });
  };
  return {
    sign,
    deliver: (happening, incident, atMs) => {
      const status = { category: happening === 'resolve' ? 'closed' : 'live', id: '01STATUS', name: 'Any' };
      const payload = {
        id: incident.id,
        reference: `INC-${incident.number}`,
        name: incident.title,
        mode: 'standard',
        visibility: 'public',
        permalink: `https://app.incident.io/acme/incidents/${incident.number}`,
        created_at: iso(incident.startedAtMs),
        updated_at: iso(atMs),
        creator:
          incident.declarer === undefined
            ? { alert: { id: '01ALERT', title: incident.title } }
            : { user: { id: incident.declarer, name: 'Ana', email: 'ana@example.com', role: 'viewer' } },
        severity: incident.priority === '' ? null : { id: '01SEV', name: incident.priority, rank: 1 },
        incident_status: status,
        incident_role_assignments: incident.assignees.map((id) => ({
          assignee: { id, name: 'Ana', role: 'viewer' },
          role: { id: '01ROLE', name: 'Incident Lead', role_type: 'lead' },
        })),
        custom_field_entries: [
          {
            custom_field: { id: '01FIELD', name: 'Affected services', field_type: 'multi_select' },
            values: [{ value_catalog_entry: { id: incident.service, name: 'Orders' } }],
          },
        ],
      };
      const changes = happening === 'acknowledge' || happening === 'change-priority';
      const type = changes
        ? 'incident_updated'
        : happening === 'fire'
          ? 'incident_created'
          : 'incident_status_updated';
      const member = `public_incident.${type}_v2`;
      const carried =
        type === 'incident_status_updated'
          ? { incident: payload, new_status: status, previous_status: { ...status, category: 'live' } }
          : payload;
      return sign(json({ event_type: member, [member]: carried }), atMs);
    },
  };
}

/** Rootly has one secret an endpoint. */
export function rootlySender(secret: string): WebhookSender {
  const sign = (body: string | Uint8Array, atMs: number): SentDelivery => {
    const seconds = String(Math.floor(atMs / 1000));
    return delivery(body, { 'x-rootly-signature': `t=${seconds},v1=${hmac(secret, 'hex', seconds, body)}` });
  };
  const type = { fire: 'created', acknowledge: 'updated', reopen: 'updated', resolve: 'resolved' };
  return {
    sign,
    deliver: (happening, incident, atMs) =>
      sign(
        json({
          event: {
            id: randomUUID(),
            type: `incident.${happening === 'change-priority' ? 'updated' : type[happening]}`,
            issued_at: iso(atMs).replace('Z', '+00:00'),
          },
          data: {
            id: incident.id,
            sequential_id: incident.number,
            title: incident.title,
            slug: incident.title.replaceAll(' ', '-'),
            kind: 'normal',
            private: false,
            status:
              happening === 'resolve' ? 'resolved' : happening === 'acknowledge' ? 'acknowledged' : 'started',
            url: `https://rootly.com/account/incidents/${incident.number}-${incident.title.replaceAll(' ', '-')}`,
            started_at: iso(incident.startedAtMs),
            severity: incident.priority === '' ? null : { id: 'sev', name: incident.priority, slug: 'sev' },
            services: [{ id: incident.service, name: 'Orders', slug: 'orders' }],
          },
        }),
        atMs,
      ),
  };
}

export function delivery(body: string | Uint8Array, headers: Record<string, string>): SentDelivery {
  return { headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(body) };
}

function hmac(
  key: string | Uint8Array,
  encoding: 'hex' | 'base64',
  ...parts: readonly (string | Uint8Array)[]
) {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest(encoding);
}

function reference(type: string, id: string) {
  return { id, type: `${type}_reference`, summary: id, self: `https://api.pagerduty.com/${type}s/${id}` };
}

export const iso = (ms: number) => new Date(ms).toISOString();
const json = (value: unknown) => JSON.stringify(value);
