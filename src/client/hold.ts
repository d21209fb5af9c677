/**
 * Holding credentials: the one way by which request, run, renew and credential come to something that a tool can use. All
 * of it happens under one lock, so that two commands at once neither issue twice nor lose each other's files.
 */
import { AppError, isAppError } from '../protocol/errors.ts';
import type { GrantView, RequestView } from '../protocol/messages.ts';
import { TARGET_KINDS } from '../protocol/target-kinds.ts';
import { parseInstant } from '../protocol/time.ts';
import { startAgent } from './agent-start.ts';
import { issueCredential } from './calls.ts';
import type { Client } from './client.ts';
import type { ClientConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import {
  type CredentialCache,
  type HeldCredential,
  isGrantId,
  openCredential,
  sealCredential,
  wipe,
} from './credentials.ts';
import { listNames } from './files.ts';
import { withLock } from './lock.ts';
import { listSessionGrants, wipeSessionFiles, writeSessionFiles } from './session-files.ts';
import {
  noteOnGrant,
  type StatusFile,
  type StatusOwner,
  updateStatusFile,
  withCredential,
  withGrant,
  withoutGrant,
  withRequest,
} from './status-file.ts';
import { clientTarget } from './targets/kinds.ts';
import { followSession } from './tool-files.ts';

const LOCK_TIMEOUT_MS = 60_000;
/** A command renews what has used up more than this share of its life: the agent has had its turns by then. */
const RENEW_AFTER = 2 / 3;

/** Alone with what is held: its files, and the status file. */
export function withHoldLock<T>(
  { paths }: ClientContext,
  work: () => Promise<T>,
  timeoutMs = LOCK_TIMEOUT_MS,
): Promise<T> {
  return withLock(paths.holdLock, work, { timeoutMs });
}

/** Loads what a grant may need, whatever its kind. */
export function prepareToHold(): void {
  for (const kind of TARGET_KINDS) clientTarget(kind).prepare?.();
}

export interface HoldOptions {
  /** Renews what has used up more than this share of its life: 2/3 unless told; 0 asks the broker in any case, for `oncall renew`. */
  readonly renewAfter?: number;
  readonly signal?: AbortSignal;
}

/** What became of one grant. */
export type Ensured = PromiseSettledResult<HeldCredential>;

/**
 * A credential of this device for each ready or active grant, in the same order: the one at hand while it is young, else a
 * renewed or new one. Session files and the status file are written. Where some fail, the others are kept,
 * and the first failure is thrown: `ended`, `denied`, `target_refused`, `target_unreachable` and whatever the call may give.
 */
export async function ensureCredentials(
  client: Client,
  grants: readonly GrantView[],
  options: HoldOptions = {},
): Promise<HeldCredential[]> {
  const byAgent = await client.agent?.ensure(grants, options);
  if (byAgent !== undefined) return byAgent;
  const settled = await ensureEach(client, grants, options);
  if (settled.some(({ status }) => status === 'fulfilled')) await startAgent(client);
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** The same by this process itself, with what became of each. */
export async function ensureEach(
  client: Client,
  grants: readonly GrantView[],
  options: HoldOptions = {},
): Promise<Ensured[]> {
  const { context, config } = client;
  return withHoldLock(context, async () => {
    const settled = await Promise.allSettled(grants.map((grant) => obtain(client, grant, options)));
    const ensured = await placeAll(context, settled);
    const obtained = settled.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
    await followSession(
      context,
      obtained.map(({ credential }) => credential),
    );
    if (obtained.length > 0) {
      await updateStatusFile(ownerOf(context, config), context.now(), (status) =>
        obtained.reduce(
          (before, { grant, credential, isNew }) =>
            withCredential(withGrant(before, grant), credential, { isNew }),
          status,
        ),
      );
    }
    return ensured;
  });
}

/** {@link ensureCredentials} for one grant. */
export async function ensureCredential(
  client: Client,
  grant: GrantView,
  options: HoldOptions = {},
): Promise<HeldCredential> {
  const [credential] = await ensureCredentials(client, [grant], options);
  if (credential === undefined) throw new AppError('internal', 'no credential came back');
  return credential;
}

/** Takes everything of a grant off this machine: sealed credential, session files, its line in the status file. */
export async function releaseLocal(
  context: ClientContext,
  config: ClientConfig,
  grantId: string,
): Promise<void> {
  await withHoldLock(context, async () => {
    await wipeGrant(context, grantId);
    await updateStatusFile(ownerOf(context, config), context.now(), (status) =>
      withoutGrant(status, grantId),
    );
  });
}

/** Notes in the status file what became of a request. */
export async function noteRequest(
  context: ClientContext,
  config: ClientConfig,
  request: RequestView,
): Promise<StatusFile> {
  return withHoldLock(context, () =>
    updateStatusFile(ownerOf(context, config), context.now(), (status) => withRequest(status, request)),
  );
}

/** Notes a grant that was extended or ended elsewhere. An ended one is wiped. */
export async function noteGrant(
  context: ClientContext,
  config: ClientConfig,
  grant: GrantView,
): Promise<void> {
  if (grant.state === 'ended') return releaseLocal(context, config, grant.id);
  await withHoldLock(context, () =>
    updateStatusFile(ownerOf(context, config), context.now(), (status) => withGrant(status, grant)),
  );
}

/** Notes in the status file what this device found out about a grant. */
export async function noteNotes(
  context: ClientContext,
  config: ClientConfig,
  grantId: string,
  notes: Parameters<typeof noteOnGrant>[3],
): Promise<void> {
  await withHoldLock(context, () => noteOnGrant(ownerOf(context, config), context.now(), grantId, notes));
}

/** Seconds that a credential still lives, by our own clock from the moment it came; 0 when the clock went back before that. */
export function secondsLeft(credential: HeldCredential, nowMs: number): number {
  const ageSeconds = (nowMs - credential.receivedAtMs) / 1000;
  return ageSeconds < 0 ? 0 : Math.max(0, credential.lifeSeconds - ageSeconds);
}

/** Puts each where tools look for it. One that finds no place there must not keep the others from theirs. */
async function placeAll(
  { paths }: ClientContext,
  settled: readonly PromiseSettledResult<Obtained>[],
): Promise<Ensured[]> {
  const credentials = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value.credential] : []));
  const failures = new Map<HeldCredential, unknown>();
  await writeSessionFiles(paths, credentials).catch(async () => {
    for (const one of credentials)
      await writeSessionFiles(paths, [one]).catch((reason) => failures.set(one, reason));
  });
  return settled.map((one) => {
    if (one.status === 'rejected') return one;
    const { credential } = one.value;
    return failures.has(credential)
      ? { status: 'rejected', reason: failures.get(credential) }
      : { status: 'fulfilled', value: credential };
  });
}

