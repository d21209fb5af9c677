// Ends and pauses processes together with all they started, by pid. A pid alone does not identify a process for long:
// the time it started tells it from another that got the same number later.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** When the process started, in the kernel's own unit; undefined when it does not run (a zombie does not). */
export function startTimeOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const fields = linuxStat(pid);
    return fields === undefined || fields[0] === 'Z' ? undefined : fields[19];
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Sends the signal to a process and then to all that descend from it; those already gone do not matter. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  // Paused first, parents before children: what runs could start more of them while we look.
  send(pid, signal === 'SIGCONT' ? 'SIGCONT' : 'SIGSTOP');
  const family = [pid, ...descendantsOf(pid)];
  for (const member of family) send(member, signal);
  if (signal !== 'SIGSTOP' && signal !== 'SIGKILL') for (const member of family) send(member, 'SIGCONT');
}

/** The processes that descend from this one, at this moment. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const [child, parent] of parents()) children.set(parent, [...(children.get(parent) ?? []), child]);
  const found: number[] = [];
  for (let next = [pid]; next.length > 0; ) {
    next = next.flatMap((parent) => children.get(parent) ?? []);
    found.push(...next);
  }
  return found;
}

function parents(): [pid: number, parent: number][] {
  if (process.platform !== 'linux') {
    const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
    return rows.map((row) => row.trim().split(/\s+/).map(Number) as [number, number]);
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const fields = linuxStat(Number(name));
      return fields === undefined ? [] : [[Number(name), Number(fields[1])] as [number, number]];
    });
}

/** The fields of /proc/PID/stat after the command's name, which may itself hold spaces and brackets. */
function linuxStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
