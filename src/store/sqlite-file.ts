import { mkdir, open, stat } from 'node:fs/promises';
import { platform, userInfo } from 'node:os';
import { dirname } from 'node:path';
import { AppError } from '../protocol/errors.ts';

/**
 * Makes sure that the database file exists, is ours and is closed to others, whatever the umask, before SQLite opens it: its
 * -wal and -shm files take their mode from it. Throws `unsafe_file`.
 */
export async function prepareDatabaseFile(file: string): Promise<void> {
  const directory = dirname(file);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await requirePrivate(directory, '700');
  await createPrivateFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await requirePrivate(file, '600');
}

/** An empty file of mode 0600. Rejects with EEXIST where something is in the way. */
export async function createPrivateFile(file: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.chmod(0o600);
  } finally {
    await handle.close();
  }
}

async function requirePrivate(path: string, mode: string): Promise<void> {
  // Windows has no such bits; access lists of the profile folder stand in.
  if (platform() === 'win32') return;
  const found = await stat(path);
  if (found.uid !== userInfo().uid) {
    throw new AppError('unsafe_file', `${path} belongs to another user`, {
      hint: `chown it to the broker's user`,
    });
  }
  if ((found.mode & 0o077) !== 0) {
    throw new AppError('unsafe_file', `${path} is open to other users`, { hint: `chmod ${mode} ${path}` });
  }
}
