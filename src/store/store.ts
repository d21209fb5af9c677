import type { NodeRef } from '../audit/merkle.ts';
import type { Json } from '../protocol/canonical-json.ts';
import type {
  AlarmRow,
  ApprovalRow,
  AuditRow,
  BreakGlassEpochRow,
  CredentialRow,
  CredentialState,
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

/**
 * Where the broker keeps everything. Two implementations, one contract, one test suite: SQLite (embedded) and PostgreSQL
 * (several brokers on one store).
 *
 * Consistency. `write` runs its function in a serializable-strength transaction: on SQLite `begin immediate`; on
 * PostgreSQL writers of one row queue on its lock (`for update`) and the audit log is appended under one lock, so entries
 * have no gaps. A transaction that lost against another is run again from the start: its function must have no effects
 * but its writes. Nothing of a failed transaction remains. A call that rejected fails its transaction even if it was caught;
 * all calls must be awaited before the function resolves. Append to the audit log last: its lock is held from there to the end.
 *
 * Errors. What the function throws passes through. `conflict`: a unique key was taken (catch it outside of `write`).
 * `not_found`: an `update…` met no row. `busy`: it lost against others too often. `disk_full`. All else: `internal`, with cause.
 *
 * Durability. When `write` resolves, a power cut loses nothing of it. When it rejects with `AppError('internal')` after
 * the commit was sent, the outcome is unknown to the caller; every operation that matters is idempotent for that reason.
 *
 * Time. `now()` is the store's clock: on PostgreSQL the database's, so that several brokers agree; on SQLite the one
 * passed in at opening.
 */
export interface Store {
  readonly dialect: 'sqlite' | 'postgres';
  now(): Promise<number>;
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** A consistent view; throws if the function writes. */
  read<T>(work: (tx: ReadTx) => Promise<T>): Promise<T>;
  /** Versions applied by this call, oldest first. */
  migrate(): Promise<readonly string[]>;
  /** Throws `config_invalid` if migrations are missing (older store) or unknown (newer store). */
  checkMigrations(): Promise<void>;
  /** SQLite: an online copy of the database file. PostgreSQL: throws `usage` naming pg_dump. */
  backup(file: string): Promise<void>;
  close(): Promise<void>;
}

export interface ReadTx {
  now(): Promise<number>;

  device(id: string): Promise<DeviceRow | undefined>;
  deviceByKeyId(keyId: string): Promise<DeviceRow | undefined>;
  devicesOf(user: string): Promise<readonly DeviceRow[]>;
  activeDevices(): Promise<readonly DeviceRow[]>;
  invite(codeHash: string): Promise<InviteRow | undefined>;

  incident(id: string): Promise<IncidentRow | undefined>;
  /** The source's own id for it. */
  incidentByExternalId(source: string, externalId: string): Promise<IncidentRow | undefined>;
  /** What people type: ids and aliases alike, of any source; exactly as stored, newest first. */
  incidentsByAlias(alias: string, limit: number): Promise<readonly IncidentRow[]>;
  incidents(filter: {
    state?: 'open' | 'resolved';
    service?: string;
    source?: string;
    limit: number;
  }): Promise<readonly IncidentRow[]>;

  request(id: string): Promise<RequestRow | undefined>;
  requestByOrigin(origin: string): Promise<RequestRow | undefined>;
  requests(filter: {
    user?: string;
    state?: RequestRow['state'];
    limit: number;
  }): Promise<readonly RequestRow[]>;
  approvals(requestId: string): Promise<readonly ApprovalRow[]>;
  /** Of all chains, in the order in which they began. */
  stages(requestId: string): Promise<readonly StageRow[]>;

  /** The newest snapshot of each feed, by source and feed. */
  shiftSnapshots(): Promise<readonly ShiftSnapshotRow[]>;
  /** Grows with every change to what `shiftSnapshots` answers, `fetchedAt` included: cheap to ask often. */
  shiftSnapshotVersion(): Promise<number>;
  polls(): Promise<readonly PollRow[]>;
  delivery(id: string): Promise<DeliveryRow | undefined>;

  notice(id: string): Promise<OutboxRow | undefined>;
  /** Oldest first. `unsent`: only those that wait, neither sent nor given up. */
  notices(filter: {
    subject?: string;
    channel?: string;
    unsent?: boolean;
    limit: number;
  }): Promise<readonly OutboxRow[]>;
  /** For each channel that has any of both: how many wait, since when the oldest does, and how many were given up since `sinceMs`. */
  countNotices(
    sinceMs: number,
  ): Promise<readonly { channel: string; waiting: number; oldestAt: number | null; failed: number }[]>;

  review(id: string): Promise<ReviewRow | undefined>;
  /** Newest first. `dueBefore`: open ones that are overdue at that time. */
  reviews(filter: {
    state?: ReviewRow['state'];
    user?: string;
    resource?: string;
    dueBefore?: number;
    limit: number;
  }): Promise<readonly ReviewRow[]>;

  /** All that are raised, oldest first. */
  alarms(): Promise<readonly AlarmRow[]>;

  pack(id: string): Promise<PackRow | undefined>;
  /** Newest first. */
  packs(filter: PackFilter): Promise<readonly PackRow[]>;
  /** Of a resource whose epoch was never rotated nor tainted: the first. */
  breakGlassEpoch(resource: string): Promise<BreakGlassEpochRow>;
  /** Those that were ever rotated or tainted, by resource. */
  breakGlassEpochs(): Promise<readonly BreakGlassEpochRow[]>;

  packUse(packId: string, slot: number): Promise<PackUseRow | undefined>;
  journal(deviceId: string): Promise<JournalRow | undefined>;
  /** Those that a person has to look at, the longest first. */
  brokenJournals(): Promise<readonly JournalRow[]>;
  /** Of this resource, newest first. */
  drills(resource: string, limit: number): Promise<readonly DrillRow[]>;

  /** Removed ones too, by id. */
  hosts(): Promise<readonly HostRow[]>;
  /** Newest first. */
  logins(filter: {
    matched?: string;
    host?: string;
    identity?: string;
    serial?: string;
    limit: number;
  }): Promise<readonly LoginRow[]>;
  /** Those that rest on nothing known, oldest first. */
  unmatchedLogins(limit: number): Promise<readonly LoginRow[]>;

  grant(id: string): Promise<GrantRow | undefined>;
  /** Newest first. */
  grants(filter: GrantFilter): Promise<readonly GrantRow[]>;
  incidentsOf(grantId: string): Promise<readonly string[]>;

  credential(id: string): Promise<CredentialRow | undefined>;
  credentials(filter: {
    grantId?: string;
    deviceId?: string;
    kind?: string;
    handle?: string;
    /** Under a grant on this resource. */
    resource?: string;
    states?: readonly CredentialState[];
    /** Only those whose end was asked for before this time. */
    endingBefore?: number;
    limit: number;
  }): Promise<readonly CredentialRow[]>;

  revocations(list: string): Promise<{ number: number; entries: readonly RevocationRow[] }>;
  idempotency(deviceId: string, key: string): Promise<IdempotencyRow | undefined>;
  /** Attempts counted under `key` in the window that is open now. */
  attempts(key: string, nowMs: number): Promise<number>;

  auditSize(): Promise<number>;
  /** The log's size, and its tree's peaks (audit/merkle.ts). */
  auditHead(): Promise<{ size: number; peaks: readonly Uint8Array[] }>;
  auditNodes(refs: readonly NodeRef[]): Promise<readonly Uint8Array[]>;
  auditEntries(from: number, limit: number): Promise<readonly AuditRow[]>;
  /** Newest first. `subject` is any string in an entry's subject; `fromMs` is included, `toMs` is not. */
  auditSearch(filter: {
    event?: string;
    subject?: string;
    fromMs?: number;
    toMs?: number;
    limit: number;
  }): Promise<readonly AuditRow[]>;

  /** When the next job (of these kinds) that nobody holds is due; undefined where there is none. */
  nextJobAt(nowMs: number, kinds?: readonly string[]): Promise<number | undefined>;
  countJobs(): Promise<readonly { kind: string; count: number; oldestDueAt: number }[]>;
}

export interface GrantFilter {
  user?: string;
  resource?: string;
  role?: string;
  incident?: string;
  requestId?: string;
  states?: readonly GrantRow['state'][];
  rule?: string;
  limit: number;
}

export interface PackFilter {
  user?: string;
  deviceId?: string;
  resource?: string;
  state?: PackRow['state'];
  /** Their time goes on beyond this. */
  endsAfter?: number;
  limit: number;
}

export interface Tx extends ReadTx {
  insertDevice(row: DeviceRow): Promise<void>;
  updateDevice(
    id: string,
    change: Partial<Pick<DeviceRow, 'state' | 'revokedAt' | 'lastSeenAt'>>,
  ): Promise<void>;
  insertInvite(row: InviteRow): Promise<void>;
  /** Marks it used; false if it was used already, expired or unknown. */
  useInvite(codeHash: string, deviceId: string, nowMs: number): Promise<boolean>;
  /** False if this nonce was seen for this key; otherwise it is kept until `expiresAt`. Old ones are swept here. */
  claimNonce(keyId: string, nonce: string, expiresAt: number, nowMs: number): Promise<boolean>;
  /** Kept for a day; older ones are swept here. Throws `conflict` if this key was used. */
  insertIdempotency(row: IdempotencyRow): Promise<void>;
  /** Counts attempts under `key` within the window that started last; returns the count with this one. */
  countAttempt(key: string, windowMs: number, nowMs: number): Promise<number>;

  /** Throws `conflict` where the id, or the source's id, is taken. */
  insertIncident(row: IncidentRow): Promise<void>;
  /** Reads an incident and holds it until the transaction ends, so that two words about it cannot pass each other. */
  lockIncident(id: string): Promise<IncidentRow | undefined>;
  updateIncident(id: string, change: Partial<Omit<IncidentRow, 'id'>>): Promise<void>;
  /** Known ones stay as they are. */
  addIncidentAliases(id: string, aliases: readonly string[]): Promise<void>;

  insertRequest(row: RequestRow): Promise<void>;
  /** Only from `pending`; false if it was not pending any more. */
  settleRequest(
    id: string,
    change: Pick<RequestRow, 'state' | 'decidedAt' | 'outcome'> & { durationSeconds?: number },
  ): Promise<boolean>;
  /** False if this approver has answered this request already. */
  insertApproval(row: ApprovalRow): Promise<boolean>;
  /** False if this request has reached this stage already. */
  insertStage(row: StageRow): Promise<boolean>;
  /** False if it was closed already. */
  closeStage(requestId: string, chain: string, stage: number, outcome: string): Promise<boolean>;

  /**
   * A new row where the shifts differ from the feed's newest, else only its `fetchedAt` moves; an answer that was fetched before
   * the newest one was changes nothing. Rows that were last said more than 90 days before are swept.
   */
  putShiftSnapshot(row: ShiftSnapshotRow): Promise<void>;
  putPoll(row: PollRow): Promise<void>;
  /** False if this source has delivered this id already. Those done more than 30 days before are swept here. */
  insertDelivery(row: DeliveryRow): Promise<boolean>;
  finishDelivery(id: string, doneAt: number, outcome: string): Promise<void>;

  /** False if the id is taken: the notice is on its way already. Those sent or given up more than 30 days before are swept here. */
  insertNotice(row: OutboxRow): Promise<boolean>;
  updateNotice(
    id: string,
    change: Partial<Pick<OutboxRow, 'sentAt' | 'failedAt' | 'attempts' | 'lastError'>>,
  ): Promise<void>;

  /** Throws `conflict` where the id is taken. */
  insertReview(row: ReviewRow): Promise<void>;
  /** False if it was closed already. */
  closeReview(
    id: string,
    change: Required<Pick<ReviewRow, 'outcome' | 'note' | 'closedBy' | 'closedAt'>>,
  ): Promise<boolean>;

  /** True if it was not raised before; else only its handles and their count change. */
  raiseAlarm(row: AlarmRow): Promise<boolean>;
  /** False if it was not raised. */
  clearAlarm(id: string): Promise<boolean>;

  /** Throws `conflict` where the id is taken. */
  insertPack(row: PackRow): Promise<void>;
  updatePack(
    id: string,
    change: Partial<Pick<PackRow, 'endsAt' | 'confirmedAt' | 'state' | 'revokedAt'>>,
  ): Promise<void>;
  putBreakGlassEpoch(row: BreakGlassEpochRow): Promise<void>;

  /** False if this slot of this pack was used already. */
  insertPackUse(row: PackUseRow): Promise<boolean>;
  putJournal(row: JournalRow): Promise<void>;
  /** False if the id is taken: it is recorded already. */
  insertDrill(row: DrillRow): Promise<boolean>;

  /** Throws `conflict` where the id is taken, be it by one that was removed. */
  insertHost(row: HostRow): Promise<void>;
  updateHost(id: string, change: Partial<Omit<HostRow, 'id' | 'resource'>>): Promise<void>;
  /** False if this very login is known. */
  insertLogin(row: LoginRow): Promise<boolean>;
  matchLogin(id: string, matched: string): Promise<void>;
  /** Drops those that came more than 90 days before. */
  sweepLogins(nowMs: number): Promise<void>;

  insertGrant(row: GrantRow, incidents: readonly string[]): Promise<void>;
  /** Reads a grant and holds it until the transaction ends, so that issuing and ending cannot pass each other. */
  lockGrant(id: string): Promise<GrantRow | undefined>;
  /** Holds all of (user, resource, role): the door through which one person's grants on one role are made. */
  lockTarget(user: string, resource: string, role: string): Promise<void>;
  updateGrant(
    id: string,
    change: Partial<
      Pick<
        GrantRow,
        | 'requestId'
        | 'state'
        | 'via'
        | 'rule'
        | 'startsAt'
        | 'endsAt'
        | 'hardEndsAt'
        | 'extensions'
        | 'shiftSchedule'
        | 'shiftLevel'
        | 'shiftEndsAt'
        | 'graceEndsAt'
        | 'graceCause'
        | 'endCause'
        | 'endedAt'
      >
    >,
  ): Promise<void>;
  addIncident(grantId: string, incident: string): Promise<void>;

  insertCredential(row: CredentialRow): Promise<void>;
  /** Compare and set on the state; false if it was in none of `from`. */
  moveCredential(
    id: string,
    from: readonly CredentialState[],
    change: Partial<Omit<CredentialRow, 'id' | 'grantId' | 'deviceId' | 'kind' | 'handle' | 'createdAt'>>,
  ): Promise<boolean>;

  /** Adds serials to a revocation list (known ones stay as they are) and returns its number, raised if any was new. */
  addRevocations(list: string, entries: readonly { serial: string; expiresAt: number }[]): Promise<number>;
  /** Drops entries that expired before `beforeMs`; the number does not change. */
  sweepRevocations(list: string, beforeMs: number): Promise<void>;

  /**
   * One job per (kind, subject): a free one moves to the earlier `dueAt`. While one is taken, what is asked for becomes a new
   * job (with the new id) when that one is finished, and brings its next try forward when it is retried: nothing gets lost.
   */
  insertJob(job: { id: string; kind: string; subject: string; dueAt: number }): Promise<void>;
  /** Like `insertJob`, but a free one moves to `dueAt` even if that is later: its subject has just been seen to have time. */
  deferJob(job: { id: string; kind: string; subject: string; dueAt: number }): Promise<void>;
  /** Takes up to `limit` due jobs (of these kinds) for `leaseMs` (`skip locked` on PostgreSQL). `attempts` counts this taking. */
  takeJobs(
    nowMs: number,
    leaseMs: number,
    limit: number,
    kinds?: readonly string[],
  ): Promise<readonly JobRow[]>;
  /** Only while still leased by this taking (`attempts` unchanged); false otherwise. */
  finishJob(job: Pick<JobRow, 'id' | 'kind' | 'subject' | 'attempts'>): Promise<boolean>;
  retryJob(
    job: Pick<JobRow, 'id' | 'kind' | 'subject' | 'attempts'>,
    dueAt: number,
    error: string,
  ): Promise<boolean>;

  /** Appends one entry as number `auditSize()`; `build` gets that number and the transaction's time. */
  appendAudit(
    build: (index: number, nowMs: number) => { event: string; subject: Json; bytes: Uint8Array },
  ): Promise<AuditRow>;
}
