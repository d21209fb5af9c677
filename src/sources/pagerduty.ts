/**
 * PagerDuty's REST API v2 (developer.pagerduty.com/api-reference): GET /oncalls, /incidents and /incidents/{id}.
 *
 * A schedule is on call through escalation policies: /oncalls tells each of its spans once for every policy it is in, with
 * the level there, and nothing for a schedule in none. Of several levels a person has the best, unless the feed names one.
 */
import type { ScheduleFeed } from '../catalogue/types.ts';
import { formatInstant } from '../protocol/time.ts';
import type { IncidentReader, OutsideIncident } from './incident.ts';
import { normaliseIncident } from './normalise.ts';
import type { OutsideShift, ShiftFeedReader } from './shift.ts';
import { sourceFailed } from './source-failure.ts';
import { headerText, pathSegment, type Query, type VendorApi } from './vendor-api.ts';
import * as vendor from './vendor-json.ts';

/** The most that the API gives at once. */
const PAGE = 100;
/** The API refuses offsets beyond 10,000. */
const MAX_ENTRIES = 10_000;

/** Where the incident began, and so who declared it, is in its first log entry. */
const INCLUDE = { 'include[]': 'first_trigger_log_entries' };

/** `token` is an API access key, best a read-only one. */
export function pagerDutyHeaders(name: string, token: string): Record<string, string> {
  return {
    accept: 'application/vnd.pagerduty+json;version=2',
    authorization: `Token token=${headerText(name, token)}`,
  };
}

export function createPagerDutyShifts(api: VendorApi): ShiftFeedReader {
  return {
    async fetchShifts(feed, { fromMs, toMs }, _validators, signal) {
      const query = {
        'schedule_ids[]': feed.id,
        since: formatInstant(fromMs),
        until: formatInstant(toMs),
        time_zone: 'UTC',
      };
      const spans = new Map<string, OutsideShift>();
      for await (const shift of listAll(api, '/oncalls', query, 'oncalls', signal, (entry) =>
        parseOncall(entry, feed),
      )) {
        const key = JSON.stringify([shift.outsideUser, shift.startsAtMs, shift.endsAtMs]);
        const level = Math.min(shift.level, spans.get(key)?.level ?? shift.level);
        spans.set(key, { ...shift, level });
      }
      return { unchanged: false, shifts: [...spans.values()], validators: {} };
    },
  };
}

export function createPagerDutyIncidents(api: VendorApi): IncidentReader {
  const list = (query: Query, signal: AbortSignal) =>
    // `since` would ask for those created since, however long ago they were resolved.
    listAll(
      api,
      '/incidents',
      { ...query, ...INCLUDE, date_range: 'all' },
      'incidents',
      signal,
      parseIncident,
    );
  return {
    async fetchIncidents(sinceMs, signal) {
      const incidents = new Map<string, OutsideIncident>();
      for await (const { incident } of list({ 'statuses[]': ['triggered', 'acknowledged'] }, signal))
        incidents.set(incident.externalId, incident);
      const resolved = { 'statuses[]': 'resolved', sort_by: 'resolved_at:desc' };
      for await (const { incident, statusSinceMs } of list(resolved, signal)) {
        if (statusSinceMs < sinceMs) break;
        incidents.set(incident.externalId, incident);
      }
      return [...incidents.values()];
    },

    async fetchIncident(externalId, signal) {
      const path = `/incidents/${pathSegment(api.name, externalId)}`;
      return await api.get(path, INCLUDE, signal, (json) => {
        const { incident } = parseIncident(vendor.readRecord(json, 'the answer').incident);
        return incident;
      });
    },
  };
}

