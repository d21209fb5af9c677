/**
 * A person's own configuration file (~/.ssh/config, ~/.bashrc), of which one block is ours. Other rules than for our own files: its
 * mode, its folder and a link in its place stay as they are. A link is followed: dotfiles are often links into a repository.
 */
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AppError, isAppError } from '../protocol/errors.ts';
import { isOwn, isSystemError, writeFailure } from './files.ts';
import { writeFiles } from './write-files.ts';

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_LINKS = 40;
const [OWNER_WRITE, MODE_BITS] = [0o200, 0o7777];

export interface OwnFile {
  /** As the tool knows it. */
  readonly path: string;
  /** Where a link leads in the end. */
  readonly target: string;
  /** Its bytes as latin1; undefined where there is no file. */
  readonly text: string | undefined;
  readonly mode: number;
}

/**
 * Reads it. Throws AppError `unsafe_file` for what is not a file, belongs to somebody else or has several names, and `too_large`
 * beyond 4 MiB. `mode` is that of a new file.
 */
export function readOwnFile(path: string, { mode }: { mode: number }): OwnFile {
  try {
    const target = followLinks(path);
    const stats = lstatSync(target, { throwIfNoEntry: false });
    if (stats === undefined) return { path, target, text: undefined, mode };
    refuseForeign(target, stats);
    if (stats.size > MAX_BYTES)
      throw new AppError('too_large', `${target} is larger than 4 MiB`, { hint: `ls -l ${target}` });
    return { path, target, text: readFileSync(target, 'latin1'), mode: stats.mode & MODE_BITS };
  } catch (error) {
    throw isAppError(error) ? error : refused(path, 'cannot be read', error);
  }
}

/**
 * Puts another text in its place, in one step; undefined takes the file away. Throws AppError `unsafe_file` where it may not be
 * written, `conflict` where it has changed since it was read, `disk_full`; in each case it stays as it is.
 */
export async function replaceOwnFile(file: OwnFile, text: string | undefined): Promise<void> {
  const now = readOwnFile(file.path, { mode: file.mode });
  if (now.text !== file.text || now.target !== file.target) {
    throw new AppError('conflict', `${file.path} has just been changed by something else`, {
      hint: 'try again',
    });
  }
  // A rename would replace it all the same: a file that its owner has closed is to stay as it is.
  if (now.text !== undefined && (now.mode & OWNER_WRITE) === 0) {
    throw refused(file.target, 'is read-only', undefined, `chmod u+w ${file.target}`);
  }
  if (text === undefined) return remove(file.target);
  if (file.text === undefined) makeFolder(dirname(file.target));
  await writeFiles([{ path: file.target, data: Buffer.from(text, 'latin1'), ownMode: file.mode }]);
}

/** The end of a chain of links of ours, which may be where nothing is yet. */
function followLinks(path: string): string {
  let target = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    const stats = lstatSync(target, { throwIfNoEntry: false });
    if (stats === undefined) return target;
    if (!stats.isSymbolicLink()) return realpathSync(target);
    if (!isOwn(stats)) throw refused(target, 'is a link that somebody else made');
    target = resolve(dirname(target), readlinkSync(target));
  }
  throw refused(path, 'is a link that leads nowhere');
}

function refuseForeign(path: string, stats: Stats): void {
  if (!stats.isFile()) throw refused(path, 'is not a file');
  if (!isOwn(stats)) throw refused(path, 'belongs to somebody else');
  // Replacing it would leave the other names with the old text.
  if (stats.nlink > 1) throw refused(path, 'has several names (hard links)');
  const folder = statSync(dirname(path));
  if (!isOwn(folder)) throw refused(dirname(path), 'belongs to somebody else');
}

/** One that is there keeps its mode, whatever that is. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw writeFailure(error, path);
  }
}

function remove(path: string): void {
  try {
    rmSync(path);
  } catch (error) {
    throw writeFailure(error, path);
  }
}

function refused(path: string, what: string, cause?: unknown, hint?: string): AppError {
  const isMissingFolder = isSystemError(cause, 'ENOTDIR');
  return new AppError('unsafe_file', `${path} ${isMissingFolder ? 'lies below what is no folder' : what}`, {
    hint: hint ?? `ls -l ${path}; the lines can be added by hand as well`,
    cause,
  });
}