interface Obtained {
  readonly credential: HeldCredential;
  readonly grant: GrantView;
  /** Not the one that was at hand. */
  readonly isNew: boolean;
}

async function obtain(client: Client, grant: GrantView, options: HoldOptions): Promise<Obtained> {
  if (grant.state === 'ended') {
    throw new AppError(
      'ended',
      `${grant.id} has ended${grant.endCause === null ? '' : `: ${grant.endCause}`}`,
      {
        hint: `oncall request ${grant.target.resource}:${grant.target.role}`,
      },
    );
  }
  const { context } = client;
  const cache = await cacheOf(client);
  const held = cache === undefined ? undefined : await openCredential(cache, grant.id);
  const left = held === undefined ? 0 : secondsLeft(held, context.now());
  const { renewAfter = RENEW_AFTER } = options;
  if (held !== undefined && left > held.lifeSeconds * (1 - renewAfter) && renewAfter > 0)
    return { credential: held, grant, isNew: false };
  // Named even where it seems to have run out: our clock may have been set, and the broker knows.
  const obtained = await issue(client, grant, held, options);
  if (cache !== undefined) await sealCredential(cache, obtained.credential);
  return obtained;
}

async function issue(
  client: Client,
  grant: GrantView,
  held: HeldCredential | undefined,
  { signal }: HoldOptions,
): Promise<Obtained> {
  const { broker, context } = client;
  const target = clientTarget(grant.kind);
  const kept = held?.secret.kind === grant.kind ? target.reuse?.(held.secret) : undefined;
  const { material, secretFor } = kept ?? (await target.createMaterial());
  const send = (renews: string | undefined) =>
    issueCredential(
      broker,
      grant.id,
      { material, ...(renews === undefined ? {} : { renews }) },
      signal === undefined ? {} : { signal },
    );
  const reply = await send(held?.credentialId).catch((error: unknown) => {
    // The credential we have may be gone while the grant lives: then ask for another.
    const isGone =
      held !== undefined && ['ended', 'expired', 'not_found', 'conflict'].some((code) => isCode(error, code));
    if (isGone) return send(undefined);
    throw error;
  });
  if (reply.publicPart.kind !== grant.kind)
    throw new AppError('internal', 'the broker sent a credential of another kind');
  const lifeMs = parseInstant(reply.expiresAt) - parseInstant(reply.issuedAt);
  const [incident] = reply.grant.incidents;
  const credential: HeldCredential = {
    grantId: grant.id,
    credentialId: reply.credentialId,
    target: grant.target,
    ...(incident !== undefined && { incident }),
    handle: reply.handle,
    secret:
      reply.prolonged && held !== undefined
        ? held.secret
        : await secretFor(reply.publicPart, (sealed) => unseal(client, reply.credentialId, sealed)),
    publicPart: reply.publicPart,
    lifeSeconds: Math.max(0, lifeMs / 1000) || 0,
    receivedAtMs: context.now(),
    expiresAt: reply.expiresAt,
  };
  return { credential, grant: reply.grant, isNew: true };
}

