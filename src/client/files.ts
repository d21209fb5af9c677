/**
 * Files that only their owner may read or write (DESIGN section 5, "Files"). What others can write or own is refused, because
 * whoever can change it decides for us. On the way of `oncall status`, so it is small; writing is in write-files.ts.
 */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { AppError, isAppError } from '../protocol/errors.ts';

const MAX_BYTES = 4 * 1024 * 1024;
const [GROUP_OR_OTHER_WRITE, GROUP_OR_OTHER] = [0o022, 0o077];

/**
 * The content of a regular file that is ours, or undefined where there is none. A symbolic link is followed only if it is
 * ours too. `secret`: what others can read is refused as well. Throws AppError `unsafe_file` with the command that
 * repairs it, and `too_large` beyond `maxBytes`, 4 MiB unless told. Synchronous: these files are small and here, and each way through the thread
 * pool costs more than the read.
 */
export function readSafeFile(
  path: string,
  { secret = false, maxBytes = MAX_BYTES }: { secret?: boolean; maxBytes?: number } = {},
): Buffer | undefined {
  let file: number;
  try {
    const link = lstatSync(path);
    if (link.isSymbolicLink() && !isOurs(link))
      throw unsafe(path, 'is a link that somebody else made', `rm ${path}`);
    // Not blocking: a named pipe in the file's place must not hang us.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw isAppError(error) ? error : unsafe(path, 'cannot be read', `ls -l ${path}`, error);
  }
  try {
    const stats = fstatSync(file);
    refuseUnsafe(path, stats, secret);
    if (stats.size > maxBytes)
      throw new AppError('too_large', `${path} is larger than ${maxBytes / 1024 / 1024} MiB`, {
        hint: `ls -l ${path}`,
      });
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function refuseUnsafe(path: string, stats: Stats, secret: boolean): void {
  if (!stats.isFile()) throw unsafe(path, 'is not a file', `ls -l ${path}`);
  if (!isOurs(stats)) throw unsafe(path, 'belongs to somebody else', `ls -l ${path}`);
  const forbidden = secret ? GROUP_OR_OTHER : GROUP_OR_OTHER_WRITE;
  if (hasModes && (stats.mode & forbidden) !== 0) {
    throw unsafe(path, `can be ${secret ? 'read' : 'written'} by others`, `chmod 600 ${path}`);
  }
}

/**
 * Makes the folder and its parents, 0700. One that is there is refused if it, or a link in its place, is not ours or others can
 * write in it, and is closed to others if they can only look. Throws AppError `unsafe_file` and `disk_full`.
 */
export function ensureDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const link = lstatSync(path);
    if (link.isSymbolicLink() && !isOurs(link))
      throw unsafe(path, 'is a link that somebody else made', `ls -ld ${path}`);
    const stats = statSync(path);
    if (!isOurs(stats)) throw unsafe(path, 'belongs to somebody else', `ls -ld ${path}`);
    if (!hasModes) return;
    if ((stats.mode & GROUP_OR_OTHER_WRITE) !== 0) {
      throw unsafe(path, 'can be written by others', `look at what is in it, then chmod 700 ${path}`);
    }
    if ((stats.mode & GROUP_OR_OTHER) !== 0) chmodSync(path, 0o700);
  } catch (error) {
    throw writeFailure(error, path);
  }
}

/**
 * For what would have to be kept in these folders, before it is asked for: access that cannot be written down here helps nobody, and
 * stands at the broker. They are made where they are missing. Throws AppError `unsafe_file`, `disk_full`.
 */
export function requireWritable(...folders: readonly string[]): void {
  for (const folder of folders) {
    ensureDir(folder);
    try {
      accessSync(folder, constants.W_OK);
    } catch (error) {
      throw writeFailure(error, folder);
    }
  }
}

/**
 * Refuses a folder that is a link, is not ours, or can be entered by others: what lies in it is told apart from other people's
 * by nothing else. Throws AppError `unsafe_file`.
 */
export function requireOwnFolder(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isDirectory()) throw unsafe(path, 'is not a folder', `ls -ld ${path}`);
  if (uid !== undefined && stats.uid !== uid)
    throw unsafe(path, 'belongs to somebody else', `ls -ld ${path}`);
  if (hasModes && (stats.mode & GROUP_OR_OTHER) !== 0)
    throw unsafe(path, 'can be entered by others', `chmod 700 ${path}`);
}

/** Removes a file or a folder with all that is in it; fine where there is none. */
export function removePath(path: string): void {
  // Node loads a good deal to remove what may be a folder; mostly there is nothing.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
    rmSync(path, { recursive: true, force: true });
}

/** The names in a folder, sorted; empty where there is none. Unfinished temporary files are left out. */
export function listNames(path: string): string[] {
  try {
    return readdirSync(path)
      .filter((name) => !name.startsWith('.tmp-'))
      .sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw unsafe(path, 'cannot be read', `ls -ld ${path}`, error);
  }
}

/** Whose process this is; undefined on Windows, which has neither owners nor modes that node could show. */
export const uid = currentUid();
/** Whether folders can be waited for and modes mean something: not on Windows. */
export const hasModes = uid !== undefined;

/** Linux tells without asking who has which number, which may be a directory server far away. */
function currentUid(): number | undefined {
  const stats = statSync('/proc/self', { throwIfNoEntry: false });
  if (stats !== undefined) return stats.uid;
  const user = userInfo();
  return user.uid < 0 ? undefined : user.uid;
}

/** Root's files are fine: root can do anything to us anyway. */
function isOurs(stats: Stats): boolean {
  return uid === undefined || stats.uid === uid || stats.uid === 0;
}

/** Ours alone, not root's: for what we would replace. */
export function isOwn(stats: Stats): boolean {
  return uid === undefined || stats.uid === uid;
}

/** What a refused write means to the person; anything else comes back as it is. */
export function writeFailure(error: unknown, path: string): unknown {
  if (isSystemError(error, 'ENOSPC', 'EDQUOT')) {
    return new AppError('disk_full', `no space left to write ${path}`, {
      hint: `df -h ${dirname(path)}`,
      cause: error,
    });
  }
  // ENOENT: what node says of a folder that cannot be made on a read-only disk.
  if (
    isSystemError(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'EEXIST', 'EISDIR', 'ENAMETOOLONG')
  ) {
    return unsafe(path, 'cannot be written', `ls -ld ${dirname(path)}`, error);
  }
  return error;
}

function unsafe(path: string, what: string, hint: string, cause?: unknown): AppError {
  return new AppError('unsafe_file', `${path} ${what}`, { hint, cause });
}

/** Whether the operating system refused with one of these codes. */
export function isSystemError(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
