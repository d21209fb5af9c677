/**
 * What `oncall status`, prompts and completion read without network and keychain: the state as of the last word from the
 * broker. Nothing in it is secret, nothing is decided by it. On the way of `status`, so nothing heavy is imported.
 */
import { AppError } from '../protocol/errors.ts';
import type {
  GrantView,
  IncidentView,
  RequestView,
  ReviewView,
  ShiftView,
  StatusReply,
  Target,
  WaitingView,
} from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import { changedNames, statusNames } from './completion-names.ts';
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import { changedPromptLine } from './prompt-line.ts';
import { writeFiles } from './write-files.ts';

const SCHEMA = 'oncall.status/v1';

export interface StatusGrant {
  readonly id: string;
  readonly target: Target;
  readonly kind: GrantView['kind'];
  /** `ready`: opened by itself; the first credential begins its window. */
  readonly state: 'ready' | 'active';
  readonly via: string;
  readonly rule: string | null;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly hardEndsAt: string;
  readonly graceEndsAt: string | null;
  readonly graceCause: string | null;
  readonly extensionsLeft: number;
  readonly incidents: readonly string[];
  /** Of this device; null where it holds none. */
  readonly credentialExpiresAt: string | null;
  /** Why this device's credential is not renewed; null while it is. */
  readonly renewal: RenewalTrouble | null;
  /** What became of making the window longer, where it did not become so by itself. */
  readonly extension: ExtensionNote | null;
}

export interface RenewalTrouble {
  /** `refused`: the credential runs out, and is wiped then. `failing`: it is tried again. */
  readonly state: 'refused' | 'failing';
  readonly because: string;
  readonly since: string;
}

export interface ExtensionNote {
  /** `asked`: approvers have been asked, under `requestId`. `refused`: the window ends when it ends. */
  readonly state: 'asked' | 'refused';
  readonly because: string;
  readonly requestId: string | null;
  /** The end that it was about: a window that has become longer since makes it void. */
  readonly endsAt: string;
}

/** What this device has for the time without a broker, and what of it is open. */
export interface StatusBreakGlass {
  readonly packs: readonly {
    readonly id: string;
    readonly target: Target;
    readonly issuedAt: string;
    /** The time that it covers. */
    readonly startsAt: string;
    readonly endsAt: string;
  }[];
  readonly open: readonly {
    readonly pack: string;
    readonly slot: number;
    readonly target: Target;
    readonly kind: GrantView['kind'];
    readonly reason: string;
    readonly incident: string | null;
    readonly openedAt: string;
    /** Of the certificate. */
    readonly expiresAt: string;
    readonly drill: boolean;
  }[];
  /** How many entries of the journal the broker has not got yet. */
  readonly unreported: number;
  /** What the broker finds wrong with the journal. */
  readonly broken: string | null;
}

export interface StatusPending {
  readonly id: string;
  readonly targets: readonly Target[];
  readonly bundle: string | null;
  readonly incident: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly waiting: readonly WaitingView[];
}

export interface StatusFile {
  readonly schema: typeof SCHEMA;
  readonly profile: string;
  readonly broker: string;
  readonly user: string;
  readonly device: { readonly id: string; readonly name: string };
  /** When the broker last told us something that stands here. */
  readonly brokerContactAt: string;
  /** Set while whoever listened to the broker has heard nothing for a minute or more: what was revoked since may stand here. */
  readonly revocationsUnheardSince: string | null;
  /** Ready and active ones, in order of their ends. */
  readonly grants: readonly StatusGrant[];
  readonly pending: readonly StatusPending[];
  /** Open ones that the broker names to this person. */
  readonly incidents: readonly Pick<IncidentView, 'id' | 'priority' | 'service' | 'title'>[];
  readonly shifts: readonly ShiftView[];
  /** How many requests wait for this person's answer. */
  readonly approvalsWaiting: number;
  /** What every device of a person is told: that another one was added or revoked, for one. Newest first. */
  readonly notices: readonly { readonly at: string; readonly text: string }[];
  /** Open ones that this person may close, and those about this person. */
  readonly reviews: readonly Pick<ReviewView, 'id' | 'user' | 'dueAt' | 'overdue'>[];
  /** What does not work at the broker as it should. */
  readonly warnings: readonly string[];
  readonly breakGlass: StatusBreakGlass;
}

/** Who the file is about. */
export interface StatusOwner {
  readonly paths: ClientPaths;
  readonly broker: string;
  readonly user: string;
  readonly device: { readonly id: string; readonly name: string };
}

