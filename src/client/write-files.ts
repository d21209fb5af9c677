/**
 * Replacing files that only their owner may read or write (DESIGN section 5, "Files"): temporary name, fsync, rename, fsync
 * of the folder, so a crash leaves the old file or the new one. Waiting for the disk is what takes long: all files of one
 * call wait together, and a folder that several of them share is waited for once.
 */
import { closeSync, fchmodSync, fsync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ensureDir, hasModes, writeFailure } from './files.ts';

const sync = promisify(fsync);

export interface FileWrite {
  readonly path: string;
  readonly data: string | Uint8Array;
  /**
   * Of what is in other files, or at the broker, too: whoever reads it sees the old file or the new one, but it is not waited
   * until it is on the disk. A machine that loses its power may lose it.
   */
  readonly isCopy?: boolean;
  /** For a person's own file: the mode that it has. Its folder is theirs too, and stays as it is. */
  readonly ownMode?: number;
}

interface Staged extends FileWrite {
  readonly temporary: string;
  readonly file: number;
}

/**
 * Replaces each file in one step; folders are made (0700) where they are missing. None is replaced unless all could be
 * written. Throws AppError `disk_full`, or `unsafe_file` where the place is not ours to write.
 */
export async function writeFiles(files: readonly FileWrite[]): Promise<void> {
  for (const folder of foldersOf(files.filter(({ ownMode }) => ownMode === undefined))) ensureDir(folder);
  const staged: Staged[] = [];
  const open = new Set<number>();
  try {
    for (const file of files) {
      const temporary = join(dirname(file.path), `.tmp-${Math.random().toString(36).slice(2)}`);
      await orFailure(file.path, () => {
        const number = openSync(temporary, 'wx', 0o600);
        open.add(number);
        staged.push({ ...file, temporary, file: number });
        writeFileSync(number, file.data);
        // Whatever the umask says.
        if (file.ownMode !== undefined) fchmodSync(number, file.ownMode);
      });
    }
    const kept = staged.filter(({ isCopy }) => isCopy !== true);
    await together(kept.map(({ path, file }) => orFailure(path, () => sync(file))));
    for (const { path, temporary } of staged) await orFailure(path, () => renameSync(temporary, path));
    if (hasModes) await together([...foldersOf(kept)].map((path) => orFailure(path, () => syncFolder(path))));
  } catch (error) {
    for (const { temporary } of staged) rmSync(temporary, { force: true });
    throw error;
  } finally {
    for (const number of open) closeSync(number);
  }
}

/** {@link writeFiles} for one. */
export function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  return writeFiles([{ path, data }]);
}

function foldersOf(files: readonly FileWrite[]): Set<string> {
  return new Set(files.map(({ path }) => dirname(path)));
}

async function syncFolder(path: string): Promise<void> {
  const folder = openSync(path, 'r');
  try {
    await sync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The first failure, when none is under way any more. */
async function together(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}

async function orFailure(path: string, work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw writeFailure(error, path);
  }
}
