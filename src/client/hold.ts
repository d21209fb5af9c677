/**
 * Holding credentials: the one way by which request, run, renew and credential come to something that a tool can use. All
 * of it happens under one lock, so that two commands at once neither issue twice nor lose each other's files.
 */
import { AppError, isAppError } from '../protocol/errors.ts';
import type { GrantView, RequestView } from '../protocol/messages.ts';
import { TARGET_KINDS } from '../protocol/target-kinds.ts';
import { parseInstant } from '../protocol/time.ts';
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

/** Alone with what is held: its files, and the status file. */
export function withHoldLock<T>({ paths }: ClientContext, work: () => Promise<T>): Promise<T> {
  return withLock(paths.holdLock, work, { timeoutMs: LOCK_TIMEOUT_MS });
}

/** Loads what a grant may need, whatever its kind. */
export function prepareToHold(): void {
  for (const kind of TARGET_KINDS) clientTarget(kind).prepare();
}

export interface HoldOptions {
  /** Asks the broker even if the credential at hand is young: `oncall renew`. */
  readonly fresh?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * A credential of this device for each ready or active grant, in the same order: the one at hand while more than a third of its life
 * remains, else a renewed or new one. Session files and the status file are written. Where some fail, the others are kept,
 * and the first failure is thrown: `ended`, `denied`, `target_refused`, `target_unreachable` and whatever the call may give.
 */
export async function ensureCredentials(
  client: Client,
  grants: readonly GrantView[],
  options: HoldOptions = {},
): Promise<HeldCredential[]> {
  const { context, config } = client;
  return withHoldLock(context, async () => {
    const settled = await Promise.allSettled(grants.map((grant) => obtain(client, grant, options)));
    const obtained = settled.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
    const credentials = obtained.map(({ credential }) => credential);
    await writeSessionFiles(context.paths, credentials);
    await followSession(context, credentials);
    if (obtained.length > 0) {
      await updateStatusFile(ownerOf(context, config), context.now(), (status) =>
        obtained.reduce(
          (before, { grant, credential }) => withCredential(withGrant(before, grant), credential),
          status,
        ),
      );
    }
    for (const result of settled) if (result.status === 'rejected') throw result.reason;
    return credentials;
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

/** Seconds that a credential still lives, by our own clock from the moment it came; 0 when the clock went back before that. */
export function secondsLeft(credential: HeldCredential, nowMs: number): number {
  const ageSeconds = (nowMs - credential.receivedAtMs) / 1000;
  return ageSeconds < 0 ? 0 : Math.max(0, credential.lifeSeconds - ageSeconds);
}

interface Obtained {
  readonly credential: HeldCredential;
  readonly grant: GrantView;
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
  const cache = cacheOf(client);
  const held = cache === undefined ? undefined : await openCredential(cache, grant.id);
  const left = held === undefined ? 0 : secondsLeft(held, context.now());
  if (held !== undefined && options.fresh !== true && left > held.lifeSeconds / 3)
    return { credential: held, grant };
  const obtained = await issue(client, grant, left > 0 ? held : undefined, options);
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
  return { credential, grant: reply.grant };
}

async function unseal({ device }: Client, credentialId: string, sealed: string): Promise<Uint8Array> {
  if (device.sealing === undefined) {
    throw new AppError('config_invalid', 'this device has no key that secrets can be sealed to', {
      hint: 'enrol it with a second keystore: oncall enroll --help',
    });
  }
  const { openSealedCredential } = await import('../protocol/credential-seal.ts');
  return openSealedCredential(device.sealing, credentialId, sealed);
}

function isCode(error: unknown, code: string): boolean {
  return isAppError(error) && error.code === code;
}

/** Grants of which something lies on this machine. */
export function listLocalGrants({ paths }: ClientContext): Set<string> {
  const sealed = listNames(paths.credentialsDir).map((name) => name.replace(/\.json$/, ''));
  return new Set([...sealed, ...listSessionGrants(paths)].filter(isGrantId));
}

export async function wipeGrant(context: ClientContext, grantId: string): Promise<void> {
  wipe(context.paths, grantId);
  await wipeSessionFiles(context.paths, grantId);
  await followSession(context);
}

function cacheOf({ context: { paths, warn }, device: { cacheKey } }: Client): CredentialCache | undefined {
  return cacheKey === undefined ? undefined : { paths, cacheKey, warn };
}

export function ownerOf({ paths }: ClientContext, { broker, user, device }: ClientConfig): StatusOwner {
  return { paths, broker, user, device };
}
