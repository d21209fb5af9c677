/** incident.io's API v2 (docs.incident.io/api-reference): GET /v2/schedule_entries, /v2/incidents and /v2/incidents/{id}. */
import { formatInstant } from '../protocol/time.ts';
import type { IncidentReader, OutsideIncident } from './incident.ts';
import { readIncidentioIncident } from './incidentio-incident.ts';
import type { OutsideShift, ShiftFeedReader } from './shift.ts';
import { sourceFailed } from './source-failure.ts';
import { headerText, pathSegment, type Query, type VendorApi } from './vendor-api.ts';
import * as vendor from './vendor-json.ts';

/** The most that the API gives at once. */
const PAGE = 250;
const MAX_PAGES = 40;

export function incidentIoHeaders(name: string, token: string): Record<string, string> {
  return { accept: 'application/json', authorization: `Bearer ${headerText(name, token)}` };
}

export function createIncidentIoShifts(api: VendorApi): ShiftFeedReader {
  return {
    async fetchShifts(feed, { fromMs, toMs }, _validators, signal) {
      const shifts: OutsideShift[] = [];
      let from = formatInstant(fromMs);
      for (let page = 0; page < MAX_PAGES; page++) {
        const query = {
          schedule_id: feed.id,
          entry_window_start: from,
          entry_window_end: formatInstant(toMs),
        };
        const answer = await api.get('/v2/schedule_entries', query, signal, (json) => {
          const record = vendor.readRecord(json, 'the answer');
          const entries = vendor.readRecord(record.schedule_entries, 'schedule_entries');
          const final = vendor.readList(entries.final, 'final');
          return {
            shifts: final.flatMap((entry) => parseEntry(entry, feed.level ?? 1)),
            after: parseAfter(record),
          };
        });
        if (answer === undefined) throw sourceFailed(api.name, `has no schedule ${feed.id}`, { status: 404 });
        shifts.push(...answer.shifts);
        if (answer.after === undefined) return { unchanged: false, shifts, validators: {} };
        // The next page is asked for by its cursor in the place of the start; `after_url` may lead anywhere.
        from = answer.after;
      }
      throw sourceFailed(api.name, 'answered with too much');
    },
  };
}

export function createIncidentIoIncidents(api: VendorApi): IncidentReader {
  return {
    async fetchIncidents(sinceMs, signal) {
      // Whole days: the only form of this filter that is documented.
      const updated = { 'updated_at[gte]': formatInstant(sinceMs).slice(0, 10) };
      const open = ['triage', 'live'].map((category) => ({ 'status_category[one_of]': category }));
      const incidents = new Map<string, OutsideIncident>();
      for (const query of [...open, updated])
        for (const incident of await listIncidents(api, query, signal)) {
          const known = incidents.get(incident.externalId);
          if (known === undefined || known.occurredAtMs <= incident.occurredAtMs)
            incidents.set(incident.externalId, incident);
        }
      return [...incidents.values()].filter(
        ({ status, occurredAtMs }) => status === 'open' || occurredAtMs >= sinceMs,
      );
    },

    async fetchIncident(externalId, signal) {
      const path = `/v2/incidents/${pathSegment(api.name, externalId)}`;
      return await api.get(path, {}, signal, (json) =>
        parseIncident(vendor.readRecord(json, 'the answer').incident),
      );
    },
  };
}

async function listIncidents(api: VendorApi, query: Query, signal: AbortSignal): Promise<OutsideIncident[]> {
  const incidents: OutsideIncident[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const paging = { page_size: String(PAGE), ...(after !== undefined && { after }) };
    const answer = await api.get('/v2/incidents', { ...query, ...paging }, signal, (json) => {
      const record = vendor.readRecord(json, 'the answer');
      return {
        incidents: vendor.readList(record.incidents, 'incidents').map(parseIncident),
        after: parseAfter(record),
      };
    });
    if (answer === undefined) throw sourceFailed(api.name, 'answered 404', { status: 404 });
    incidents.push(...answer.incidents);
    after = answer.after;
    if (after === undefined) return incidents;
  }
  throw sourceFailed(api.name, 'answered with too much');
}

function parseAfter(record: vendor.VendorRecord): string | undefined {
  const meta = vendor.readOptional(record.pagination_meta, 'pagination_meta', vendor.readRecord);
  const after = vendor.readOptional(meta?.after, 'after', vendor.readText);
  return after === '' ? undefined : after;
}

/** An entry without a user is a gap in the schedule. */
function parseEntry(value: unknown, level: number): OutsideShift[] {
  const entry = vendor.readRecord(value, 'an entry');
  const startsAtMs = vendor.readInstant(entry.start_at, 'start_at');
  const endsAtMs = vendor.readInstant(entry.end_at, 'end_at');
  const user = vendor.readOptional(entry.user, 'user', vendor.readRecord);
  return user === undefined
    ? []
    : [{ outsideUser: vendor.readId(user.id, "a user's id"), level, startsAtMs, endsAtMs }];
}

/** Not bounded by a time of arrival, as deliveries are: this is asked for, and answered now. */
function parseIncident(value: unknown): OutsideIncident {
  return readIncidentioIncident(value, Number.POSITIVE_INFINITY);
}
