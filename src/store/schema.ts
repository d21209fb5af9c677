import type { Columns } from './columns.ts';
import type {
  AlarmRow,
  ApprovalRow,
  BreakGlassEpochRow,
  CredentialRow,
  DeliveryRow,
  DeviceRow,
  DrillRow,
  GrantRow,
  HostRow,
  IdempotencyRow,
  IncidentRow,
  InviteRow,
  JobRow,
  JournalRow,
  LoginRow,
  OutboxRow,
  PackRow,
  PackUseRow,
  PollRow,
  RequestRow,
  ReviewRow,
  RevocationRow,
  ShiftSnapshotRow,
  StageRow,
} from './rows.ts';

/** The tables as the migrations leave them. Indexes and constraints: migrations/. */
export interface Schema {
  devices: Columns<DeviceRow>;
  invites: Columns<InviteRow>;
  nonces: { key_id: string; nonce: string; expires_at: number };
  idempotency: Columns<IdempotencyRow>;
  attempts: { key: string; started_at: number; ends_at: number; count: number };
  incidents: Columns<IncidentRow>;
  incident_aliases: { alias: string; incident_id: string };
  requests: Columns<RequestRow>;
  approvals: Columns<ApprovalRow>;
  stages: Columns<StageRow>;
  shift_snapshots: SnapshotColumns;
  /** One row. Its lock is what makes the answers of one feed follow each other. */
  shift_snapshot_head: { id: number; version: number };
  polls: Columns<PollRow>;
  deliveries: Columns<DeliveryRow>;
  outbox: Columns<OutboxRow>;
  reviews: Columns<ReviewRow>;
  alarms: Columns<AlarmRow>;
  packs: Columns<PackRow>;
  pack_uses: Columns<PackUseRow>;
  journals: Columns<JournalRow>;
  break_glass_epochs: Columns<BreakGlassEpochRow>;
  drills: Columns<DrillRow>;
  hosts: Columns<HostRow>;
  logins: Columns<LoginRow>;
  grants: Columns<GrantRow>;
  grant_incidents: { grant_id: string; incident: string };
  credentials: Columns<CredentialRow>;
  revocation_lists: { list: string; number: number };
  revocations: Columns<RevocationRow>;
  jobs: JobColumns;
  /** One row: the number of entries, and the hashes of the tree's peaks one after the other. Its lock is what makes the log gapless. */
  audit_head: { id: number; size: number; peaks: Uint8Array };
  audit_entries: { number: number; at: number; event: string; entry: string };
  /** A node stands under the entry that completed its subtree, so that all of them are appended at the same end. */
  audit_nodes: { entry: number; level: number; hash: Uint8Array };
  /** What an entry is found by: its event, and each string in its subject. */
  audit_terms: AuditTermColumns;
  /** The same of the newest entries, in the order in which they came; see queries/audit.ts. */
  audit_fresh_terms: AuditTermColumns;
  store_migrations: { name: string; applied_at: number };
}

export interface AuditTermColumns {
  kind: 'event' | 'subject';
  value: string;
  number: number;
}

/** `replaced_at`: null for the newest of its feed. */
export interface SnapshotColumns extends Columns<ShiftSnapshotRow> {
  replaced_at: number | null;
}

/** `next_*`: the job that was asked for while this one was taken; see queries/jobs.ts. */
export interface JobColumns extends Columns<JobRow> {
  next_id: string | null;
  next_due_at: number | null;
}
