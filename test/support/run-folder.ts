// One folder for each run, under the temporary directory: all that the run leaves on disk lies in it, and it lists the
// processes that tests started, so that the end of the run can end those whose test worker died before them. A run that
// was killed leaves its folder; the next run finds it, sees that its owner is gone, and cleans up after it.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signalTree, startTimeOf } from './process-tree.ts';

const PREFIX = 'oncall-test-';

/** Makes the folder; other accounts (PostgreSQL's, the one that logs in over SSH) may pass through it, not list it. */
export function createRunFolder(): string {
  // Root's own temporary directory may be closed to the other accounts.
  const parent = process.getuid?.() === 0 ? '/tmp' : tmpdir();
  for (const name of readdirSync(parent)) if (name.startsWith(PREFIX)) removeIfAbandoned(join(parent, name));
  const folder = mkdtempSync(join(parent, PREFIX));
  mkdirSync(join(folder, 'processes'));
  mkdirSync(join(folder, 'skipped'));
  writeFileSync(join(folder, 'owner'), `${process.pid} ${startTimeOf(process.pid)}`);
  chmodSync(folder, 0o711);
  return folder;
}

function removeIfAbandoned(folder: string): void {
  let owner: string;
  try {
    owner = readFileSync(join(folder, 'owner'), 'utf8');
  } catch {
    // Another account's, or one that is being made or removed at this moment.
    return;
  }
  const [pid, ...startTime] = owner.split(' ');
  if (startTimeOf(Number(pid)) !== startTime.join(' ')) removeRunFolder(folder);
}

/** Notes a process that must not outlive the run; where the run is over, it is ended here, and this throws. */
export function noteProcess(folder: string, pid: number): void {
  try {
    writeFileSync(join(folder, 'processes', String(pid)), startTimeOf(pid) ?? '');
  } catch (error) {
    signalTree(pid, 'SIGKILL');
    throw error;
  }
}

export function forgetProcess(folder: string, pid: number): void {
  rmSync(join(folder, 'processes', String(pid)), { force: true });
}

/** Ends what is still running, with all it started, and removes the folder; a second time does nothing. */
export function removeRunFolder(folder: string): void {
  if (!existsSync(folder)) return;
  // From here on no process can be noted: one that a worker starts now would be missed below.
  const noted = join(folder, 'noted');
  if (!existsSync(noted)) renameSync(join(folder, 'processes'), noted);
  for (const name of readdirSync(noted)) {
    const startTime = readFileSync(join(noted, name), 'utf8');
    if (startTime !== '' && startTimeOf(Number(name)) === startTime) signalTree(Number(name), 'SIGKILL');
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}
