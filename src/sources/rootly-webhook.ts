/**
 * Rootly's outgoing webhooks (docs.rootly.com: "Webhooks", "Event Payloads"): `X-Rootly-Signature: t=SECONDS,v1=HEX`,
 * HMAC-SHA256 over the timestamp and the body with nothing between them. Digits can't move from one to the other: a
 * timestamp has ten, and a body begins with a brace.
 *
 * The body is `{event: {id, type, issued_at}, data: …}`. Rootly prints `data` of an incident only in part; its severity and
 * services are taken flat (`{id, name}`) and in the JSON:API form of its API. It doesn't say who declared an incident.
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
  requireTimestamp,
} from './webhook-signature.ts';

const HEADER = /^t=(\d{1,12}), ?v1=([0-9a-f]{64})$/;
const STATUS: ReadonlyMap<string, OutsideIncident['status']> = new Map([
  ...['in_triage', 'started', 'detected', 'acknowledged', 'mitigated'].map((open) => [open, 'open'] as const),
  ...['resolved', 'closed', 'cancelled'].map((over) => [over, 'resolved'] as const),
]);
/** Tests, examples, backfilled and scheduled ones burn nowhere. */
const REAL_KINDS = new Set(['normal', 'normal_sub']);
const INCIDENT_EVENT = /^incident\.[a-z_]+$/;

/** `secrets` are of the endpoint, as Rootly showed them. Throws AppError `config_invalid` for an empty one. */
export function createRootlyWebhook(source: string, secrets: readonly string[]): WebhookProfile {
  const keys = secrets.map((secret) => Buffer.from(requireSecret(secret, source)));
  return {
    verify(raw, nowMs) {
      requireBoundedBody(raw);
      const [, seconds = '', signature = ''] =
        HEADER.exec(readHeader(raw, 'x-rootly-signature')) ?? refuseDelivery();
      requireHmac([requireTimestamp(seconds, nowMs), raw.body], [signature], keys, 'hex');
    },
    parse,
  };
}

function parse(raw: RawDelivery, nowMs: number): Delivery {
  const body = readRecord(parseStrictJson(raw.body), 'the body');
  const event = readRecord(body.event, 'event');
  const id = readId(event.id, 'event.id');
  const eventType = readText(event.type, 'event.type');
  const issuedAtMs = readInstant(event.issued_at, 'event.issued_at');
  // `incident.scheduled.*` is maintenance; alerts, post-mortems, pulses and workflow runs are no incidents.
  if (!INCIDENT_EVENT.test(eventType)) return { id, incidents: [] };
  const data = readRecord(body.data, 'data');
  const status = eventType === 'incident.deleted' ? 'resolved' : readStatus(data);
  return { id, incidents: [readIncident(data, status, Math.min(issuedAtMs, nowMs))] };
}

function readStatus(data: VendorRecord): OutsideIncident['status'] {
  if (!REAL_KINDS.has(readOptional(data.kind, 'data.kind', readText) ?? 'normal')) return 'resolved';
  const status = STATUS.get(readText(data.status, 'data.status'));
  if (status === undefined) throw new AppError('invalid_request', 'data.status is not one of an incident');
  return status;
}

function readIncident(
  data: VendorRecord,
  status: OutsideIncident['status'],
  occurredAtMs: number,
): OutsideIncident {
  const services = readList(data.services ?? [], 'data.services');
  return normaliseIncident({
    externalId: readId(data.id, 'data.id'),
    aliases: [readOptional(data.sequential_id, 'data.sequential_id', readCount)],
    occurredAtMs,
    status,
    priority: readPart(data.severity, 'data.severity', 'name'),
    outsideService: readPart(services[0], 'data.services', 'id'),
    title: readOptional(data.title, 'data.title', readText),
    startedAtMs: Math.min(
      readOptional(data.started_at, 'data.started_at', readInstant) ?? occurredAtMs,
      occurredAtMs,
    ),
    outsideDeclarer: undefined,
    outsideAssignees: [],
    url: readOptional(data.url, 'data.url', readText),
    labels: {},
  });
}

/** A part of `{id, name}` or of JSON:API's `{data: {id, attributes: {name}}}`. */
function readPart(value: unknown, member: string, part: 'id' | 'name'): string {
  const outer = readOptional(value, member, readRecord);
  const record = readOptional(outer?.data, member, readRecord) ?? outer;
  const attributes = readOptional(record?.attributes, member, readRecord);
  return readOptional(attributes?.[part] ?? record?.[part], `${member}.${part}`, readText) ?? '';
}
