/**
 * Credentials at rest: one sealed file a grant, AES-256-GCM under the device's cache key, bound to its file's name, so that
 * files can't be exchanged. What can't be opened counts as absent, with a warning: the broker issues another.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import type { Target } from '../protocol/messages.ts';
import type { PublicPart } from '../protocol/targets/kinds.ts';
import { listNames, readSafeFile, removePath } from './files.ts';
import type { ClientPaths } from './paths.ts';
import type { CredentialSecret } from './targets/kinds.ts';
import { writeFileAtomic } from './write-files.ts';

const VERSION = 1;
const [IV_BYTES, TAG_BYTES] = [12, 16];
const GRANT_ID = /^gr_[0-9a-hjkmnp-tv-z]{19}$/;
/** All that is needed to log in. Secret. */
export interface HeldCredential {
  readonly grantId: string;
  readonly credentialId: string;
  readonly target: Target;
  /** What it was asked for; the first of several. */
  readonly incident?: string;
  readonly handle: string;
  readonly secret: CredentialSecret;
  readonly publicPart: PublicPart;
  /** How long the credential lives by the broker's clock, and when it came here by ours: skew cannot stretch it. */
  readonly lifeSeconds: number;
  readonly receivedAtMs: number;
  /** By the broker's clock. */
  readonly expiresAt: string;
}

export interface CredentialCache {
  readonly paths: ClientPaths;
  /** 32 bytes. */
  readonly cacheKey: Uint8Array;
  readonly warn: (message: string) => void;
}

/** Throws AppError `disk_full`, `unsafe_file`. */
export async function sealCredential(
  cache: Omit<CredentialCache, 'warn'>,
  credential: HeldCredential,
): Promise<void> {
  const path = fileOf(cache.paths, credential.grantId);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', cache.cacheKey, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(credential.grantId));
  const sealed = Buffer.concat([
    cipher.update(JSON.stringify(credential)),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  const content = { version: VERSION, iv: iv.toString('base64'), sealed: sealed.toString('base64') };
  await writeFileAtomic(path, `${JSON.stringify(content)}\n`);
}

/**
 * Undefined where there is none, and, with a warning, where it is damaged or not sealed by this device. Throws AppError
 * `unsafe_file` where others can read it.
 */
export async function openCredential(
  cache: CredentialCache,
  grantId: string,
): Promise<HeldCredential | undefined> {
  const bytes = readSafeFile(fileOf(cache.paths, grantId), { secret: true });
  if (bytes === undefined) return undefined;
  try {
    return unseal(bytes, cache.cacheKey, grantId);
  } catch {
    // Why would tell nothing that helps: it is replaced in any case.
    cache.warn(`the cached credential of ${grantId} is damaged: a new one is fetched`);
    return undefined;
  }
}

/** When it was last sealed, in milliseconds since 1970; 0 where there is none. */
export function sealedAt(paths: ClientPaths, grantId: string): number {
  return statSync(fileOf(paths, grantId), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** All that can be opened, oldest grant first. */
export async function listCredentials(cache: CredentialCache): Promise<HeldCredential[]> {
  const names = listNames(cache.paths.credentialsDir);
  const ids = names.map((name) => name.replace(/\.json$/, '')).filter(isGrantId);
  const opened = await Promise.all(ids.map((id) => openCredential(cache, id)));
  return opened.filter((credential) => credential !== undefined);
}

/** Fine where there is none. */
export function wipe(paths: ClientPaths, grantId: string): void {
  removePath(fileOf(paths, grantId));
}

/** Ids become file names: nothing else than an id may. */
export function isGrantId(text: string): boolean {
  return GRANT_ID.test(text);
}

/** Throws AppError `invalid_request`. */
export function requireGrantId(grantId: string): string {
  if (isGrantId(grantId)) return grantId;
  throw new AppError('invalid_request', 'not the id of a grant');
}

function unseal(bytes: Buffer, key: Uint8Array, grantId: string): HeldCredential {
  const { version, iv, sealed } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  if (version !== VERSION) throw new Error('another version');
  const data = Buffer.from(String(sealed), 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(String(iv), 'base64'), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(boundTo(grantId));
  decipher.setAuthTag(data.subarray(-TAG_BYTES));
  const text = `${decipher.update(data.subarray(0, -TAG_BYTES), undefined, 'utf8')}${decipher.final('utf8')}`;
  // Sealed by this device, so of the form that this version writes.
  return JSON.parse(text) as HeldCredential;
}

function boundTo(grantId: string): Buffer {
  return Buffer.from(`oncall-credential/v${VERSION}\n${grantId}.json`);
}

function fileOf(paths: ClientPaths, grantId: string): string {
  return join(paths.credentialsDir, `${requireGrantId(grantId)}.json`);
}
