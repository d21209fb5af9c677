/**
 * incident.io's incidents (docs.incident.io: "Webhooks" and "Incidents V2"): the same object in webhooks and in the API.
 *
 * A webhook is `{event_type: T, [T]: …}`. `created` and `updated` carry the incident, `status_updated` carries it beside the
 * two statuses. Private incidents come with their id alone, so that they can't be told apart by service, and say nothing here.
 */
import { AppError } from '../protocol/errors.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { OutsideIncident } from './incident.ts';
import { normaliseIncident } from './normalise.ts';
import { readId, readInstant, readList, readOptional, readRecord, readText } from './vendor-json.ts';

/** Event type → where in its payload the incident is. */
const CARRIERS: ReadonlyMap<string, 'payload' | 'incident'> = new Map([
  ['public_incident.incident_created_v2', 'payload'],
  ['public_incident.incident_updated_v2', 'payload'],
  ['public_incident.incident_status_updated_v2', 'incident'],
]);
/** By `incident_status.category`: the statuses themselves are each company's own. */
const CATEGORY: ReadonlyMap<string, OutsideIncident['status']> = new Map([
  ['triage', 'open'],
  ['live', 'open'],
  ['paused', 'open'],
  ['learning', 'resolved'],
  ['closed', 'resolved'],
  ['declined', 'resolved'],
  ['merged', 'resolved'],
  ['canceled', 'resolved'],
]);
/** Nothing burns in these: they must open nothing, and close what a change of mode leaves behind. */
const UNREAL_MODES = new Set(['test', 'tutorial', 'retrospective']);
/** The custom field that says which service, as incident.io's own guides name it. */
const SERVICE_FIELD = /^(?:affected |impacted )?services?$/i;

/** Empty for an event about something else. `nowMs`: when it arrived. */
export function readIncidentioWebhook(body: Uint8Array, nowMs: number): OutsideIncident[] {
  const envelope = readRecord(parseStrictJson(body), 'the body');
  const eventType = readText(envelope.event_type, 'event_type');
  const carrier = CARRIERS.get(eventType);
  if (carrier === undefined) return [];
  const payload = readRecord(envelope[eventType], eventType);
  return [readIncidentioIncident(carrier === 'payload' ? payload : payload.incident, nowMs)];
}

/** An incident from a webhook or from the API. Throws AppError `invalid_request` for what is not of the documented shape. */
export function readIncidentioIncident(value: unknown, nowMs: number): OutsideIncident {
  const incident = readRecord(value, 'incident');
  const createdAtMs = readInstant(incident.created_at, 'incident.created_at');
  const updatedAtMs = readInstant(incident.updated_at, 'incident.updated_at');
  return normaliseIncident({
    externalId: readId(incident.id, 'incident.id'),
    aliases: [readOptional(incident.reference, 'incident.reference', readText)],
    occurredAtMs: Math.min(updatedAtMs, nowMs),
    status: readStatus(incident.incident_status, incident.mode),
    priority: readMember(incident.severity, 'incident.severity', 'name'),
    outsideService: readService(incident.custom_field_entries),
    title: readOptional(incident.name, 'incident.name', readText),
    startedAtMs: Math.min(createdAtMs, nowMs),
    outsideDeclarer: readMember(
      readOptional(incident.creator, 'incident.creator', readRecord)?.user,
      'incident.creator.user',
      'id',
    ),
    outsideAssignees: readList(incident.incident_role_assignments ?? [], 'incident.incident_role_assignments')
      .map((assignment) => readRecord(assignment, 'incident.incident_role_assignments').assignee)
      .map((assignee) => readMember(assignee, 'incident.incident_role_assignments.assignee', 'id'))
      .filter((id, index, ids) => ids.indexOf(id) === index),
    url: readOptional(incident.permalink, 'incident.permalink', readText),
    labels: {},
  });
}

function readStatus(value: unknown, mode: unknown): OutsideIncident['status'] {
  const category = readText(
    readRecord(value, 'incident.incident_status').category,
    'incident_status.category',
  );
  const status = CATEGORY.get(category);
  if (status === undefined)
    throw new AppError('invalid_request', 'incident_status.category is not one of an incident');
  return UNREAL_MODES.has(readOptional(mode, 'incident.mode', readText) ?? '') ? 'resolved' : status;
}

/** The first value of the field: the catalogue entry's id, or the option's text. */
function readService(entries: unknown): string {
  for (const entry of readList(entries ?? [], 'incident.custom_field_entries')) {
    const { custom_field: field, values } = readRecord(entry, 'incident.custom_field_entries');
    if (!SERVICE_FIELD.test(readMember(field, 'custom_field', 'name'))) continue;
    for (const value of readList(values, 'custom_field_entries.values')) {
      const { value_catalog_entry, value_option } = readRecord(value, 'custom_field_entries.values');
      const service =
        readMember(value_catalog_entry, 'value_catalog_entry', 'id') ||
        readMember(value_option, 'value_option', 'value');
      if (service !== '') return service;
    }
  }
  return '';
}

function readMember(value: unknown, member: string, part: string): string {
  const record = readOptional(value, member, readRecord);
  return record === undefined ? '' : readText(record[part], `${member}.${part}`);
}
