/**
 * What `oncall status`, prompts and completion read without network and keychain: the state as of the last word from the
 * broker. Nothing in it is secret, nothing is decided by it. On the way of `status`, so nothing heavy is imported.
 */
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import type {
  GrantView,
  IncidentView,
  RequestView,
  ShiftView,
  StatusReply,
  Target,
} from '../protocol/messages.ts';
import { isName } from '../protocol/names.ts';
import { formatInstant } from '../protocol/time.ts';
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import { type FileWrite, writeFiles } from './write-files.ts';

const SCHEMA = 'oncall.status/v1';

export interface StatusGrant {
  readonly id: string;
  readonly target: Target;
  readonly kind: GrantView['kind'];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly hardEndsAt: string;
  readonly extensionsLeft: number;
  readonly incidents: readonly string[];
  /** Of this device; null where it holds none. */
  readonly credentialExpiresAt: string | null;
}

export interface StatusPending {
  readonly id: string;
  readonly targets: readonly Target[];
  readonly incident: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface StatusFile {
  readonly schema: typeof SCHEMA;
  readonly profile: string;
  readonly broker: string;
  readonly user: string;
  readonly device: { readonly id: string; readonly name: string };
  /** When the broker last told us something that stands here. */
  readonly brokerContactAt: string;
  /** Active ones, in order of their ends. */
  readonly grants: readonly StatusGrant[];
  readonly pending: readonly StatusPending[];
  /** Open ones that the broker names to this person. */
  readonly incidents: readonly Pick<IncidentView, 'id' | 'priority' | 'service' | 'title'>[];
  readonly shifts: readonly ShiftView[];
  /** How many requests wait for this person's answer. */
  readonly approvalsWaiting: number;
  /** What every device of a person is told: that another one was added or revoked, for one. Newest first. */
  readonly notices: readonly { readonly at: string; readonly text: string }[];
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
      return status;
  } catch {
    // Reported below: what is wrong with it helps nobody.
  }
  throw new AppError('corrupt_file', `${paths.statusFile} is damaged`, { hint: 'oncall status --refresh' });
}

/** Reads, changes and writes. The caller holds `paths.holdLock`. A damaged file is begun anew. */
export async function updateStatusFile(
  owner: StatusOwner,
  nowMs: number,
  change: (status: StatusFile) => StatusFile,
): Promise<StatusFile> {
  const current = readUndamaged(owner.paths);
  const status = change({ ...(current ?? emptyStatus(owner, nowMs)), brokerContactAt: formatInstant(nowMs) });
  const { paths } = owner;
  const idsOf = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id);
  await writeFiles([
    // The broker knows all of it, and a damaged file is begun anew: not worth waiting for the disk.
    { path: paths.statusFile, data: `${JSON.stringify(status)}\n`, isCopy: true },
    ...changedNames(paths, { grants: idsOf(status.grants), requests: idsOf(status.pending) }),
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
    grants: [],
    pending: [],
    incidents: [],
    shifts: [],
    approvalsWaiting: 0,
    notices: [],
  };
}

/** The grant as it is now; one that is not active any more goes. */
export function withGrant(status: StatusFile, grant: GrantView): StatusFile {
  const others = status.grants.filter(({ id }) => id !== grant.id);
  if (grant.state !== 'active') return { ...status, grants: others };
  const grants = [...others, statusGrant(grant, status.device.id)];
  return { ...status, grants: grants.sort((a, b) => (a.endsAt < b.endsAt ? -1 : 1)) };
}

/** What this device holds, which the broker's view of the grant may not show yet. */
export function withCredential(
  status: StatusFile,
  { grantId, expiresAt }: { readonly grantId: string; readonly expiresAt: string },
): StatusFile {
  const grants = status.grants.map((grant) =>
    grant.id === grantId ? { ...grant, credentialExpiresAt: expiresAt } : grant,
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
  const empty = { ...status, grants: [], pending: reply.pending.map(statusPending) };
  return {
    ...reply.grants.reduce(withGrant, empty),
    incidents: reply.incidents.map(({ id, priority, service, title }) => ({ id, priority, service, title })),
    shifts: reply.me.shifts,
    approvalsWaiting: reply.approvals.length,
    notices: reply.me.notices,
  };
}

function statusGrant(grant: GrantView, deviceId: string): StatusGrant {
  const { id, target, kind, startsAt, endsAt, hardEndsAt, extensionsLeft, incidents } = grant;
  const mine = grant.credentials.filter(
    (credential) => credential.deviceId === deviceId && credential.state === 'live',
  );
  const credentialExpiresAt =
    mine
      .map(({ expiresAt }) => expiresAt)
      .sort()
      .at(-1) ?? null;
  return { id, target, kind, startsAt, endsAt, hardEndsAt, extensionsLeft, incidents, credentialExpiresAt };
}

function statusPending({ id, targets, incident, createdAt, expiresAt }: RequestView): StatusPending {
  return { id, targets: targets.map(({ target }) => target), incident, createdAt, expiresAt };
}

export type NameList = 'resources' | 'bundles' | 'incidents' | 'requests' | 'grants';

type Names = Partial<Readonly<Record<NameList, readonly string[]>>>;

/** One name a line, for shell completion. What is no name is left out: shells read these files. */
export async function writeNames(paths: ClientPaths, names: Names): Promise<void> {
  await writeFiles(changedNames(paths, names));
}

function changedNames(paths: ClientPaths, names: Names): FileWrite[] {
  return Object.entries(names).flatMap(([list, values]) => {
    const lines = [...new Set(values)].filter(isName).sort();
    const data = lines.map((line) => `${line}\n`).join('');
    const path = join(paths.completeDir, list);
    return readSafeFile(path)?.toString('utf8') === data ? [] : [{ path, data, isCopy: true }];
  });
}
