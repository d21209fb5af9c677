/** incident.io's API v2, as far as its documentation says and the readers ask. */
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

export interface FakeEntry {
  /** Undefined for a gap. */
  user: string | undefined;
  startsAtMs: number;
  endsAtMs: number;
}

export interface FakeIncidentIoIncident {
  id: string;
  number: number;
  category: 'triage' | 'live' | 'learning' | 'closed' | 'declined' | 'canceled' | 'merged' | 'paused';
  name?: string;
  severity?: string;
  /** The id of a catalogue entry, in the custom field "Affected services". */
  service?: string;
  createdAtMs: number;
  updatedAtMs: number;
  /** A person; an alert where there is none. */
  declaredBy?: string;
  assignees?: readonly string[];
  mode?: 'standard' | 'retrospective' | 'test' | 'tutorial';
}

export interface FakeIncidentIo extends FakeVendor {
  setShifts(schedule: string, entries: readonly FakeEntry[]): void;
  setIncidents(incidents: readonly FakeIncidentIoIncident[]): void;
}

export interface FakeIncidentIoOptions {
  token?: string;
  /** Entries a page; the API doesn't let clients choose. */
  entriesPerPage?: number;
}

export async function startIncidentIo({
  token = 'iio-token',
  entriesPerPage = 100,
}: FakeIncidentIoOptions = {}): Promise<FakeIncidentIo> {
  const schedules = new Map<string, readonly FakeEntry[]>();
  let incidents: readonly FakeIncidentIoIncident[] = [];
  const vendor = await startFakeVendor((request) => {
    if (!isAuthorized(request, `Bearer ${token}`))
      return { status: 401, body: { type: 'authentication_error' } };
    if (request.headers.accept !== 'application/json') throw new Complaint(406, 'accept is not JSON');
    if (request.path === '/v2/schedule_entries') return listEntries(request, schedules, entriesPerPage);
    if (request.path === '/v2/incidents') return listIncidents(request, incidents);
    const id = /^\/v2\/incidents\/([^/]+)$/.exec(request.path)?.[1];
    const found = incidents.find((incident) => incident.id === id || String(incident.number) === id);
    return found ? { body: { incident: incidentJson(found) } } : { status: 404, body: { type: 'not_found' } };
  });
  return {
    ...vendor,
    setShifts: (schedule, entries) => void schedules.set(schedule, entries),
    setIncidents: (all) => {
      incidents = all;
    },
  };
}

function listEntries(
  { query }: SeenRequest,
  schedules: ReadonlyMap<string, readonly FakeEntry[]>,
  perPage: number,
): FakeAnswer {
  expectQuery(query, ['schedule_id', 'entry_window_start', 'entry_window_end']);
  const entries = schedules.get(query.get('schedule_id') ?? '');
  if (!entries) return { status: 404, body: { type: 'not_found' } };
  const toMs = instantOf(query, 'entry_window_end');
  // The cursor is opaque to clients: it goes where the start of the window was.
  const [, first, at] = /^cursor_(\d+)_(\d+)$/.exec(query.get('entry_window_start') ?? '') ?? [];
  const fromMs = first === undefined ? instantOf(query, 'entry_window_start') : Number(first);
  const found = entries.filter(({ startsAtMs, endsAtMs }) => startsAtMs < toMs && endsAtMs > fromMs);
  const offset = Number(at ?? 0);
  const after = `cursor_${fromMs}_${offset + perPage}`;
  const final = found.slice(offset, offset + perPage).map(({ user, startsAtMs, endsAtMs }) => ({
    entry_id: '01ENTRY',
    fingerprint: '01FINGERPRINT',
    rotation_id: '01ROTATION',
    layer_id: '01LAYER',
    start_at: iso(startsAtMs),
    end_at: iso(endsAtMs),
    ...(user !== undefined && {
      user: { id: user, name: 'Somebody', email: 'somebody@example.com', role: 'responder' },
    }),
  }));
  return {
    body: {
      // The rotation before its overrides, which nobody should take for the shifts.
      schedule_entries: {
        final,
        scheduled: [{ start_at: iso(fromMs), end_at: iso(toMs), user: { id: 'WRONG' } }],
        overrides: [],
      },
      ...(offset + perPage < found.length && {
        pagination_meta: { after, after_url: 'https://elsewhere.example.com/v2/schedule_entries' },
      }),
    },
  };
}

function listIncidents({ query }: SeenRequest, incidents: readonly FakeIncidentIoIncident[]): FakeAnswer {
  expectQuery(query, ['page_size', 'after', 'status_category[one_of]', 'updated_at[gte]']);
  const size = intOf(query, 'page_size', 25, 250);
  const category = query.get('status_category[one_of]');
  const day = query.get('updated_at[gte]');
  if (day !== null && !/^\d{4}-\d\d-\d\d$/.test(day)) throw new Complaint(422, 'updated_at is no day');
  const found = incidents.filter(
    (incident) =>
      (category === null || incident.category === category) &&
      (day === null || incident.updatedAtMs >= Date.parse(day)),
  );
  const start = found.findIndex(({ id }) => id === query.get('after')) + 1;
  const listed = found.slice(start, start + size);
  const last = start + size < found.length ? listed.at(-1)?.id : undefined;
  return {
    body: {
      incidents: listed.map(incidentJson),
      pagination_meta: { page_size: size, total_record_count: found.length, ...(last && { after: last }) },
    },
  };
}

function incidentJson(incident: FakeIncidentIoIncident): Record<string, unknown> {
  const { id, number, category, severity, service, declaredBy, assignees = [], mode = 'standard' } = incident;
  return {
    id,
    reference: `INC-${number}`,
    name: incident.name ?? 'an incident',
    permalink: `https://app.incident.io/acme/incidents/${number}`,
    mode,
    visibility: 'public',
    incident_status: { id: '01STATUS', name: 'Some name', category, rank: 1 },
    ...(severity && { severity: { id: '01SEVERITY', name: severity, rank: 1 } }),
    creator: declaredBy
      ? { user: { id: declaredBy, name: 'Somebody' } }
      : { alert: { id: '01ALERT', title: 'an alert' } },
    incident_role_assignments: [
      { role: { id: '01LEAD', name: 'Incident Lead' } },
      ...assignees.map((one) => ({
        role: { id: '01LEAD', name: 'Incident Lead' },
        assignee: { id: one, name: 'Somebody' },
      })),
    ],
    custom_field_entries: [
      {
        custom_field: { id: '01NOTES', name: 'Notes', field_type: 'text' },
        values: [{ value_text: 'free text' }],
      },
      {
        custom_field: { id: '01SERVICES', name: 'Affected services', field_type: 'multi_select' },
        values: service ? [{ value_catalog_entry: { id: service, name: 'A service' } }] : [],
      },
    ],
    created_at: iso(incident.createdAtMs),
    updated_at: iso(incident.updatedAtMs),
  };
}
