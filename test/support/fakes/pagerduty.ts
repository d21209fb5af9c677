/** PagerDuty's REST API v2, as far as its documentation says and the readers ask. */
import {
  Complaint,
  expectQuery,
  type FakeAnswer,
  type FakeVendor,
  instantOf,
  intOf,
  isAuthorized,
  iso,
  type SeenRequest,
  startFakeVendor,
} from './fake-vendor.ts';

export interface FakeOncall {
  user: string;
  level: number;
  startsAtMs: number;
  endsAtMs: number | null;
  /** PPOLICY where it isn't said. */
  policy?: string;
}

export interface FakePagerDutyIncident {
  id: string;
  number: number;
  status: 'triggered' | 'acknowledged' | 'resolved';
  title?: string;
  priority?: string;
  service: string;
  createdAtMs: number;
  changedAtMs: number;
  /** A person; a service where there is none. */
  declaredBy?: string;
  assignees?: readonly string[];
}

export interface FakePagerDuty extends FakeVendor {
  setShifts(schedule: string, shifts: readonly FakeOncall[]): void;
  setIncidents(incidents: readonly FakePagerDutyIncident[]): void;
}

const MAX_RANGE_MS = 92 * 86_400_000;

export async function startPagerDuty({
  token = 'pd-token',
}: {
  token?: string;
} = {}): Promise<FakePagerDuty> {
  const schedules = new Map<string, readonly FakeOncall[]>();
  let incidents: readonly FakePagerDutyIncident[] = [];
  const vendor = await startFakeVendor((request) => {
    if (!isAuthorized(request, `Token token=${token}`))
      return { status: 401, body: { error: { code: 2006 } } };
    if (request.headers.accept !== 'application/vnd.pagerduty+json;version=2')
      throw new Complaint(406, 'accept names no version');
    if (request.path === '/oncalls') return listOncalls(request, schedules);
    if (request.path === '/incidents') return listIncidents(request, incidents);
    const id = /^\/incidents\/([^/]+)$/.exec(request.path)?.[1];
    const found = incidents.find((incident) => incident.id === id);
    if (!found) return { status: 404, body: { error: { code: 2100, message: 'Not Found' } } };
    expectQuery(request.query, [], ['include[]']);
    return { body: { incident: incidentJson(found, request.query) } };
  });
  return {
    ...vendor,
    setShifts: (schedule, shifts) => void schedules.set(schedule, shifts),
    setIncidents: (all) => {
      incidents = all;
    },
  };
}

function listOncalls(
  { query }: SeenRequest,
  schedules: ReadonlyMap<string, readonly FakeOncall[]>,
): FakeAnswer {
  expectQuery(
    query,
    ['since', 'until', 'time_zone', 'limit', 'offset', 'earliest'],
    ['schedule_ids[]', 'include[]'],
  );
  const sinceMs = instantOf(query, 'since');
  const untilMs = instantOf(query, 'until');
  if (untilMs < sinceMs || untilMs - sinceMs > MAX_RANGE_MS)
    throw new Complaint(400, 'the range is too long');
  const asked = query.getAll('schedule_ids[]');
  if (asked.length === 0) throw new Complaint(400, 'asked for everybody');
  const oncalls = asked.flatMap((schedule) =>
    (schedules.get(schedule) ?? [])
      .filter(({ startsAtMs, endsAtMs }) => startsAtMs < untilMs && (endsAtMs ?? untilMs) > sinceMs)
      .map((oncall) => ({
        escalation_policy: { id: oncall.policy ?? 'PPOLICY', type: 'escalation_policy_reference' },
        escalation_level: oncall.level,
        schedule: { id: schedule, type: 'schedule_reference', summary: 'A schedule' },
        user: { id: oncall.user, type: 'user_reference', summary: 'Somebody' },
        start: iso(oncall.startsAtMs),
        end: oncall.endsAtMs === null ? null : iso(oncall.endsAtMs),
      })),
  );
  return { body: page('oncalls', oncalls, query) };
}

function listIncidents({ query }: SeenRequest, incidents: readonly FakePagerDutyIncident[]): FakeAnswer {
  expectQuery(
    query,
    ['date_range', 'sort_by', 'limit', 'offset', 'since', 'until'],
    ['statuses[]', 'include[]'],
  );
  if (query.get('date_range') !== 'all') throw new Complaint(400, 'only those created in the last month');
  const statuses = query.getAll('statuses[]');
  const found = incidents.filter(({ status }) => statuses.includes(status));
  if (query.get('sort_by') === 'resolved_at:desc') found.sort((a, b) => b.changedAtMs - a.changedAtMs);
  return {
    body: page(
      'incidents',
      found.map((incident) => incidentJson(incident, query)),
      query,
    ),
  };
}

function page(member: string, entries: readonly unknown[], query: URLSearchParams): Record<string, unknown> {
  const limit = intOf(query, 'limit', 25, 100);
  const offset = intOf(query, 'offset', 0, 10_000);
  return {
    [member]: entries.slice(offset, offset + limit),
    limit,
    offset,
    more: offset + limit < entries.length,
    total: null,
  };
}

function incidentJson(incident: FakePagerDutyIncident, query: URLSearchParams): Record<string, unknown> {
  const { id, number, status, service, priority, declaredBy, assignees = [] } = incident;
  const agent = declaredBy
    ? { id: declaredBy, type: 'user_reference' }
    : { id: service, type: 'service_reference' };
  return {
    id,
    type: 'incident',
    summary: `[#${number}] ${incident.title ?? 'an incident'}`,
    html_url: `https://acme.pagerduty.com/incidents/${id}`,
    incident_number: number,
    title: incident.title ?? 'an incident',
    created_at: iso(incident.createdAtMs),
    updated_at: iso(incident.changedAtMs),
    last_status_change_at: iso(incident.changedAtMs),
    resolved_at: status === 'resolved' ? iso(incident.changedAtMs) : null,
    status,
    service: { id: service, type: 'service_reference', summary: 'A service' },
    priority: priority ? { id: 'PPRIO', type: 'priority', summary: priority, name: priority } : null,
    urgency: 'high',
    assignments: assignees.map((one) => ({
      at: iso(incident.createdAtMs),
      assignee: { id: one, type: 'user_reference' },
    })),
    first_trigger_log_entry: query.getAll('include[]').includes('first_trigger_log_entries')
      ? {
          id: 'RLOG',
          type: 'trigger_log_entry',
          created_at: iso(incident.createdAtMs),
          agent,
          channel: { type: 'auto' },
        }
      : { id: 'RLOG', type: 'trigger_log_entry_reference' },
  };
}
