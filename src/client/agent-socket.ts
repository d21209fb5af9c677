/**
 * Where the agent listens. Nothing tells whose process is at the other end of a socket (node has no SO_PEERCRED), so all rests
 * on the folder: ours, no link, closed to everybody else. Where that is not so there is no agent, and commands do without.
 */
import { statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { ensureDir, requireOwnFolder, uid } from './files.ts';
import type { ClientPaths, Environment } from './paths.ts';

/** `sun_path` holds 104 to 108 bytes, its closing NUL included; unix(7). */
const LONGEST_BYTES = 100;

/**
 * The socket's path, in a folder that was looked at. Undefined where there can be no agent (Windows) or none has been. Throws
 * AppError `unsafe_file`.
 */
export function findSocket(paths: ClientPaths, env: Environment): string | undefined {
  const path = socketPath(paths, env);
  if (path === undefined) return undefined;
  const folder = dirname(path);
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return undefined;
  requireOwnFolder(folder);
  return path;
}

/** The same for the agent, which makes the folders. Throws AppError `unsafe_file`, `disk_full`. */
export function prepareSocket(paths: ClientPaths, env: Environment): string | undefined {
  if (uid === undefined) return undefined;
  ensureDir(paths.runDir);
  requireOwnFolder(paths.runDir);
  const path = socketPath(paths, env);
  if (path === undefined) return undefined;
  ensureDir(dirname(path));
  requireOwnFolder(dirname(path));
  return path;
}

function socketPath({ runDir }: ClientPaths, env: Environment): string | undefined {
  if (uid === undefined) return undefined;
  const path = join(runDir, 'agent.sock');
  if (Buffer.byteLength(path) <= LONGEST_BYTES) return path;
  // Named after the folder that it stands for: another one in its place is another agent's.
  const stats = statSync(runDir, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const temporary = env.TMPDIR && isAbsolute(env.TMPDIR) ? env.TMPDIR : '/tmp';
  return join(temporary, `oncall-${uid}`, `${stats.dev}-${stats.ino}.sock`);
}
