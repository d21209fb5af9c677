import { randomBytes } from 'node:crypto';
import { canonicalJson } from '../../src/protocol/canonical-json.ts';
import type {
  AlarmRow,
  CredentialRow,
  DeliveryRow,
  DeviceRow,
  GrantRow,
  IncidentRow,
  OutboxRow,
  PackRow,
  RequestRow,
  ReviewRow,
  StageRow,
} from '../../src/store/rows.ts';
import type { Tx } from '../../src/store/store.ts';

/** Any instant: what is stored comes back, whatever the clock says. */
export const T0 = 1_753_000_000_000;

export const unique = (prefix: string): string => `${prefix}_${randomBytes(6).toString('hex')}`;

export const sampleDevice = (change: Partial<DeviceRow> = {}): DeviceRow => ({
  id: unique('dev'),
  user: unique('ada'),
  name: 'Ada\'s "laptop"; drop table devices; -- \u202e',
  keyId: unique('key'),
  signingKey: 'ed25519:AAAA',
  sealingKey: 'x25519:BBBB',
  keystore: 'keychain',
  state: 'active',
  createdAt: T0,
  revokedAt: null,
  lastSeenAt: null,
  ...change,
});

export const sampleIncident = (change: Partial<IncidentRow> = {}): IncidentRow => ({
  id: unique('P1'),
  source: 'manual',
  externalId: unique('EXT'),
  state: 'open',
  priority: 'P1',
  service: 'orders',
  title: 'orders are slow',
  declaredBy: 'grace',
  assignees: ['ada', 'linus'],
  url: 'https://paging.example.com/incidents/1',
  labels: { team: 'orders' },
  startedAt: T0,
  openedAt: T0,
  changedAt: T0,
  confirmedAt: null,
  resolvedAt: null,
  resolvedBy: null,
  reopenedBy: null,
  ...change,
});

export const sampleRequest = (change: Partial<RequestRow> = {}): RequestRow => ({
  id: unique('req'),
  user: unique('ada'),
  deviceId: 'dev_1',
  state: 'pending',
  targets: [{ resource: 'db-replica', role: 'read' }],
  bundle: null,
  origin: null,
  incident: 'P1-123',
  reason: null,
  durationSeconds: 7200,
  digest: 'ab'.repeat(32),
  decision: { effect: 'ask', facts: { onCall: { known: false, value: null, ageSeconds: 0 } } },
  chains: [],
  createdAt: T0,
  expiresAt: T0 + 600_000,
  decidedAt: null,
  outcome: null,
  ...change,
});

export const sampleGrant = (change: Partial<GrantRow> = {}): GrantRow => ({
  id: unique('gr'),
  requestId: unique('req'),
  user: unique('ada'),
  resource: 'db-replica',
  role: 'read',
  state: 'active',
  via: 'policy',
  rule: null,
  startsAt: T0,
  endsAt: T0 + 7_200_000,
  hardEndsAt: T0 + 14_400_000,
  extensions: 0,
  shiftSchedule: null,
  shiftLevel: null,
  shiftEndsAt: null,
  graceEndsAt: null,
  graceCause: null,
  endCause: null,
  endedAt: null,
  ...change,
});

/** Needs the grant and the device that it names. */
export const sampleCredential = (change: Partial<CredentialRow> = {}): CredentialRow => ({
  id: unique('cr'),
  grantId: 'gr_1',
  deviceId: 'dev_1',
  kind: 'postgres',
  handle: unique('oncall'),
  state: 'issuing',
  target: { type: 'postgres', host: 'db.example.com', roles: { read: {} } },
  publicPart: null,
  createdAt: T0,
  leaseUntil: T0 + 30_000,
  expiresAt: T0 + 300_000,
  endCause: null,
  endingAt: null,
  endedAt: null,
  proof: null,
  ...change,
});

export const sampleDelivery = (change: Partial<DeliveryRow> = {}): DeliveryRow => ({
  id: unique('dlv'),
  source: 'pagerduty',
  deliveryId: unique('msg'),
  receivedAt: T0,
  incidents: [{ externalId: 'Q1', title: 'a "title"', labels: {} }],
  doneAt: null,
  outcome: null,
  ...change,
});

export const sampleAlarm = (change: Partial<AlarmRow> = {}): AlarmRow => ({
  id: unique('orphan'),
  kind: 'orphan',
  resource: 'db-replica',
  user: '',
  handles: ['oncall_ada_1'],
  count: 1,
  raisedAt: T0,
  ...change,
});

/** Needs the request that it names. */
export const sampleStage = (change: Partial<StageRow> = {}): StageRow => ({
  requestId: 'req_1',
  chain: 'orders-write',
  stage: 0,
  startedAt: T0,
  endsAt: T0 + 300_000,
  asked: ['grace', 'linus'],
  outcome: null,
  ...change,
});

export const sampleNotice = (change: Partial<OutboxRow> = {}): OutboxRow => ({
  id: unique('nt'),
  channel: 'chat',
  subject: unique('req'),
  notice: { kind: 'ask', lines: ['who', null] },
  createdAt: T0,
  sentAt: null,
  failedAt: null,
  attempts: 0,
  lastError: null,
  ...change,
});

export const sampleReview = (change: Partial<ReviewRow> = {}): ReviewRow => ({
  id: unique('rv'),
  kind: 'override',
  user: unique('ada'),
  requestId: unique('req'),
  grantId: null,
  resource: null,
  about: null,
  owners: ['grace', 'linus'],
  openedAt: T0,
  dueAt: T0 + 86_400_000,
  state: 'open',
  outcome: null,
  note: null,
  closedBy: null,
  closedAt: null,
  ...change,
});

export const samplePack = (change: Partial<PackRow> = {}): PackRow => ({
  id: unique('bg'),
  user: 'ada',
  deviceId: unique('dev'),
  resource: 'db-replica',
  role: 'read',
  kind: 'postgres',
  epoch: 1,
  slots: [{ number: 0, notBefore: T0, notAfter: T0 + 3_600_000, serial: '4A' }],
  issuedAt: T0,
  startsAt: T0,
  endsAt: T0 + 43_200_000,
  confirmedAt: null,
  state: 'active',
  revokedAt: null,
  ...change,
});

/** A grant with the device that holds it. */
export async function insertHolder(tx: Tx): Promise<{ grant: GrantRow; device: DeviceRow }> {
  const device = sampleDevice();
  const grant = sampleGrant({ user: device.user });
  await tx.insertDevice(device);
  await tx.insertGrant(grant, []);
  return { grant, device };
}

/** Appends an entry about `subject` in the form that the broker uses. */
export function appendEntry(tx: Tx, event: string, subject: Record<string, string> = {}) {
  return tx.appendAudit((index, at) => ({
    event,
    subject,
    bytes: new TextEncoder().encode(canonicalJson({ index, at, event, subject })),
  }));
}