/** Undefined where there is none yet. Throws AppError `unsafe_file`, and `corrupt_file` for what `status --refresh` would replace. */
export function readStatusFile(paths: ClientPaths): StatusFile | undefined {
  const bytes = readSafeFile(paths.statusFile);
  if (bytes === undefined) return undefined;
  try {
    const status = JSON.parse(bytes.toString('utf8')) as StatusFile;
    if (status.schema === SCHEMA && Array.isArray(status.grants) && Array.isArray(status.pending))
      return completed(status);
  } catch {
    // Reported below: what is wrong with it helps nobody.
  }
  throw new AppError('corrupt_file', `${paths.statusFile} is damaged`, { hint: 'oncall status --refresh' });
}

/** What an older version did not write. */
const NO_GLASS: StatusBreakGlass = { packs: [], open: [], unreported: 0, broken: null };
const OLDER = { revocationsUnheardSince: null, reviews: [], warnings: [], breakGlass: NO_GLASS };
const NO_NOTES = { renewal: null, extension: null };
const OLDER_GRANT = {
  state: 'active',
  via: 'policy',
  rule: null,
  graceEndsAt: null,
  graceCause: null,
  ...NO_NOTES,
};
const OLDER_PENDING = { bundle: null, waiting: [] };

function completed(status: StatusFile): StatusFile {
  return {
    ...withDefaults(status, OLDER),
    grants: status.grants.map((grant) => withDefaults(grant, OLDER_GRANT)),
    pending: status.pending.map((one) => withDefaults(one, OLDER_PENDING)),
  };
}

/** Members keep their order: two files that say the same are the same text. */
function withDefaults<T extends object>(value: T, defaults: object): T {
  const missing = Object.entries(defaults).filter(([name]) => !Object.hasOwn(value, name));
  return { ...value, ...Object.fromEntries(missing) };
}

/**
 * Reads, changes and writes what the broker has just said: it was heard. The caller holds `paths.holdLock`. A damaged file is
 * begun anew.
 */
export async function updateStatusFile(
  owner: StatusOwner,
  nowMs: number,
  change: (status: StatusFile) => StatusFile,
): Promise<StatusFile> {
  const heard = { brokerContactAt: formatInstant(nowMs), revocationsUnheardSince: null };
  return rewrite(owner, nowMs, (status) => change({ ...status, ...heard }));
}

/** Notes that nothing was heard since. The caller holds `paths.holdLock`. */
export async function noteSilence(owner: StatusOwner, nowMs: number, sinceMs: number): Promise<StatusFile> {
  const revocationsUnheardSince = formatInstant(sinceMs);
  return rewrite(owner, nowMs, (status) => ({ ...status, revocationsUnheardSince }));
}

/** Notes what this device has for break-glass: no word from the broker. The caller holds `paths.holdLock`, or cannot wait for it. */
export async function noteBreakGlass(
  owner: StatusOwner,
  nowMs: number,
  breakGlass: StatusBreakGlass,
): Promise<StatusFile> {
  return rewrite(owner, nowMs, (status) => ({ ...status, breakGlass }));
}

/** Notes what this device found out by itself about a grant. The caller holds `paths.holdLock`. */
export async function noteOnGrant(
  owner: StatusOwner,
  nowMs: number,
  grantId: string,
  notes: Partial<Pick<StatusGrant, 'renewal' | 'extension'>>,
): Promise<StatusFile> {
  return rewrite(owner, nowMs, (status) => ({
    ...status,
    grants: status.grants.map((grant) => (grant.id === grantId ? { ...grant, ...notes } : grant)),
  }));
}

async function rewrite(
  owner: StatusOwner,
  nowMs: number,
  change: (status: StatusFile) => StatusFile,
): Promise<StatusFile> {
  const { paths } = owner;
  const status = change(readUndamaged(paths) ?? emptyStatus(owner, nowMs));
  await writeFiles([
    // The broker knows all of it, and a damaged file is begun anew: not worth waiting for the disk.
    { path: paths.statusFile, data: `${JSON.stringify(status)}\n`, isCopy: true },
    ...changedPromptLine(paths, status, nowMs),
    ...changedNames(paths, statusNames(status)),
  ]);
  return status;
}

function readUndamaged(paths: ClientPaths): StatusFile | undefined {
  try {
    return readStatusFile(paths);
  } catch (error) {
    if (error instanceof AppError && error.code === 'corrupt_file') return undefined;
    throw error;
  }
}

