// What a broker answers, for rendering: typed, so that a change of the interface is seen here.
import type {
  AuditWho,
  DeviceView,
  Explanation,
  GrantView,
  IncidentView,
  Me,
  RequestView,
  ResourceView,
  ReviewView,
  StatusReply,
  WaitingView,
} from '../../src/protocol/messages.ts';

export const GRANT_ID = 'gr_01kdzabcdefghjkmnpq';
export const REQUEST_ID = 'req_01kdzabcdefghjkmnp0';
export const DEVICE_ID = 'dev_01kdzabcdefghjkmnp0';

export const device: DeviceView = {
  id: DEVICE_ID,
  user: 'alice',
  name: 'laptop',
  keystore: 'file',
  state: 'active',
  createdAt: '2026-01-04T02:14:00.000Z',
  lastSeenAt: null,
  current: true,
};

export const me: Me = {
  user: 'alice',
  name: 'Alice Example',
  groups: ['sre'],
  manager: null,
  device,
  shifts: [
    {
      schedule: 'orders-primary',
      level: 1,
      startsAt: '2026-01-05T00:00:00.000Z',
      endsAt: '2026-01-05T09:00:00.000Z',
    },
  ],
  brokerTime: '2026-01-05T02:14:00.000Z',
  notices: [{ at: '2026-01-05T01:14:00.000Z', text: 'device dev_x (phone) was added' }],
};

export const grant: GrantView = {
  id: GRANT_ID,
  requestId: REQUEST_ID,
  user: 'alice',
  target: { resource: 'db-replica', role: 'read' },
  kind: 'postgres',
  state: 'active',
  via: 'policy',
  rule: null,
  incidents: ['P1-123'],
  startsAt: '2026-01-05T02:14:00.000Z',
  endsAt: '2026-01-05T03:56:00.000Z',
  hardEndsAt: '2026-01-05T06:14:00.000Z',
  graceEndsAt: null,
  graceCause: null,
  extensionsLeft: 2,
  endCause: null,
  endedAt: null,
  held: false,
  credentials: [],
};

export const ended: GrantView = {
  ...grant,
  state: 'ended',
  endCause: 'released',
  endedAt: '2026-01-05T02:14:00.000Z',
  credentials: [
    {
      id: 'cr_01kdzabcdefghjkmnp0',
      deviceId: DEVICE_ID,
      state: 'ended',
      handle: 'oncall_alice_1',
      expiresAt: '2026-01-05T02:24:00.000Z',
      proof: 'proven: role absent, no sessions',
    },
  ],
};

export const request: RequestView = {
  id: REQUEST_ID,
  user: 'alice',
  state: 'granted',
  bundle: null,
  incident: 'P1-123',
  reason: null,
  durationSeconds: 7200,
  digest: 'd'.repeat(43),
  createdAt: '2026-01-05T02:14:00.000Z',
  expiresAt: '2026-01-05T03:14:00.000Z',
  outcome: null,
  targets: [
    {
      target: { resource: 'db-replica', role: 'read' },
      effect: 'grant',
      rules: [{ id: 'on-call-read', effect: 'permit', because: 'on call, with an open incident' }],
      chains: [],
      approvers: [],
    },
  ],
  grants: [grant],
  answers: [],
  waiting: [],
};

/** carla has been told and says nothing; ben is next. */
export const waiting: WaitingView = {
  chain: 'leads',
  stage: 1,
  stages: 2,
  asked: [
    { user: 'carla', reach: 'sent' },
    { user: 'dave', reach: 'none' },
  ],
  missing: ['1 of group:leads'],
  next: { at: '2026-01-05T02:18:00.000Z', what: 'next', approvers: ['ben'] },
};

export const pending: RequestView = {
  ...request,
  state: 'pending',
  grants: [],
  targets: [{ ...request.targets[0]!, effect: 'ask', approvers: ['bob', 'carol'], chains: ['leads'] }],
};

export const denied: RequestView = {
  ...request,
  state: 'denied',
  grants: [],
  targets: [
    {
      ...request.targets[0]!,
      effect: 'deny',
      rules: [
        { id: 'no-write-for-own-incident', effect: 'forbid', because: 'you declared this incident yourself' },
      ],
    },
  ],
};