/** Classic pagination: `limit`, `offset`, `more`. */
async function* listAll<T>(
  api: VendorApi,
  path: string,
  query: Query,
  member: string,
  signal: AbortSignal,
  parse: (entry: unknown) => T,
): AsyncGenerator<T> {
  for (let offset = 0; offset < MAX_ENTRIES; offset += PAGE) {
    const paging = { limit: String(PAGE), offset: String(offset) };
    const page = await api.get(path, { ...query, ...paging }, signal, (json) => {
      const answer = vendor.readRecord(json, 'the answer');
      return {
        entries: vendor.readList(answer[member], member).map(parse),
        more: vendor.readFlag(answer.more, 'more'),
      };
    });
    if (page === undefined) throw sourceFailed(api.name, 'answered 404', { status: 404 });
    yield* page.entries;
    if (!page.more) return;
  }
  throw sourceFailed(api.name, 'answered with too much');
}

function parseOncall(value: unknown, feed: ScheduleFeed): OutsideShift {
  const oncall = vendor.readRecord(value, 'an on-call');
  const schedule = vendor.readRecord(oncall.schedule, "an on-call's schedule");
  // An API that didn't understand our filter would answer with everybody's shifts.
  if (schedule.id !== feed.id) vendor.refuse("an on-call's schedule", 'the one asked for');
  return {
    outsideUser: vendor.readId(vendor.readRecord(oncall.user, "an on-call's user").id, "a user's id"),
    level: feed.level ?? vendor.readCount(oncall.escalation_level, 'escalation_level'),
    // Null where somebody is on call for ever.
    startsAtMs: vendor.readOptional(oncall.start, 'start', vendor.readInstant) ?? 0,
    endsAtMs: vendor.readOptional(oncall.end, 'end', vendor.readInstant) ?? null,
  };
}

interface ParsedIncident {
  incident: OutsideIncident;
  statusSinceMs: number;
}

function parseIncident(value: unknown): ParsedIncident {
  const incident = vendor.readRecord(value, 'an incident');
  const priority = vendor.readOptional(incident.priority, 'priority', vendor.readRecord);
  const statusSinceMs = vendor.readInstant(incident.last_status_change_at, 'last_status_change_at');
  const number = vendor.readCount(incident.incident_number, 'incident_number');
  return {
    statusSinceMs,
    incident: normaliseIncident({
      externalId: vendor.readId(incident.id, "an incident's id"),
      aliases: [number],
      occurredAtMs:
        vendor.readOptional(incident.updated_at, 'updated_at', vendor.readInstant) ?? statusSinceMs,
      status: parseStatus(incident.status),
      priority: vendor.readOptional(priority?.summary, "a priority's summary", vendor.readText) ?? '',
      outsideService: vendor.readId(vendor.readRecord(incident.service, 'service').id, "a service's id"),
      title: vendor.readOptional(incident.title, 'title', vendor.readText),
      startedAtMs: vendor.readInstant(incident.created_at, 'created_at'),
      outsideDeclarer: parseDeclarer(incident.first_trigger_log_entry),
      outsideAssignees: vendor.readList(incident.assignments, 'assignments').map((assignment) => {
        const { assignee } = vendor.readRecord(assignment, 'an assignment');
        return vendor.readId(vendor.readRecord(assignee, 'an assignee').id, "an assignee's id");
      }),
      url: vendor.readOptional(incident.html_url, 'html_url', vendor.readText),
      labels: {},
    }),
  };
}

function parseStatus(value: unknown): OutsideIncident['status'] {
  if (value === 'triggered' || value === 'acknowledged') return 'open';
  return value === 'resolved' ? 'resolved' : vendor.refuse('status', 'one we know');
}

/** The person whose doing the first trigger was; undefined for a service, an integration, a rule. */
function parseDeclarer(value: unknown): string | undefined {
  const entry = vendor.readOptional(value, 'first_trigger_log_entry', vendor.readRecord);
  const agent = vendor.readOptional(entry?.agent, 'agent', vendor.readRecord);
  if (agent === undefined || !vendor.readText(agent.type, "an agent's type").startsWith('user'))
    return undefined;
  return vendor.readId(agent.id, "an agent's id");
}