function emptyStatus({ paths, broker, user, device }: StatusOwner, nowMs: number): StatusFile {
  return {
    schema: SCHEMA,
    profile: paths.profile,
    broker,
    user,
    device: { id: device.id, name: device.name },
    brokerContactAt: formatInstant(nowMs),
    revocationsUnheardSince: null,
    grants: [],
    pending: [],
    incidents: [],
    shifts: [],
    approvalsWaiting: 0,
    notices: [],
    reviews: [],
    warnings: [],
    breakGlass: NO_GLASS,
  };
}

/** The grant as it is now; one that has ended goes. */
export function withGrant(status: StatusFile, grant: GrantView): StatusFile {
  const others = status.grants.filter(({ id }) => id !== grant.id);
  if (grant.state === 'ended') return { ...status, grants: others };
  const before = status.grants.find(({ id }) => id === grant.id);
  const grants = [
    ...others,
    { ...statusGrant(grant, grant.state, status.device.id), ...notesOf(before, grant) },
  ];
  return { ...status, grants: grants.sort((a, b) => (a.endsAt < b.endsAt ? -1 : 1)) };
}

/** What was noted stays until it is not so any more. */
function notesOf(
  before: StatusGrant | undefined,
  { endsAt }: GrantView,
): Pick<StatusGrant, 'renewal' | 'extension'> {
  const { renewal = null, extension = null } = before ?? {};
  return { renewal, extension: extension?.endsAt === endsAt ? extension : null };
}

/** What this device holds, which the broker's view of the grant may not show yet. A new one ends the trouble of renewing it. */
export function withCredential(
  status: StatusFile,
  { grantId, expiresAt }: { readonly grantId: string; readonly expiresAt: string },
  { isNew }: { readonly isNew: boolean },
): StatusFile {
  const grants = status.grants.map((grant) =>
    grant.id === grantId
      ? { ...grant, credentialExpiresAt: expiresAt, renewal: isNew ? null : grant.renewal }
      : grant,
  );
  return { ...status, grants };
}

export function withoutGrant(status: StatusFile, grantId: string): StatusFile {
  return { ...status, grants: status.grants.filter(({ id }) => id !== grantId) };
}

/** A request's state and the grants that came of it. */
export function withRequest(status: StatusFile, request: RequestView): StatusFile {
  const others = status.pending.filter(({ id }) => id !== request.id);
  const pending = request.state === 'pending' ? [...others, statusPending(request)] : others;
  return request.grants.reduce(withGrant, { ...status, pending });
}

/** All of it, as the broker sees it. */
export function fromReply(status: StatusFile, reply: StatusReply): StatusFile {
  const standing = new Set(reply.grants.map(({ id }) => id));
  const kept = status.grants.filter(({ id }) => standing.has(id));
  return {
    ...reply.grants.reduce(withGrant, { ...status, grants: kept, pending: reply.pending.map(statusPending) }),
    incidents: reply.incidents.map(({ id, priority, service, title }) => ({ id, priority, service, title })),
    shifts: reply.me.shifts,
    approvalsWaiting: reply.approvals.length,
    notices: reply.me.notices,
    // An older broker knows neither.
    reviews: (reply.reviews ?? []).map(({ id, user, dueAt, overdue }) => ({ id, user, dueAt, overdue })),
    warnings: reply.warnings ?? [],
  };
}

function statusGrant(
  grant: GrantView,
  state: StatusGrant['state'],
  deviceId: string,
): Omit<StatusGrant, 'renewal' | 'extension'> {
  const { id, target, kind, via, rule = null, startsAt, endsAt, hardEndsAt, incidents } = grant;
  const { graceEndsAt = null, graceCause = null, extensionsLeft } = grant;
  const mine = grant.credentials.filter(
    (credential) => credential.deviceId === deviceId && credential.state === 'live',
  );
  const credentialExpiresAt =
    mine
      .map(({ expiresAt }) => expiresAt)
      .sort()
      .at(-1) ?? null;
  return {
    ...{ id, target, kind, state, via, rule, startsAt, endsAt, hardEndsAt, graceEndsAt, graceCause },
    ...{ extensionsLeft, incidents, credentialExpiresAt },
  };
}

function statusPending(request: RequestView): StatusPending {
  const { id, bundle = null, incident, createdAt, expiresAt, waiting = [] } = request;
  const targets = request.targets.map(({ target }) => target);
  return { id, targets, bundle, incident, createdAt, expiresAt, waiting };
}
