/** Jira Service Management Operations: the timeline of a schedule. */
import {
  Complaint,
  expectQuery,
  type FakeVendor,
  instantOf,
  intOf,
  isAuthorized,
  iso,
  startFakeVendor,
} from './fake-vendor.ts';

export interface FakePeriod {
  /** The id of a user, or of a team or an escalation where `type` says so; `noone` has none. */
  responder: string | undefined;
  type?: 'user' | 'team' | 'escalation' | 'noone';
  /** The people behind a team or an escalation. */
  flattened?: readonly string[];
  startsAtMs: number;
  endsAtMs: number;
}

export interface FakeJsm extends FakeVendor {
  setShifts(schedule: string, periods: readonly FakePeriod[], options?: { deleted?: boolean }): void;
}

const DAY_MS = 86_400_000;
const CLOUD = '/jsm/ops/api/11111111-2222-3333-4444-555555555555';

export interface FakeJsmOptions {
  user?: string;
  token?: string;
}

/** Its `url` has the path with the cloud's id. */
export async function startJsm({
  user = 'bot@example.com',
  token = 'jsm-token',
}: FakeJsmOptions = {}): Promise<FakeJsm> {
  const schedules = new Map<string, { periods: readonly FakePeriod[]; deleted: boolean }>();
  const authorization = `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;
  const vendor = await startFakeVendor((request) => {
    if (!isAuthorized(request, authorization))
      return { status: 401, body: { code: 401, message: 'Unauthorized' } };
    if (request.headers.accept !== 'application/json') throw new Complaint(406, 'accept is not JSON');
    const id = /^\/v1\/schedules\/([^/]+)\/timeline$/.exec(request.path.replace(CLOUD, ''))?.[1];
    const schedule = schedules.get(id ?? '');
    if (!request.path.startsWith(CLOUD) || !schedule)
      return { status: 404, body: { errors: [{ title: 'Not Found' }] } };
    expectQuery(request.query, ['interval', 'intervalUnit', 'date', 'expand']);
    if (request.query.get('intervalUnit') !== 'weeks') throw new Complaint(400, 'the fake knows weeks');
    const fromMs = startOfWeek(instantOf(request.query, 'date'));
    const toMs = fromMs + intOf(request.query, 'interval', 1, 104) * 7 * DAY_MS;
    const periods = schedule.periods.filter((one) => one.startsAtMs < toMs && one.endsAtMs > fromMs);
    const rotation = {
      id: 'rotation',
      name: 'Rotation',
      order: 1,
      ...(schedule.deleted && { deleted: true }),
      periods: periods.map((one) => periodJson(one, fromMs, toMs)),
    };
    return {
      body: { startDate: iso(fromMs), endDate: iso(toMs), finalTimeline: { rotations: [rotation] } },
    };
  });
  return {
    ...vendor,
    url: vendor.url + CLOUD,
    setShifts: (schedule, periods, { deleted = false } = {}) =>
      void schedules.set(schedule, { periods, deleted }),
  };
}

/** Cut at the edges of what was asked for, as the API does. */
function periodJson(
  { responder, type = 'user', flattened, startsAtMs, endsAtMs }: FakePeriod,
  fromMs: number,
  toMs: number,
) {
  return {
    startDate: iso(Math.max(startsAtMs, fromMs)),
    endDate: iso(Math.min(endsAtMs, toMs)),
    type: 'base',
    responder: { type, ...(responder !== undefined && { id: responder }) },
    ...(flattened && { flattenedResponders: flattened.map((id) => ({ id, type: 'user' })) }),
  };
}

function startOfWeek(ms: number): number {
  const day = Math.floor(ms / DAY_MS);
  // 1 January 1970 was a Thursday.
  return (day - ((day + 3) % 7)) * DAY_MS;
}
