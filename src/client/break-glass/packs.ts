/**
 * Packs on this device: one file each, the document as the broker signed it and beside it the private key that its certificates are
 * for, sealed under the device's cache key (AES-256-GCM) and bound to the pack's id, so that neither goes with another. A file is
 * believed anew each time it is read.
 */
import { createCipheriv, createDecipheriv, createPublicKey, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { verifyPack } from '../../break-glass/pack.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { Pack, PackMaterial } from '../../protocol/messages.ts';
import type { ClientConfig } from '../config.ts';
import { listNames, readSafeFile, removePath } from '../files.ts';
import type { ClientPaths } from '../paths.ts';
import { writeFileAtomic } from '../write-files.ts';

/** A new one comes with the next word from the broker. */
const FETCH_HINT = 'oncall status --refresh fetches another while the broker is there';
const VERSION = 1;
const [IV_BYTES, TAG_BYTES] = [12, 16];
const PACK_ID = /^bg_[0-9a-hjkmnp-tv-z]{19}$/;

/** The key pair of a pack; `privateKey` and `publicKey` in the forms of a credential of that kind. Secret. */
export interface PackKey {
  readonly kind: PackMaterial['kind'];
  readonly privateKey: string;
  readonly publicKey: string;
}

export interface KeptPack {
  readonly pack: Pack;
  /** When it came here, by this device's clock. */
  readonly keptAt: string;
  /** The broker knows that it is here. */
  readonly isConfirmed: boolean;
  readonly sealedKey: { readonly iv: string; readonly sealed: string };
}

/** Whose packs, and who signs them. */
export type PackTrust = Pick<ClientConfig, 'identityKey' | 'user'> & {
  readonly device: { readonly id: string };
};

export interface FoundPacks {
  readonly packs: readonly KeptPack[];
  /** Files that are not believed, and why. */
  readonly refused: readonly { readonly id: string; readonly error: AppError }[];
}

/** On the disk for good when it resolves. Throws AppError `corrupt_file` for what the broker did not sign for this device, `disk_full`, `unsafe_file`. */
export async function keepPack(
  paths: ClientPaths,
  trust: PackTrust,
  cacheKey: Uint8Array,
  { pack, key, keptAt }: { pack: Pack; key: PackKey; keptAt: string },
): Promise<KeptPack> {
  requirePack(pack, trust);
  requireSameKey(pack, key);
  const kept = { pack, keptAt, isConfirmed: false, sealedKey: sealKey(pack.id, key, cacheKey) };
  await writePack(paths, kept);
  return kept;
}

export async function noteConfirmed(paths: ClientPaths, kept: KeptPack): Promise<void> {
  await writePack(paths, { ...kept, isConfirmed: true });
}

/** All that are here, as they are believed. Throws AppError `unsafe_file` for a folder that others can write in. */
export function listPacks(paths: ClientPaths, trust: PackTrust): FoundPacks {
  const packs: KeptPack[] = [];
  const refused: { id: string; error: AppError }[] = [];
  for (const name of listNames(packsFolder(paths))) {
    const id = name.replace(/\.json$/, '');
    if (!isPackId(id)) continue;
    try {
      packs.push(readPack(paths, id, trust));
    } catch (error) {
      if (!isAppError(error)) throw error;
      refused.push({ id, error });
    }
  }
  return { packs, refused };
}

/** Fine where there is none. */
export function removePack(paths: ClientPaths, id: string): void {
  removePath(fileOf(paths, id));
}

/** The key pair of a pack. Throws AppError `corrupt_file` where it is not this device's, or not this pack's. */
export function openPackKey({ pack, sealedKey }: KeptPack, cacheKey: Uint8Array): PackKey {
  let key: PackKey;
  try {
    const data = Buffer.from(sealedKey.sealed, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', cacheKey, Buffer.from(sealedKey.iv, 'base64'), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(boundTo(pack.id));
    decipher.setAuthTag(data.subarray(-TAG_BYTES));
    const text = `${decipher.update(data.subarray(0, -TAG_BYTES), undefined, 'utf8')}${decipher.final('utf8')}`;
    key = JSON.parse(text) as PackKey;
  } catch (cause) {
    throw new AppError('corrupt_file', `the key of ${pack.id} cannot be opened on this device`, {
      hint: FETCH_HINT,
      cause,
    });
  }
  requireSameKey(pack, key);
  return key;
}

export function isPackId(text: string): boolean {
  return PACK_ID.test(text);
}

function readPack(paths: ClientPaths, id: string, trust: PackTrust): KeptPack {
  const bytes = readSafeFile(fileOf(paths, id), { secret: true });
  const kept = bytes === undefined ? undefined : parseKept(bytes.toString('utf8'));
  if (kept === undefined || kept.pack.id !== id) throw notAsSigned();
  requirePack(kept.pack, trust);
  return kept;
}

function parseKept(text: string): KeptPack | undefined {
  try {
    const { version, pack, keptAt, isConfirmed, sealedKey } = JSON.parse(text) as KeptPack & {
      version: number;
    };
    const isWhole = typeof pack.signature === 'string' && typeof sealedKey.iv === 'string';
    return version === VERSION && isWhole ? { pack, keptAt, isConfirmed, sealedKey } : undefined;
  } catch {
    return undefined;
  }
}

/** Once its signature is good, it is of the form that the broker writes. */
function requirePack(pack: Pack, { identityKey, user, device }: PackTrust): void {
  try {
    verifyPack(pack, identityKey, { user, device: device.id });
  } catch (error) {
    if (isAppError(error)) throw error;
    throw notAsSigned(error);
  }
  if (pack.schema !== 'oncall.pack/v1' || !isPackId(pack.id)) throw notAsSigned();
}

function notAsSigned(cause?: unknown): AppError {
  return new AppError('corrupt_file', 'the break-glass pack is not as the broker signed it', {
    hint: FETCH_HINT,
    cause,
  });
}

/** A certificate over somebody else's key would open nothing, and that would show when it is needed. */
function requireSameKey({ material }: Pack, { kind, publicKey }: PackKey): void {
  const isSame =
    material.kind === kind &&
    (kind === 'ssh'
      ? bareLine(material.publicKey) === bareLine(publicKey)
      : spkiOf(material.publicKey).equals(spkiOf(publicKey)));
  if (!isSame)
    throw new AppError('corrupt_file', 'the break-glass pack is for another key', { hint: FETCH_HINT });
}

function bareLine(line: string): string {
  return line.trim().split(/\s+/).slice(0, 2).join(' ');
}

function spkiOf(base64: string) {
  return createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' });
}

async function writePack(paths: ClientPaths, kept: KeptPack): Promise<void> {
  const text = `${JSON.stringify({ version: VERSION, ...kept })}\n`;
  await writeFileAtomic(fileOf(paths, kept.pack.id), text);
}

function sealKey(id: string, key: PackKey, cacheKey: Uint8Array): KeptPack['sealedKey'] {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', cacheKey, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(id));
  const sealed = Buffer.concat([cipher.update(JSON.stringify(key)), cipher.final(), cipher.getAuthTag()]);
  return { iv: iv.toString('base64'), sealed: sealed.toString('base64') };
}

function boundTo(id: string): Buffer {
  return Buffer.from(`oncall-pack-key/v${VERSION}\n${id}`);
}

function packsFolder({ breakGlassDir }: ClientPaths): string {
  return join(breakGlassDir, 'packs');
}

function fileOf(paths: ClientPaths, id: string): string {
  if (!isPackId(id)) throw new AppError('invalid_request', 'not the id of a pack', { hint: 'oncall status' });
  return join(packsFolder(paths), `${id}.json`);
}
