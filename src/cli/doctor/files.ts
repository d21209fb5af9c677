/**
 * Our folders and files: whether they can be written, are ours, and are closed to others (DESIGN section 5, "Files"). The rules are those that
 * reading and writing enforce (client/files.ts); here all of it is seen before something needs it.
 */
import { accessSync, chmodSync, constants, lstatSync, readdirSync, type Stats, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasModes, isOwn, isSystemError } from '../../client/files.ts';
import type { ClientPaths } from '../../client/paths.ts';
import { type Check, type Finding, failed, quotedPath, type Unwell, warned, well } from './check.ts';

const [OTHERS_WRITE, OTHERS, STICKY] = [0o022, 0o077, 0o1000];
/** A receipt for each change that this device has made, and little else. */
const MOST_ENTRIES = 50_000;
/** What is written at once is a few kilobytes. */
const LEAST_FREE_BYTES = 1024 * 1024;

export const FILES: Check = {
  name: 'files',
  async look({ place }) {
    const { paths } = await place();
    const roots = rootsOf(paths);
    const found = [...roots.flatMap(lookAtPlace), ...(hasModes ? modesOf(roots) : [])];
    return found.length > 0 ? found : [well(`ours alone, and can be written: ${roots.join(', ')}`)];
  },
};

/** The run folder may lie within the state folder, and in the default profile each holds those of the others. */
function rootsOf({ configDir, stateDir, completeDir, runDir }: ClientPaths): string[] {
  const cache = dirname(completeDir);
  return [configDir, stateDir, cache, ...(runDir.startsWith(`${stateDir}/`) ? [] : [runDir])];
}

/** Whether something can be put there, now. */
function lookAtPlace(root: string): Finding[] {
  let folder = root;
  while (lstatSync(folder, { throwIfNoEntry: false }) === undefined && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const why = isSystemError(error, 'EROFS') ? ': it is on a read-only disk' : '';
    return [failed(`${root} cannot be written${why}`, `ls -ld ${quotedPath(folder)}`)];
  }
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= LEAST_FREE_BYTES) return [];
  return [failed(`there is no space left for ${root}`, `df -h ${quotedPath(folder)}`)];
}

function modesOf(roots: readonly string[]): Finding[] {
  const found: Finding[] = [];
  for (const root of roots) {
    for (const above of lookAbove(root))
      if (!found.some(({ says }) => says === above.says)) found.push(above);
    const stats = lstatSync(root, { throwIfNoEntry: false });
    if (stats !== undefined) walk(root, stats, { found, left: MOST_ENTRIES });
  }
  return found;
}

/** Whoever can write in a folder above ours can put another in its place; in one that is sticky that is not so. */
function lookAbove(root: string): Finding[] {
  for (let folder = dirname(root); dirname(folder) !== folder; folder = dirname(folder)) {
    const stats = lstatSync(folder, { throwIfNoEntry: false });
    if (stats === undefined || stats.isSymbolicLink()) continue;
    if ((stats.mode & OTHERS_WRITE) === 0 || (stats.mode & STICKY) !== 0) continue;
    const says = `${folder} can be written by others, who could put something else in the place of what is ours`;
    // A person's own folder: what else needs it like that is not ours to know.
    return [warned(says, `chmod go-w ${quotedPath(folder)}`)];
  }
  return [];
}

interface Walk {
  readonly found: Finding[];
  left: number;
}

function walk(path: string, stats: Stats, state: Walk): void {
  if (state.left-- <= 0) return;
  // Where a link leads is not ours to change; what may be one is refused where it is read.
  if (stats.isSymbolicLink()) return;
  const finding = lookAtOne(path, stats);
  if (finding !== undefined) state.found.push(finding);
  if (!stats.isDirectory()) return;
  for (const name of namesIn(path)) {
    const entry = join(path, name);
    const own = lstatSync(entry, { throwIfNoEntry: false });
    // Another installation is asked about by its own name.
    if (own !== undefined && name !== 'profiles') walk(entry, own, state);
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // That it cannot be entered is found where something is looked for in it.
    return [];
  }
}

function lookAtOne(path: string, stats: Stats): Unwell | undefined {
  if (!isOwn(stats)) return failed(`${path} belongs to somebody else`, `ls -ld ${quotedPath(path)}`);
  const mode = stats.isDirectory() ? 0o700 : 0o600;
  if (stats.isSocket() || (stats.mode & OTHERS) === 0) return undefined;
  const isWritten = (stats.mode & OTHERS_WRITE) !== 0;
  const command = `chmod ${mode.toString(8)} ${quotedPath(path)}`;
  const mend = async () => {
    chmodSync(path, mode);
    return command;
  };
  return isWritten
    ? failed(`${path} can be written by others: look at what is in it`, command, mend)
    : warned(`${path} can be read by others`, command, mend);
}