export const incident: IncidentView = {
  id: 'P1-123',
  source: 'manual',
  state: 'open',
  priority: 'P1',
  service: 'orders',
  title: 'checkout fails',
  declaredBy: 'bob',
  assignees: [],
  url: '',
  startedAt: '2026-01-05T02:00:00.000Z',
  confirmedAt: null,
  resolvedAt: null,
};

export const review: ReviewView = {
  id: 'rev_01kdzabcdefghjkmnp0',
  kind: 'override',
  user: 'alice',
  requestId: REQUEST_ID,
  grantId: GRANT_ID,
  use: null,
  journal: null,
  owners: ['bob'],
  openedAt: '2026-01-05T02:00:00.000Z',
  dueAt: '2026-01-07T02:00:00.000Z',
  overdue: false,
  state: 'open',
  outcome: null,
  note: null,
  closedBy: null,
  closedAt: null,
};

export const resource: ResourceView = {
  name: 'db-replica',
  kind: 'postgres',
  description: 'Orders database',
  service: 'orders',
  environment: 'production',
  sensitivity: 'medium',
  defaultRole: 'read',
  roles: ['read', 'write'],
  session: { defaultSeconds: 7200, maxSeconds: 14_400, maxExtensions: 2 },
  credentialSeconds: 600,
  taintedAt: null,
};

export const explanation: Explanation = {
  user: 'alice',
  decision: request.targets[0]!,
  durationSeconds: 7200,
  facts: [
    { name: 'shift', known: true, value: { onCall: true }, source: 'static', ageSeconds: 0 },
    { name: 'risk', known: false, value: 0, source: 'none', ageSeconds: 0 },
  ],
  changes: [{ change: 'shift.onCall', words: 'if you were not on call', effect: 'deny' }],
  policySha256: 'a'.repeat(64),
  catalogueSha256: 'b'.repeat(64),
  at: '2026-01-05T02:14:00.000Z',
};

export const bundle = {
  name: 'orders-incident',
  description: 'what an orders incident needs',
  targets: [
    { resource: 'db-replica', role: 'read' },
    { resource: 'db-host', role: 'operator' },
  ],
};

/** One grant that opened by itself, one that ends because its incident is over, and a request on its way. */
export const statusReply: StatusReply = {
  me,
  grants: [
    {
      ...grant,
      id: 'gr_01kdzabcdefghjkmnp7',
      target: { resource: 'db-host', role: 'operator' },
      kind: 'ssh',
      state: 'ready',
      via: 'alert',
      rule: 'orders-alert',
    },
    { ...grant, graceEndsAt: '2026-01-05T02:22:00.000Z', graceCause: 'incident P1-123 is resolved' },
  ],
  pending: [{ ...pending, bundle: 'orders-incident', waiting: [waiting] }],
  incidents: [incident],
  approvals: [],
  reviews: [review, { ...review, id: 'rev_01kdzabcdefghjkmnp1', user: 'zoe', overdue: true }],
  endpoints: [],
  warnings: ['channel slack has not delivered for 5m'],
};

export const trace: AuditWho = {
  name: 'oncall_alice_1',
  at: null,
  traces: [
    {
      by: 'name',
      contradiction: null,
      user: 'alice',
      target: { resource: 'db-replica', role: 'read' },
      grantId: GRANT_ID,
      via: 'approval',
      rule: null,
      requestId: REQUEST_ID,
      reason: 'replication lag',
      incidents: ['P1-123'],
      approvals: [{ approver: 'carla', at: '2026-01-05T02:14:00.000Z' }],
      openedAt: '2026-01-05T02:14:00.000Z',
      endedAt: null,
      endCause: null,
      logins: [
        {
          credentialId: 'cr_01kdzabcdefghjkmnp0',
          kind: 'postgres',
          handle: 'oncall_alice_1',
          deviceId: 'dev_1',
          issuedAt: '2026-01-05T02:14:00.000Z',
          expiresAt: '2026-01-05T02:24:00.000Z',
          endingAt: '2026-01-05T02:20:00.000Z',
          endedAt: '2026-01-05T02:20:01.000Z',
          endCause: 'replaced',
          seen: [
            {
              host: 'db-replica/db1',
              account: 'oncall_alice_1',
              address: '192.0.2.7:52114',
              at: '2026-01-05T02:15:00.000Z',
            },
          ],
        },
      ],
    },
  ],
};