async function unseal(client: Client, credentialId: string, sealed: string): Promise<Uint8Array> {
  const { sealing } = await client.device();
  if (sealing === undefined) {
    throw new AppError('config_invalid', 'this device has no key that secrets can be sealed to', {
      hint: 'enrol it with a second keystore: oncall enroll --help',
    });
  }
  const { openSealedCredential } = await import('../protocol/credential-seal.ts');
  return openSealedCredential(sealing, credentialId, sealed);
}

function isCode(error: unknown, code: string): boolean {
  return isAppError(error) && error.code === code;
}

/** Grants of which something lies on this machine. */
export function listLocalGrants({ paths }: ClientContext): Set<string> {
  const sealed = listNames(paths.credentialsDir).map((name) => name.replace(/\.json$/, ''));
  return new Set([...sealed, ...listSessionGrants(paths)].filter(isGrantId));
}

/**
 * At once, without waiting for whoever holds the lock: the end of access waits for nobody. To be followed by {@link wipeGrant}
 * under it, for what was being written meanwhile.
 */
export async function wipeAtOnce({ paths }: ClientContext, grantId: string): Promise<void> {
  wipe(paths, grantId);
  await wipeSessionFiles(paths, grantId);
}

/** The caller holds `paths.holdLock`. */
export async function wipeGrant(context: ClientContext, grantId: string): Promise<void> {
  wipe(context.paths, grantId);
  await wipeSessionFiles(context.paths, grantId);
  await followSession(context);
}

async function cacheOf(client: Client): Promise<CredentialCache | undefined> {
  const { paths, warn } = client.context;
  const { cacheKey } = await client.device();
  return cacheKey === undefined ? undefined : { paths, cacheKey, warn };
}

export function ownerOf({ paths }: ClientContext, { broker, user, device }: ClientConfig): StatusOwner {
  return { paths, broker, user, device };
}
