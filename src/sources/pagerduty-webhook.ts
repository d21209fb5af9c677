/**
 * PagerDuty's V3 webhooks (developer.pagerduty.com: "Verifying Signatures", "Webhooks Overview", "Webhook Behavior").
 *
 * `X-PagerDuty-Signature: v1=HEX[,v1=HEX]`, one HMAC-SHA256 over the body for each secret during a rotation. No time and
 * no header is signed: a replay may carry a fresh `X-Webhook-Id`, so that `event.id`, which is inside the signed bytes, is
 * the delivery's id, and `event.occurred_at` bounds how long one can be replayed. PagerDuty tries for about 20 minutes and
 * queues behind a failing receiver; three days leave room for that.
 */
import { AppError } from '../protocol/errors.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { Delivery, OutsideIncident, RawDelivery, WebhookProfile } from './incident.ts';
import { normaliseIncident } from './normalise.ts';
import {
  readCount,
  readId,
  readInstant,
  readList,
  readOptional,
  readRecord,
  readText,
  type VendorRecord,
} from './vendor-json.ts';
import {
  readHeader,
  refuseDelivery,
  requireBoundedBody,
  requireHmac,
  requireSecret,
  WINDOW_MS,
} from './webhook-signature.ts';

const SIGNATURE = /^(v\d+)=([A-Za-z0-9+/_-]+={0,2})$/;
const OLDEST_MS = 3 * 86_400_000;
const STATUS: ReadonlyMap<string, OutsideIncident['status']> = new Map([
  ['triggered', 'open'],
  ['acknowledged', 'open'],
  ['resolved', 'resolved'],
]);
/** The events whose `agent` declared the incident, or keeps it open. In all others the agent only did something to it. */
const DECLARING = new Set(['incident.triggered', 'incident.reopened']);

/** `secrets` are of the subscription, as PagerDuty showed them. Throws AppError `config_invalid` for an empty one. */
export function createPagerdutyWebhook(source: string, secrets: readonly string[]): WebhookProfile {
  const keys = secrets.map((secret) => Buffer.from(requireSecret(secret, source)));
  return {
    verify(raw) {
      requireBoundedBody(raw);
      requireHmac([raw.body], readSignatures(readHeader(raw, 'x-pagerduty-signature')), keys, 'hex');
    },
    parse,
  };
}

/** Those of version 1; others, of a version to come, are not ours to judge. */
function readSignatures(header: string): string[] {
  const all = header.split(',').map((text) => SIGNATURE.exec(text) ?? refuseDelivery());
  return all.filter(([, version]) => version === 'v1').map(([, , signature]) => signature ?? '');
}

function parse(raw: RawDelivery, nowMs: number): Delivery {
  const event = readRecord(readRecord(parseStrictJson(raw.body), 'the body').event, 'event');
  const id = readId(event.id, 'event.id');
  const eventType = readText(event.event_type, 'event.event_type');
  const occurredAtMs = readInstant(event.occurred_at, 'event.occurred_at');
  if (occurredAtMs < nowMs - OLDEST_MS || occurredAtMs > nowMs + WINDOW_MS) refuseDelivery();
  const data = readRecord(event.data, 'event.data');
  // Notes, responders and status updates come as `incident.*` too; services and escalation policies as their own.
  if (data.type !== 'incident') return { id, incidents: [] };
  const declarer = DECLARING.has(eventType) ? readAgent(event.agent) : undefined;
  return { id, incidents: [readIncident(data, Math.min(occurredAtMs, nowMs), declarer)] };
}

function readIncident(
  data: VendorRecord,
  occurredAtMs: number,
  outsideDeclarer: string | undefined,
): OutsideIncident {
  const status = STATUS.get(readText(data.status, 'event.data.status'));
  if (status === undefined)
    throw new AppError('invalid_request', 'event.data.status is not one of an incident');
  return normaliseIncident({
    externalId: readId(data.id, 'event.data.id'),
    aliases: [readOptional(data.number, 'event.data.number', readCount)],
    occurredAtMs,
    status,
    priority: readReference(data.priority, 'event.data.priority', 'summary'),
    outsideService: readReference(data.service, 'event.data.service', 'id'),
    title: readOptional(data.title, 'event.data.title', readText),
    startedAtMs: Math.min(
      readOptional(data.created_at, 'event.data.created_at', readInstant) ?? occurredAtMs,
      occurredAtMs,
    ),
    outsideDeclarer,
    outsideAssignees: readList(data.assignees ?? [], 'event.data.assignees').map((assignee) =>
      readReference(assignee, 'event.data.assignees', 'id'),
    ),
    url: readOptional(data.html_url, 'event.data.html_url', readText),
    labels: {},
  });
}

/** The user who acted; undefined for a machine (an integration, a service) and where PagerDuty names nobody. */
function readAgent(value: unknown): string | undefined {
  const agent = readOptional(value, 'event.agent', readRecord);
  return agent?.type === 'user_reference' ? readId(agent.id, 'event.agent.id') : undefined;
}

function readReference(value: unknown, member: string, part: 'id' | 'summary'): string {
  const reference = readOptional(value, member, readRecord);
  return reference === undefined ? '' : readText(reference[part], `${member}.${part}`);
}
