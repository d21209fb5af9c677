/**
 * Enrolment: one paste. Order of writing, so that a crash blocks no second try: keys into the keystore → what is under way
 * into `enrolling.json` → the broker → `config.yaml`. The invitation works once; a second try with the same one finds its
 * keys and its idempotency key again, so an answer that got lost is given once more.
 */
import { createHash } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyCheckpoint } from '../audit/checkpoint.ts';
import { AppError, isAppError } from '../protocol/errors.ts';
import { rawPublicKey } from '../protocol/keys.ts';
import type { DeviceView, Enroll, Enrolled, KeystoreKind } from '../protocol/messages.ts';
import { createBroker } from './broker.ts';
import { type ClientConfig, loadConfig, saveConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import { createAgentSigner, createDeviceKeys, createSigner, type NewDeviceKeys } from './device-key.ts';
import type { DeviceRecord } from './device-record.ts';
import { ensureDir, readSafeFile, removePath } from './files.ts';
import { createIdempotencyKey } from './idempotency.ts';
import { type Invitation, type KnownBroker, meetBroker, parseInvitation } from './invitation.ts';
import { type Keystore, openKeystore } from './keystore.ts';
import { withLock } from './lock.ts';
import type { ClientPaths } from './paths.ts';
import { updateStatusFile } from './status-file.ts';
import { writeFileAtomic } from './write-files.ts';

const LOCK_TIMEOUT_MS = 1_000;

export interface EnrollInput {
  /** As pasted: `https://broker:7443/#CODE`. */
  readonly invitation: string;
  readonly deviceName: string;
  readonly keystore: KeystoreKind;
  /** With `ssh-agent`: the public key line of the key to use (see listAgentKeys). */
  readonly sshAgentKey?: string;
  /** With `ssh-agent`: where the other two keys go. Without it nothing is cached at rest. */
  readonly secondKeystore?: 'keychain' | 'file';
  /** Protects what the file keystore saves. */
  readonly newPassphrase?: string;
  /** `pinned`, `system` or the path of a PEM file. */
  readonly ca: string;
}

export interface EnrollResult {
  readonly config: ClientConfig;
  readonly device: DeviceView;
  /** False with an ssh-agent alone: credentials are fetched anew by each command, and there are no break-glass packs. */
  readonly cachesAtRest: boolean;
}

/**
 * Makes this machine a device of the invited person. Throws AppError `conflict` where it is one already, `invite_invalid`,
 * `tls_untrusted`, `broker_unreachable`, and what the keystore throws: then the broker has not been asked.
 */
export async function enroll(context: ClientContext, input: EnrollInput): Promise<EnrollResult> {
  const { paths } = context;
  return withLock(
    paths.enrollLock,
    async () => {
      await refuseSecond(paths);
      const invitation = parseInvitation(input.invitation);
      const broker = await meetBroker(invitation, input.ca, context);
      const attempt = await beginAttempt(input, invitation, context);
      const enrolled = await register(input, invitation, broker, attempt, context);
      return finish(input, broker, attempt, enrolled, context);
    },
    { timeoutMs: LOCK_TIMEOUT_MS },
  );
}

/** Throws AppError `conflict` where this machine is a device already. */
export async function refuseSecond(paths: ClientPaths): Promise<void> {
  const existing = await loadConfig(paths);
  if (existing === undefined) return;
  throw new AppError('conflict', `already enrolled at ${existing.broker} as ${existing.user}`, {
    hint: 'for another installation: oncall enroll --profile <name> <invitation>',
  });
}

interface Attempt {
  readonly keyId: string;
  readonly signingKey: string;
  readonly sealingKey: string;
  /** Null where the agent signs and nothing rests here. */
  readonly record: DeviceRecord | null;
  readonly idempotencyKey: string;
}

/** What `enrolling.json` holds: no secret. */
interface Remembered extends Omit<Attempt, 'record'> {
  readonly version: 1;
  readonly invitationSha256: string;
  readonly keystore: KeystoreKind;
  readonly secondKeystore: 'keychain' | 'file' | null;
}

/** The attempt that this invitation began before, if its keys are still there; else a new one, written down before the broker is asked. */
async function beginAttempt(
  input: EnrollInput,
  { secret }: Invitation,
  context: ClientContext,
): Promise<Attempt> {
  const { enrollingFile } = context.paths;
  const invitationSha256 = createHash('sha256').update(secret).digest('hex');
  const secondKeystore = input.secondKeystore ?? null;
  const keystore = await keystoreFor(input, context);
  const before = await readRemembered(enrollingFile);
  const isSame =
    before?.invitationSha256 === invitationSha256 &&
    before.keystore === input.keystore &&
    before.secondKeystore === secondKeystore;
  if (before !== undefined && isSame) {
    const record = keystore === undefined ? null : await loadIfThere(keystore, before.keyId);
    if (record !== undefined) return { ...before, record };
  }
  const keys: NewDeviceKeys = await createDeviceKeys(input.sshAgentKey);
  await keystore?.save(keys.keyId, keys.record);
  const { keyId, signingKey, sealingKey } = keys;
  const idempotencyKey = createIdempotencyKey();
  const remembered: Remembered = {
    version: 1,
    invitationSha256,
    keystore: input.keystore,
    secondKeystore,
    keyId,
    signingKey,
    sealingKey,
    idempotencyKey,
  };
  await writeFileAtomic(enrollingFile, `${JSON.stringify(remembered)}\n`);
  return {
    keyId,
    signingKey,
    sealingKey,
    record: keystore === undefined ? null : keys.record,
    idempotencyKey,
  };
}

function keystoreFor(input: EnrollInput, context: ClientContext): Promise<Keystore | undefined> {
  const kind = input.keystore === 'ssh-agent' ? input.secondKeystore : input.keystore;
  return kind === undefined ? Promise.resolve(undefined) : openKeystore(kind, context, input.newPassphrase);
}

async function loadIfThere(keystore: Keystore, keyId: string): Promise<DeviceRecord | undefined> {
  return keystore.load(keyId).catch((error: unknown) => {
    if (isAppError(error, 'not_enrolled')) return undefined;
    throw error;
  });
}

async function readRemembered(path: string): Promise<Remembered | undefined> {
  const bytes = readSafeFile(path);
  if (bytes === undefined) return undefined;
  try {
    const value = JSON.parse(bytes.toString('utf8')) as Remembered;
    return value.version === 1 ? value : undefined;
  } catch {
    // Half an attempt is none: a new one replaces it.
    return undefined;
  }
}

async function register(
  input: EnrollInput,
  { secret }: Invitation,
  known: KnownBroker,
  attempt: Attempt,
  context: ClientContext,
): Promise<Enrolled> {
  const { paths, now, env, warn } = context;
  await setAsideOtherLog(known, context);
  const signer = await signerFor(input, attempt, context);
  const broker = createBroker({ config: known, signer, paths, now, env, warn });
  const { signingKey, sealingKey, idempotencyKey } = attempt;
  const { deviceName, keystore } = input;
  const body: Enroll = { secret, deviceName, signingKey, sealingKey, keystore };
  try {
    return await broker.post<Enrolled>('/v1/enroll', body, { tag: 'oncall-enroll', idempotencyKey });
  } catch (error) {
    // The broker said no, so these keys will never be a device.
    if (isAppError(error, 'invite_invalid')) {
      await (await keystoreFor(input, context))?.remove(attempt.keyId);
      removePath(paths.enrollingFile);
    }
    throw error;
  } finally {
    broker.close();
  }
}

function signerFor({ sshAgentKey }: EnrollInput, { record }: Attempt, context: ClientContext) {
  if (sshAgentKey !== undefined) return createAgentSigner(sshAgentKey, context);
  if (record !== null) return createSigner(record);
  throw new AppError('usage', 'with --keystore ssh-agent, name the key to sign with', {
    hint: 'ssh-add -L lists them; add --agent-key with part of one',
  });
}

/** A checkpoint from an earlier broker of this profile would contradict the new one: kept, but out of the way. */
async function setAsideOtherLog(
  { origin, logKey }: KnownBroker,
  { paths, now }: ClientContext,
): Promise<void> {
  const note = readSafeFile(paths.checkpointFile);
  if (note === undefined) return;
  try {
    verifyCheckpoint(note.toString('utf8'), { origin, publicKey: rawPublicKey(logKey) });
  } catch {
    ensureDir(paths.evidenceDir);
    await rename(paths.checkpointFile, join(paths.evidenceDir, `earlier-log-${now()}`));
  }
}

async function finish(
  { deviceName, keystore, sshAgentKey, secondKeystore }: EnrollInput,
  broker: KnownBroker,
  { keyId, record }: Attempt,
  { device, user }: Enrolled,
  { paths, now }: ClientContext,
): Promise<EnrollResult> {
  const config: ClientConfig = {
    version: 1,
    ...broker,
    user,
    device: {
      id: device.id,
      keyId,
      name: deviceName,
      keystore,
      ...(sshAgentKey === undefined ? {} : { sshAgentKey }),
      ...(secondKeystore === undefined ? {} : { secondKeystore }),
    },
  };
  await saveConfig(paths, config);
  removePath(paths.enrollingFile);
  const owner = { paths, broker: config.broker, user, device: config.device };
  await withLock(paths.holdLock, () => updateStatusFile(owner, now(), (status) => status), {
    timeoutMs: LOCK_TIMEOUT_MS,
  });
  return { config, device, cachesAtRest: record !== null };
}
