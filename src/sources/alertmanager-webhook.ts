/**
 * Prometheus Alertmanager's webhooks, version 4 (prometheus.io: "Alerting configuration", `webhook_config`). They are not
 * signed: the sender shows a bearer token, or a client certificate in TLS.
 *
 * A notification is about one group of alerts, and people are paged by group. But a group may span services and
 * priorities (`group_by: [alertname]`), and a warning that joins a critical alert must not lower it: an incident is the
 * alerts of a group that share the labels `service` and `priority` (else `severity`). It is open while one of them fires. A
 * notification carries every alert of its group but those truncated from it, so that absence proves nothing then: such a
 * notification opens, and never resolves.
 *
 * Nothing says when a notification was made. Its time is the newest start of a firing alert or end of a resolved one, and
 * its id what it says of each alert: a repetition is the same delivery. An alert that Alertmanager gave up as resolved, and
 * that fires on with its old start, says nothing new by this and does not reopen: whoever needs access declares it.
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { isSender, readCas } from './client-certificate.ts';
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
} from './vendor-json.ts';
import {
  isSameText,
  readHeader,
  refuseDelivery,
  requireBoundedBody,
  requireSecret,
} from './webhook-signature.ts';

const MAX_ALERTS = 1000;
const MAX_GROUP_KEY_LENGTH = 16 * 1024;

interface Alert {
  fingerprint: string;
  firing: boolean;
  /** When it began to fire, or ceased to. */
  changedAtMs: number;
  startsAtMs: number;
  labels: Readonly<Record<string, string>>;
  summary: string | undefined;
  generatorUrl: string | undefined;
}

/** Who may deliver: the holder of the token, or of a certificate; each undefined where the catalogue has none. */
export interface AlertmanagerSenders {
  bearer: string | undefined;
  clientCertificate: { caPem: string; names: readonly string[] } | undefined;
}

/** Throws AppError `config_invalid` where nobody, or anybody, could deliver. */
export function createAlertmanagerWebhook(source: string, senders: AlertmanagerSenders): WebhookProfile {
  const { bearer, clientCertificate } = senders;
  const token = bearer === undefined ? undefined : requireSecret(bearer, source);
  const cas = clientCertificate && readCas(clientCertificate.caPem, source);
  const names = clientCertificate?.names ?? [];
  if (token === undefined && names.length === 0)
    throw new AppError('config_invalid', `nobody may deliver to source ${source}`, {
      hint: 'give it a bearer token, or a client certificate with names',
    });
  return {
    verify(raw, nowMs) {
      requireBoundedBody(raw);
      const certificate = raw.clientCertificate;
      if (certificate && cas && isSender(certificate, cas, names, nowMs)) return;
      if (token === undefined || !isSameText(readHeader(raw, 'authorization'), `Bearer ${token}`))
        refuseDelivery();
    },
    parse,
  };
}

function parse(raw: RawDelivery, nowMs: number): Delivery {
  const body = readRecord(parseStrictJson(raw.body), 'the body');
  if (body.version !== '4') throw new AppError('invalid_request', 'version is not 4');
  const groupKey = readText(body.groupKey, 'groupKey');
  const truncated = (readOptional(body.truncatedAlerts, 'truncatedAlerts', readCount) ?? 0) > 0;
  const alerts = readList(body.alerts, 'alerts');
  if (groupKey === '' || groupKey.length > MAX_GROUP_KEY_LENGTH || alerts.length > MAX_ALERTS)
    throw new AppError('invalid_request', `groupKey or alerts (${MAX_ALERTS} at most) are out of bounds`);
  const externalUrl = readOptional(body.externalURL, 'externalURL', readText);
  const read = alerts.map(readAlert);
  const incidents = [...partsOf(read)]
    .filter(([, part]) => !truncated || part.some(({ firing }) => firing))
    .map(([key, part]) => readIncident(digest([groupKey, key]).slice(0, 16), part, externalUrl, nowMs));
  const words = read.map(
    ({ fingerprint, firing, changedAtMs }) => [fingerprint, firing, changedAtMs] as const,
  );
  return { id: digest([groupKey, truncated, words.map((word) => canonicalJson(word)).sort()]), incidents };
}

function readAlert(value: unknown): Alert {
  const alert = readRecord(value, 'alerts');
  const status = readText(alert.status, 'alerts.status');
  if (status !== 'firing' && status !== 'resolved')
    throw new AppError('invalid_request', 'alerts.status is neither firing nor resolved');
  const firing = status === 'firing';
  const startsAtMs = readInstant(alert.startsAt, 'alerts.startsAt');
  const annotations = readOptional(alert.annotations, 'alerts.annotations', readRecord);
  return {
    fingerprint: readId(alert.fingerprint, 'alerts.fingerprint'),
    firing,
    // While it fires the end is unknown: none, or when Prometheus will be late.
    changedAtMs: firing ? startsAtMs : readInstant(alert.endsAt, 'alerts.endsAt'),
    startsAtMs,
    labels: Object.fromEntries(
      Object.entries(readRecord(alert.labels, 'alerts.labels')).map(([name, text]) => [
        name,
        readText(text, 'alerts.labels'),
      ]),
    ),
    summary: readOptional(annotations?.summary, 'alerts.annotations.summary', readText),
    generatorUrl: readOptional(alert.generatorURL, 'alerts.generatorURL', readText),
  };
}

const serviceOf = ({ labels }: Alert) => labels.service ?? '';
const priorityOf = ({ labels }: Alert) => labels.priority ?? labels.severity ?? '';

function partsOf(alerts: readonly Alert[]): Map<string, [Alert, ...Alert[]]> {
  const parts = new Map<string, [Alert, ...Alert[]]>();
  for (const alert of alerts) {
    const key = canonicalJson([serviceOf(alert), priorityOf(alert)]);
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [alert]);
    else part.push(alert);
  }
  return parts;
}

function readIncident(
  externalId: string,
  part: readonly [Alert, ...Alert[]],
  externalUrl: string | undefined,
  nowMs: number,
): OutsideIncident {
  const firing = part.filter((alert) => alert.firing);
  const telling = firing.length > 0 ? firing : part;
  const first = telling.reduce((a, b) => (b.startsAtMs < a.startsAtMs ? b : a), telling[0] ?? part[0]);
  const occurredAtMs = Math.min(nowMs, Math.max(...part.map(({ changedAtMs }) => changedAtMs)));
  const incident = normaliseIncident({
    externalId,
    aliases: telling.map(({ fingerprint }) => fingerprint),
    occurredAtMs,
    status: firing.length > 0 ? 'open' : 'resolved',
    priority: priorityOf(first),
    outsideService: serviceOf(first),
    title: first.summary ?? first.labels.alertname,
    startedAtMs: Math.min(first.startsAtMs, occurredAtMs),
    outsideDeclarer: undefined,
    outsideAssignees: [],
    url: first.generatorUrl || externalUrl,
    labels: commonLabels(telling.map(({ labels }) => labels)),
  });
  // Without its query, an address of Prometheus is the same for all incidents.
  return { ...incident, aliases: incident.aliases.filter((alias) => !alias.includes('://')) };
}

function commonLabels([first = {}, ...others]: readonly Readonly<Record<string, string>>[]) {
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((labels) => labels[name] === value)),
  );
}

function digest(value: Parameters<typeof canonicalJson>[0]): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}
